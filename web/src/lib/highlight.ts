/* Colours for code: a few languages, as a tree of class names and text. */
import { createLowlight } from "lowlight";
import bash from "highlight.js/lib/languages/bash";
import c from "highlight.js/lib/languages/c";
import cpp from "highlight.js/lib/languages/cpp";
import css from "highlight.js/lib/languages/css";
import diff from "highlight.js/lib/languages/diff";
import go from "highlight.js/lib/languages/go";
import ini from "highlight.js/lib/languages/ini";
import java from "highlight.js/lib/languages/java";
import javascript from "highlight.js/lib/languages/javascript";
import json from "highlight.js/lib/languages/json";
import python from "highlight.js/lib/languages/python";
import rust from "highlight.js/lib/languages/rust";
import sql from "highlight.js/lib/languages/sql";
import typescript from "highlight.js/lib/languages/typescript";
import xml from "highlight.js/lib/languages/xml";
import yaml from "highlight.js/lib/languages/yaml";

export interface Piece {
  className: string;
  text: string;
}

const CODE_MAX = 50_000;
const lowlight = createLowlight({ bash, c, cpp, css, diff, go, ini, java, javascript, json, python, rust, sql, typescript, xml, yaml });
lowlight.registerAlias({ bash: ["shell", "sh", "console"], ini: ["toml"] });

type Tree = ReturnType<typeof lowlight.highlight>["children"][number];

function flatten(nodes: readonly Tree[], className: string, out: Piece[]): void {
  for (const node of nodes) {
    if (node.type === "text") out.push({ className, text: node.value });
    else if (node.type === "element") {
      const own = node.properties["className"];
      flatten(node.children as Tree[], Array.isArray(own) ? String(own[0] ?? "") : className, out);
    }
  }
}

export function highlight(language: string, text: string): Piece[] {
  if (!language || text.length > CODE_MAX || !lowlight.registered(language)) return [{ className: "", text }];
  const out: Piece[] = [];

  flatten(lowlight.highlight(language, text).children, "", out);
  return out;
}
