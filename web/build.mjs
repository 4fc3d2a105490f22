/* Builds the web UI into static files: index.html and assets/<name>-<hash>.<ext>.
 * SECAI_WEB_OUT names the folder (default web/dist); it is emptied first. */
import { build } from "esbuild";
import { createHash } from "node:crypto";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { basename, dirname, extname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const out = resolve(process.env.SECAI_WEB_OUT || join(here, "dist"));
const assets = join(out, "assets");

/* One file in, one self-contained file out: the page needs two scripts, one style sheet and one icon, nothing later. */
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
  });
  return result.outputFiles[0].contents;
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
  app: await publish("app.js", app),
  theme: await publish("theme.js", theme),
  style: await publish("style.css", style),
  icon: await publish("icon.svg", await readFile(join(here, "src/icon.svg"))),
};
const template = await readFile(join(here, "src/index.html"), "utf8");
await writeFile(join(out, "index.html"), template.replace(/@(\w+)@/g, (_, key) => names[key]));
const kb = (bytes) => `${Math.round(bytes.length / 1024)} KB`;
console.log(`web UI in ${out}: script ${kb(app)}, style ${kb(style)}`);
