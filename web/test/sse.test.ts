import assert from "node:assert/strict";
import { test } from "node:test";
import { LINE_MAX, readEvents, SseParser, type SseEvent } from "../src/lib/sse";

function parse(...pieces: string[]): SseEvent[] {
  const out: SseEvent[] = [];
  const parser = new SseParser((e) => out.push(e));
  for (const piece of pieces) parser.feed(piece);
  return out;
}

const data = (events: SseEvent[]) => events.map((e) => e.data);

test("line ends of all three kinds end a line", () => {
  assert.deepEqual(data(parse("data: a\n\ndata: b\r\n\r\ndata: c\r\r")), ["a", "b", "c"]);
});

test("any cut into pieces gives the same events", () => {
  const text = "\ufeff: hello\r\nevent: job\r\ndata: {\"a\":1}\r\ndata:second\r\n\r\nid: 7\ndata: ü€😀\n\n";
  const whole = parse(text);
  assert.equal(whole.length, 2);
  assert.deepEqual(whole[0], { event: "job", data: "{\"a\":1}\nsecond", id: "" });
  assert.deepEqual(whole[1], { event: "message", data: "ü€😀", id: "7" });
  for (let i = 0; i <= text.length; i++) assert.deepEqual(parse(text.slice(0, i), text.slice(i)), whole, `cut at ${i}`);
  assert.deepEqual(parse(...text.split("")), whole);
});

test("comments and events without data are not delivered", () => {
  assert.deepEqual(parse(": keep-alive\n\nevent: x\n\n"), []);
});

test("only one space after the colon is dropped", () => {
  assert.deepEqual(data(parse("data:  two\n\ndata\n\n")), [" two", ""]);
});

test("an event that is not complete at the end is dropped", () => {
  assert.deepEqual(parse("data: half\n"), []);
});

test("the event name does not leak into the next event", () => {
  assert.deepEqual(parse("event: a\ndata: 1\n\ndata: 2\n\n").map((e) => e.event), ["a", "message"]);
});

test("a line without an end is refused before it fills the memory", () => {
  const parser = new SseParser(() => undefined);
  assert.throws(() => { for (let i = 0; i <= LINE_MAX / 65536 + 1; i++) parser.feed("x".repeat(65536)); });
});

test("an event without an end is refused before it fills the memory", () => {
  const parser = new SseParser(() => undefined);
  assert.throws(() => { for (let i = 0; i <= LINE_MAX / 65536 + 1; i++) parser.feed(`data: ${"x".repeat(65536)}\n`); });
});

test("multi-byte characters cut between network pieces stay whole", async () => {
  const raw = new TextEncoder().encode("data: grün €\n\n");
  const out: string[] = [];
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const byte of raw) controller.enqueue(Uint8Array.of(byte));
      controller.close();
    },
  });
  await readEvents(body, (e) => out.push(e.data));
  assert.deepEqual(out, ["grün €"]);
});
