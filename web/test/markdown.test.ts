import assert from "node:assert/strict";
import { test } from "node:test";
import { highlight } from "../src/lib/highlight";
import { parseMarkdown, safeAddress, type Block, type Inline } from "../src/lib/markdown";

const ALLOWED = new Set(["p", "heading", "code", "quote", "list", "table", "rule", "text", "break", "em", "strong", "del", "link", "image"]);

/* Every node of the tree, so that a test can say what is nowhere in it. */
function walk(value: unknown, visit: (node: { t: string; href?: string }) => void): void {
  if (Array.isArray(value)) value.forEach((v) => walk(v, visit));
  else if (value && typeof value === "object") {
    if ("t" in value) visit(value as { t: string });
    Object.values(value).forEach((v) => walk(v, visit));
  }
}

function textOf(blocks: (Block | Inline)[]): string {
  const out: string[] = [];
  walk(blocks, (n) => { if ("text" in n) out.push(String((n as { text: unknown }).text)); });
  return out.join("");
}

const HOSTILE = [
  "<script>alert(1)</script>",
  "<img src=x onerror=alert(1)>",
  "text <b onclick=alert(1)>bold</b>",
  "<iframe src=\"https://evil.example\"></iframe>",
  "<style>*{display:none}</style>",
  "<svg/onload=alert(1)>",
  "<!-- comment --><meta http-equiv=refresh content=0>",
  "[x](javascript:alert(1))",
  "[x](JaVaScRiPt:alert(1))",
  "[x](&#106;avascript:alert(1))",
  "[x](data:text/html;base64,PHNjcmlwdD4=)",
  "[x](vbscript:msgbox)",
  "[x](file:///etc/passwd)",
  "[x](blob:http://a/b)",
  "[x](//evil.example/a)",
  "[x](/api/logout)",
  "[x](https://user:pass@evil.example/)",
  "![x](https://evil.example/track.png)",
  "![x](data:image/svg+xml,<svg onload=alert(1)>)",
  "[![x](https://evil.example/a.png)](javascript:alert(1))",
  "<https://evil.example>",
  "<javascript:alert(1)>",
  "[a]: javascript:alert(1)\n\n[a]",
  "```html\n<script>alert(1)</script>\n```",
  "`<script>`",
];

test("no input makes a node outside the closed set, and no link leaves http, https or mailto", () => {
  for (const text of HOSTILE) {
    walk(parseMarkdown(text), (node) => {
      assert.ok(ALLOWED.has(node.t), `${text}: ${node.t}`);
      if (node.t === "link") assert.match(node.href ?? "", /^(https?|mailto):/, text);
    });
  }
});

test("HTML stays readable text", () => {
  assert.match(textOf(parseMarkdown("<script>alert(1)</script>")), /<script>alert\(1\)<\/script>/);
  assert.match(textOf(parseMarkdown("a <b onclick=x>c</b>")), /<b onclick=x>c<\/b>/);
});

test("a picture keeps its words and loses its address", () => {
  const tree = JSON.stringify(parseMarkdown("![a cat](https://evil.example/track.png)"));
  assert.match(tree, /a cat/);
  assert.doesNotMatch(tree, /evil/);
});

test("addresses that hide who they lead to are no links", () => {
  assert.equal(safeAddress("https://example.org/a b"), null);
  assert.equal(safeAddress("https://bank.example@evil.example/"), null);
  assert.equal(safeAddress("https://example.org/ä"), "https://example.org/%C3%A4");
});

test("the usual marks become their nodes", () => {
  const [heading, paragraph, list, code, table, quote] = parseMarkdown(
    "# T\n\na **b** *c* ~~d~~ `e` [f](https://g.example)\n\n3. x\n4. y\n   - z\n\n```py x\n1 < 2\n```\n\n|a|b|\n|:-|-:|\n|1|2|\n\n> q");
  assert.deepEqual(heading, { t: "heading", level: 1, c: [{ t: "text", text: "T" }] });
  assert.deepEqual((paragraph as { c: Inline[] }).c.map((n) => n.t), ["text", "strong", "text", "em", "text", "del", "text", "code", "text", "link"]);
  assert.equal(list?.t, "list");
  assert.deepEqual([(list as { start: number }).start, (list as { items: Block[][] }).items.length], [3, 2]);
  assert.deepEqual((list as { items: Block[][] }).items[1]?.map((b) => b.t), ["p", "list"]);
  assert.deepEqual(code, { t: "code", language: "py", text: "1 < 2\n" });
  assert.deepEqual((table as { align: string[] }).align, ["left", "right"]);
  assert.deepEqual((table as { rows: Inline[][][] }).rows, [[[{ t: "text", text: "1" }], [{ t: "text", text: "2" }]]]);
  assert.equal(quote?.t, "quote");
});

test("a fence that is still open while the answer streams is already code", () => {
  assert.deepEqual(parseMarkdown("```c\nint x"), [{ t: "code", language: "c", text: "int x" }]);
});

test("deep nesting and long runs of marks end soon", () => {
  const started = performance.now();
  for (const text of [">".repeat(5000) + "x", "*".repeat(20000), "[".repeat(20000), "`".repeat(9999) + "x", "- ".repeat(3000) + "x", "|".repeat(5000) + "\n" + "|-".repeat(5000)]) parseMarkdown(text);
  assert.ok(performance.now() - started < 10_000);
});

test("highlighting keeps the text byte for byte and knows no markup", () => {
  const code = "const a = \"</code><script>\"; // <b>\nfunction f() { return `${a}`; }\n";
  for (const language of ["javascript", "ts", "python", "unknown", "", "html", "sh", "toml", "__proto__", "constructor"]) {
    assert.equal(highlight(language, code).map((p) => p.text).join(""), code, language);
  }
  assert.ok(highlight("js", code).some((p) => p.className === "hljs-keyword"));
});
