/* Server-sent events, read piece by piece from a fetch body. Pure; follows the WHATWG event stream grammar
 * (LF, CR and CRLF line ends, comments, several data lines). Lines past LINE_MAX end the stream with an error, so a
 * peer that never sends a line end can't fill the memory. */

export interface SseEvent {
  event: string;
  data: string;
  id: string;
}

export const LINE_MAX = 4 << 20;

export class SseParser {
  private line = "";
  private data: string[] = [];
  private size = 0;
  private event = "";
  private id = "";
  private sawCr = false;
  private first = true;

  constructor(private readonly emit: (event: SseEvent) => void) {}

  feed(text: string): void {
    let from = 0;

    if (this.first && text.length > 0) {
      this.first = false;
      if (text.charCodeAt(0) === 0xfeff) from = 1;
    }
    for (let i = from; i < text.length; i++) {
      const c = text.charCodeAt(i);

      if (c !== 10 && c !== 13) {
        this.sawCr = false;
        continue;
      }
      if (c === 10 && this.sawCr) {
        /* The LF of a CRLF whose CR has ended the line already. */
        this.sawCr = false;
        from = i + 1;
        continue;
      }
      this.sawCr = c === 13;
      this.take(this.line + text.slice(from, i));
      this.line = "";
      from = i + 1;
    }
    this.line += text.slice(from);
    if (this.line.length > LINE_MAX) throw new Error("The event stream sent a line without an end.");
  }

  private take(line: string): void {
    if (line === "") {
      this.dispatch();
      return;
    }
    const colon = line.indexOf(":");
    if (colon === 0) return;
    const field = colon < 0 ? line : line.slice(0, colon);
    let value = colon < 0 ? "" : line.slice(colon + 1);

    if (value.startsWith(" ")) value = value.slice(1);
    if (field === "event") this.event = value;
    else if (field === "id" && !value.includes("\0")) this.id = value;
    else if (field === "data") {
      this.data.push(value);
      this.size += value.length;
      if (this.size > LINE_MAX) throw new Error("The event stream sent an event without an end.");
    }
  }

  private dispatch(): void {
    const { data, event } = this;

    this.data = [];
    this.size = 0;
    this.event = "";
    if (data.length > 0) this.emit({ event: event || "message", data: data.join("\n"), id: this.id });
  }
}

/* Feeds a response body to `emit` until it ends. An event that is not complete at the end is dropped, as the grammar says. */
export async function readEvents(body: ReadableStream<Uint8Array>, emit: (event: SseEvent) => void): Promise<void> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  const parser = new SseParser(emit);

  try {
    for (;;) {
      const { done, value } = await reader.read();

      if (done) return;
      parser.feed(decoder.decode(value, { stream: true }));
    }
  } finally {
    reader.cancel().catch(() => undefined);
  }
}
