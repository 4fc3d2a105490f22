/* Builds the web UI into static files: index.html and assets/<name>-<hash>.<ext>.
 * SECAI_WEB_OUT names the folder (default web/dist); it is emptied first. */
import { build } from "esbuild";
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { basename, dirname, extname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const out = resolve(process.env.SECAI_WEB_OUT || join(here, "dist"));
const assets = join(out, "assets");

/* One entry in, one self-contained file out: the page needs two scripts, one style sheet and one icon, nothing later. */
async function bundle(entry, format) {
  const result = await build({
    entryPoints: [join(here, entry)],
    bundle: true,
    write: false,
    minify: true,
    format,
    target: ["chrome123", "firefox128", "safari17.5"],
    jsx: "automatic",
    jsxImportSource: "preact",
    charset: "utf8",
    legalComments: "none",
    logLevel: "warning",
    outdir: out,
    metafile: true,
    absWorkingDir: here,
  });
  return { contents: result.outputFiles[0].contents, inputs: Object.keys(result.metafile.inputs) };
}

/* The licences of the packages whose code is in the bundle, as a page of their own: they ask to go with every copy. */
async function licences(inputs) {
  const packages = new Set(inputs.map((path) => /^(node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1]).filter(Boolean));
  const parts = [];

  for (const folder of [...packages].sort()) {
    const { name, version, license } = JSON.parse(await readFile(join(here, folder, "package.json"), "utf8"));
    const file = (await readdir(join(here, folder))).find((f) => /^licen[cs]e/i.test(f));
    if (!file) throw new Error(`${name} comes without a licence file`);
    parts.push(`${name} ${version} (${license})\n\n${(await readFile(join(here, folder, file), "utf8")).trim()}`);
  }
  const text = parts.join(`\n\n${"-".repeat(80)}\n\n`).replace(/[&<>]/g, (c) => `&#${c.charCodeAt(0)};`);
  return `<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="color-scheme" content="light dark"><title>Licences</title></head><body><main><h1>Licences of the software in this page</h1><pre>${text}</pre></main></body></html>\n`;
}

async function publish(name, contents) {
  const hash = createHash("sha256").update(contents).digest("hex").slice(0, 10);
  const file = `${basename(name, extname(name))}-${hash}${extname(name)}`;
  await writeFile(join(assets, file), contents);
  return `/assets/${file}`;
}

await rm(assets, { recursive: true, force: true });
await mkdir(assets, { recursive: true });
const [app, theme, style] = await Promise.all([
  bundle("src/main.tsx", "esm"),
  bundle("src/theme-boot.ts", "iife"),
  bundle("src/style/main.css"),
]);
const names = {
  app: await publish("app.js", app.contents),
  theme: await publish("theme.js", theme.contents),
  style: await publish("style.css", style.contents),
  licences: await publish("licences.html", await licences(app.inputs)),
  icon: await publish("icon.svg", await readFile(join(here, "src/icon.svg"))),
};
const template = await readFile(join(here, "src/index.html"), "utf8");
await writeFile(join(out, "index.html"), template.replace(/@(\w+)@/g, (_, key) => names[key]));
const kb = (bytes) => `${Math.round(bytes.length / 1024)} KB`;
console.log(`web UI in ${out}: script ${kb(app.contents)}, style ${kb(style.contents)}`);
