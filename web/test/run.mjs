/* Bundles each test with the TypeScript it tests and runs them with node's own test runner. */
import { build } from "esbuild";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const out = mkdtempSync(join(here, "..", "node_modules", ".test-"));
let status = 1;

try {
  const names = readdirSync(here).filter((name) => name.endsWith(".test.ts"));
  await build({
    entryPoints: names.map((name) => join(here, name)),
    bundle: true, platform: "node", format: "esm", target: "node18", outdir: out, logLevel: "warning",
    outExtension: { ".js": ".mjs" }, external: ["node:*"],
  });
  const files = readdirSync(out).map((name) => join(out, name));
  status = spawnSync(process.execPath, ["--test", ...process.argv.slice(2), ...files], { stdio: "inherit" }).status ?? 1;
} finally {
  rmSync(out, { recursive: true, force: true });
}
process.exit(status);
