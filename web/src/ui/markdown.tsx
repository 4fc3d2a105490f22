/* Draws the Markdown tree. No markup text reaches the document: only elements that are named here, with text in them. */
import { Fragment } from "preact";
import { memo } from "preact/compat";
import { useMemo, useState } from "preact/hooks";
import { highlight } from "../lib/highlight";
import { parseMarkdown, type Block, type Inline } from "../lib/markdown";
import { Button, CopyButton, Dialog } from "./parts";
import { Icon } from "./icons";

function LinkDialog({ href, onClose }: { href: string; onClose: () => void }) {
  const open = () => {
    window.open(href, "_blank", "noopener,noreferrer");
    onClose();
  };
  return (
    <Dialog title="This link leads off this machine" onClose={onClose} actions={<>
      <CopyButton text={() => href} label="Copy address" small={false} />
      <Button icon="external" onClick={open}>Open in a new tab</Button>
    </>}>
      <p>The model wrote this address. It may be wrong or invented, and opening it tells that site that you came.</p>
      <p class="address">{href}</p>
    </Dialog>
  );
}

function Link({ href, children }: { href: string; children: Inline[] }) {
  const [asked, setAsked] = useState(false);

  if (!href) return <Inlines list={children} />;
  return (
    <>
      <button type="button" class="text-link" title={href} onClick={() => setAsked(true)}><Inlines list={children} /></button>
      {asked ? <LinkDialog href={href} onClose={() => setAsked(false)} /> : null}
    </>
  );
}

function Inlines({ list }: { list: Inline[] }) {
  return <>{list.map((node, i) => <InlineNode key={i} node={node} />)}</>;
}

function InlineNode({ node }: { node: Inline }) {
  switch (node.t) {
    case "text": return <>{node.text}</>;
    case "code": return <code class="inline">{node.text}</code>;
    case "break": return <br />;
    case "em": return <em><Inlines list={node.c} /></em>;
    case "strong": return <strong><Inlines list={node.c} /></strong>;
    case "del": return <del><Inlines list={node.c} /></del>;
    case "link": return <Link href={node.href}>{node.c}</Link>;
    case "image": return <span class="no-image"><Icon name="image" size={15} />Picture not loaded{node.alt ? `: ${node.alt}` : ""}</span>;
  }
}

const CodeBlock = memo(function CodeBlock({ language, text }: { language: string; text: string }) {
  const pieces = useMemo(() => highlight(language, text.replace(/\n$/, "")), [language, text]);

  return (
    <div class="code-block">
      <div class="code-head">
        <span>{language || "text"}</span>
        <CopyButton text={() => text} label="Copy code" />
      </div>
      <pre tabIndex={0} role="group" aria-label={`Code${language ? ` in ${language}` : ""}`}><code>{pieces.map((p, i) => (p.className ? <span key={i} class={p.className}>{p.text}</span> : <Fragment key={i}>{p.text}</Fragment>))}</code></pre>
    </div>
  );
});

function ListItems({ items, tight }: { items: Block[][]; tight: boolean }) {
  return <>{items.map((item, i) => (
    <li key={i}>{item.map((b, k) => (tight && b.t === "p" ? <Inlines key={k} list={b.c} /> : <BlockNode key={k} block={b} />))}</li>
  ))}</>;
}

function BlockNode({ block }: { block: Block }) {
  switch (block.t) {
    case "p": return <p><Inlines list={block.c} /></p>;
    case "heading": {
      const Tag = (["h3", "h4", "h5", "h6"] as const)[Math.min(block.level, 4) - 1] ?? "h6";
      return <Tag><Inlines list={block.c} /></Tag>;
    }
    case "code": return <CodeBlock language={block.language} text={block.text} />;
    case "quote": return <blockquote>{block.c.map((b, i) => <BlockNode key={i} block={b} />)}</blockquote>;
    case "list": return block.ordered
      ? <ol start={block.start}><ListItems items={block.items} tight={block.tight} /></ol>
      : <ul><ListItems items={block.items} tight={block.tight} /></ul>;
    case "table": return (
      <div class="table-wrap" tabIndex={0} role="group" aria-label="Table">
        <table>
          <thead><tr>{block.head.map((c, i) => <th key={i} scope="col" class={block.align[i]}><Inlines list={c} /></th>)}</tr></thead>
          <tbody>{block.rows.map((row, r) => <tr key={r}>{row.map((c, i) => <td key={i} class={block.align[i]}><Inlines list={c} /></td>)}</tr>)}</tbody>
        </table>
      </div>
    );
    case "rule": return <hr />;
  }
}

export const Markdown = memo(function Markdown({ text }: { text: string }) {
  const blocks = useMemo(() => parseMarkdown(text), [text]);

  return <div class="prose">{blocks.map((b, i) => <BlockNode key={i} block={b} />)}</div>;
});
