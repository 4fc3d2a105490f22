/* Markdown to a closed tree of harmless nodes. HTML stays text, pictures become a note, links keep their address as
 * data only; what the page shows is decided by the renderer, and no markup text ever reaches the document. */
import MarkdownIt from "markdown-it";

type Token = ReturnType<MarkdownIt["parse"]>[number];

export type Inline =
  | { t: "text"; text: string }
  | { t: "code"; text: string }
  | { t: "break" }
  | { t: "em" | "strong" | "del"; c: Inline[] }
  | { t: "link"; href: string; c: Inline[] }
  | { t: "image"; alt: string };

export type Block =
  | { t: "p"; c: Inline[] }
  | { t: "heading"; level: number; c: Inline[] }
  | { t: "code"; language: string; text: string }
  | { t: "quote"; c: Block[] }
  | { t: "list"; ordered: boolean; start: number; items: Block[][]; tight: boolean }
  | { t: "table"; head: Inline[][]; rows: Inline[][][]; align: ("left" | "center" | "right" | "")[] }
  | { t: "rule" };

const parser = new MarkdownIt("default", { html: false, linkify: false, typographer: false });
parser.validateLink = (url) => safeAddress(url) !== null;

/* Only addresses that a browser would open as a page or a mail; everything else is no link at all. */
export function safeAddress(url: string): string | null {
  const text = url.trim();
  if (!/^(https?:\/\/|mailto:)/i.test(text) || /[\u0000-\u0020\u007f]/.test(text)) return null;
  try {
    const parsed = new URL(text);
    if (!["http:", "https:", "mailto:"].includes(parsed.protocol)) return null;
    return parsed.username || parsed.password ? null : parsed.href;
  } catch {
    return null;
  }
}

function inline(tokens: readonly Token[]): Inline[] {
  const root: Inline[] = [];
  const stack: Inline[][] = [root];
  const top = () => stack[stack.length - 1] ?? root;
  const open = (node: Inline & { c: Inline[] }) => {
    top().push(node);
    stack.push(node.c);
  };

  for (const token of tokens) {
    switch (token.type) {
      case "text": case "text_special": case "html_inline": top().push({ t: "text", text: token.content }); break;
      case "code_inline": top().push({ t: "code", text: token.content }); break;
      case "softbreak": top().push({ t: "text", text: "\n" }); break;
      case "hardbreak": top().push({ t: "break" }); break;
      case "em_open": open({ t: "em", c: [] }); break;
      case "strong_open": open({ t: "strong", c: [] }); break;
      case "s_open": open({ t: "del", c: [] }); break;
      case "link_open": open({ t: "link", href: safeAddress(token.attrGet("href") ?? "") ?? "", c: [] }); break;
      case "image": top().push({ t: "image", alt: token.content }); break;
      case "em_close": case "strong_close": case "s_close": case "link_close":
        if (stack.length > 1) stack.pop();
        break;
      default: top().push({ t: "text", text: token.content });
    }
  }
  return root;
}

class Reader {
  private at = 0;
  constructor(private readonly tokens: readonly Token[]) {}

  blocks(until: string | null): Block[] {
    const out: Block[] = [];

    while (this.at < this.tokens.length) {
      const token = this.tokens[this.at++];
      if (!token || token.type === until) break;
      const block = this.block(token);
      if (block) out.push(block);
    }
    return out;
  }

  private inlineThen(close: string): Inline[] {
    const token = this.tokens[this.at];
    const c = token?.type === "inline" ? inline(token.children ?? []) : [];

    while (this.at < this.tokens.length && this.tokens[this.at++]?.type !== close);
    return c;
  }

  private block(token: Token): Block | null {
    switch (token.type) {
      case "paragraph_open": return { t: "p", c: this.inlineThen("paragraph_close") };
      case "heading_open": return { t: "heading", level: Number(token.tag.slice(1)) || 6, c: this.inlineThen("heading_close") };
      case "fence": return { t: "code", language: (token.info.trim().split(/\s+/)[0] ?? "").toLowerCase().slice(0, 30), text: token.content };
      case "code_block": return { t: "code", language: "", text: token.content };
      case "html_block": return { t: "p", c: [{ t: "text", text: token.content }] };
      case "blockquote_open": return { t: "quote", c: this.blocks("blockquote_close") };
      case "bullet_list_open": return this.list(false, 1, "bullet_list_close");
      case "ordered_list_open": return this.list(true, Number(token.attrGet("start") ?? 1), "ordered_list_close");
      case "table_open": return this.table();
      case "hr": return { t: "rule" };
      case "inline": return { t: "p", c: inline(token.children ?? []) };
      default: return null;
    }
  }

  private list(ordered: boolean, start: number, close: string): Block {
    const items: Block[][] = [];
    const from = this.at;

    while (this.at < this.tokens.length) {
      const token = this.tokens[this.at++];
      if (!token || token.type === close) break;
      if (token.type === "list_item_open") items.push(this.blocks("list_item_close"));
    }
    const tight = this.tokens.slice(from, this.at).some((t) => t.type === "paragraph_open" && t.hidden);
    return { t: "list", ordered, start: Number.isFinite(start) ? start : 1, items, tight };
  }

  private table(): Block {
    const rows: Inline[][][] = [];
    const align: ("left" | "center" | "right" | "")[] = [];

    while (this.at < this.tokens.length) {
      const token = this.tokens[this.at++];
      if (!token || token.type === "table_close") break;
      if (token.type === "tr_open") rows.push([]);
      if (token.type === "th_open" || token.type === "td_open") {
        if (token.type === "th_open") align.push((/(left|center|right)/.exec(token.attrGet("style") ?? "")?.[1] ?? "") as "left");
        rows[rows.length - 1]?.push(this.inlineThen(token.type === "th_open" ? "th_close" : "td_close"));
      }
    }
    return { t: "table", head: rows[0] ?? [], rows: rows.slice(1), align };
  }
}

export function parseMarkdown(text: string): Block[] {
  return new Reader(parser.parse(text, {})).blocks(null);
}
