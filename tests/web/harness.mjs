/* What the browser tests share: a target (the mock, or the real staged system), a browser, and a watch over
 * everything that must not happen on any page. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

export const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const load = createRequire(join(root, "web", "package.json"));
const { chromium } = load("playwright-core");
const axeSource = readFileSync(load.resolve("axe-core/axe.min.js"), "utf8");

export const CHROMIUM = process.env.SECAI_CHROMIUM ?? "/usr/bin/chromium";
export const PASSPHRASE = "correct horse battery staple";
const ARGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"];

/* ---- targets ---- */

export async function mockTarget(options = {}) {
  const { startMock } = await import(pathToFileURL(join(root, "web", "dev", "mock.mjs")));
  const mock = await startMock({ dist: process.env.SECAI_WEB_OUT || join(root, "web", "dist"), pace: 0.15, lockSeconds: 30, ...options });
  return { kind: "mock", ...mock };
}

const START_MS = 60_000;

function startedBy(child) {
  return new Promise((resolve, reject) => {
    let text = "";
    const timer = setTimeout(() => reject(new Error(`securectl up did not say its address and code in time:\n${text}`)), START_MS);
    child.stderr.setEncoding("utf8").on("data", (part) => { text += part; });
    createInterface({ input: child.stdout }).on("line", (line) => {
      text += `${line}\n`;
      if (!line.startsWith("{")) return;
      const event = JSON.parse(line);
      if (event.event !== "running") return;
      clearTimeout(timer);
      resolve({ url: event.address, code: event.code });
    });
    child.on("exit", (status) => {
      clearTimeout(timer);
      reject(new Error(`securectl up ended with ${status}:\n${text}`));
    });
  });
}

/* The shipped programs on a state of their own. */
export async function systemTarget(stage) {
  const state = mkdtempSync(join(tmpdir(), "secai-web-"));
  const child = spawn(join(stage, "usr/bin/securectl"), ["up", "--json", "--state-root", state, "--port", "0"], { stdio: ["ignore", "pipe", "pipe"] });
  const ended = new Promise((resolve) => child.on("exit", resolve));
  /* A run that is cut short leaves no system behind. */
  process.once("SIGTERM", () => process.exit(1));
  process.once("exit", () => child.kill("SIGINT"));
  const close = async () => {
    child.kill("SIGINT");
    const late = setTimeout(() => child.kill("SIGKILL"), 20_000);
    await ended;
    clearTimeout(late);
    rmSync(state, { recursive: true, force: true });
  };
  try {
    const started = await startedBy(child);
    const page = await fetch(started.url).then((r) => r.text());
    if (!page.includes("/assets/")) throw new Error("the ui program was built without the page: run make setup, then make build");
    return { kind: "system", ...started, close };
  } catch (error) {
    if (child.exitCode === null) await close();
    throw error;
  }
}

/* ---- browser ---- */

/* Refusals that a test provokes are told by the browser as console errors; every other one counts. */
const EXPECTED = /Failed to load resource.*(401|403|409|422|429|404)/;

export class Visit {
  constructor(browser, target) {
    this.browser = browser;
    this.target = target;
    this.faults = [];
  }

  async open(options = {}) {
    this.context = await this.browser.newContext({ viewport: { width: 1280, height: 800 }, reducedMotion: "reduce", permissions: ["clipboard-read", "clipboard-write"], ...options });
    this.context.setDefaultTimeout(this.target.kind === "mock" ? 15_000 : 30_000);
    const origin = new URL(this.target.url).origin;
    this.context.on("request", (r) => {
      if (!r.url().startsWith("data:") && new URL(r.url()).origin !== origin) this.faults.push(`a request left the machine: ${r.url()}`);
    });
    await this.context.addInitScript(() => {
      addEventListener("securitypolicyviolation", (e) => console.error(`CSP violation: ${e.violatedDirective} ${e.blockedURI} ${e.sourceFile}:${e.lineNumber}`));
    });
    this.page = await this.context.newPage();
    this.page.on("console", (m) => {
      if (m.type() === "error" && !(EXPECTED.test(m.text()) || (this.outage && /Failed to load resource|ERR_/.test(m.text())))) this.faults.push(m.text());
    });
    this.page.on("pageerror", (e) => this.faults.push(`uncaught: ${e.stack ?? e}`));
    await this.page.goto(this.target.url);
    return this.page;
  }

  async setUp(passphrase = PASSPHRASE) {
    const { page } = this;
    await page.getByLabel("One-time code").fill(this.target.code);
    await page.getByLabel("Passphrase", { exact: true }).fill(passphrase);
    await page.getByLabel("Passphrase again").fill(passphrase);
    await page.getByRole("button", { name: "Set passphrase and start" }).click();
    await page.getByRole("navigation", { name: "Pages" }).waitFor();
  }

  async logIn(passphrase = PASSPHRASE) {
    await this.page.getByLabel("Passphrase", { exact: true }).fill(passphrase);
    await this.page.getByRole("button", { name: "Unlock" }).click();
  }

  async show(name) {
    await this.page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name }).click();
    await this.page.locator("main h1").waitFor();
  }

  /* axe in light and in dark, at the size the page has. */
  async checkAccess(where) {
    for (const colorScheme of ["light", "dark"]) {
      await this.page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      await this.page.evaluate(axeSource);
      const found = await this.page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
      const list = found.violations.flatMap((v) => v.nodes.map((n) => `${v.id}: ${n.target.join(" ")} – ${n.failureSummary?.split("\n").slice(1, 3).join("; ")}`));
      assert.deepEqual(list, [], `${where}, ${colorScheme}`);
    }
    await this.page.emulateMedia({ colorScheme: "light", reducedMotion: "reduce" });
  }

  async checkWidth(where, widths = [320, 360, 768]) {
    const before = this.page.viewportSize();
    for (const width of widths) {
      await this.page.setViewportSize({ width, height: 720 });
      await this.page.waitForTimeout(100);
      const over = await this.page.evaluate(() => {
        const limit = document.documentElement.clientWidth;
        const scrolled = (el) => { for (let p = el; p; p = p.parentElement) { const o = getComputedStyle(p).overflowX; if (o === "auto" || o === "hidden" || o === "scroll" || o === "clip") return p !== document.documentElement && p !== document.body && p.id !== "main"; } return false; };
        const wide = [...document.querySelectorAll("body *")].filter((el) => el.getBoundingClientRect().right > limit + 0.5 && !scrolled(el) && !el.closest(".sr-only") && getComputedStyle(el).visibility !== "hidden");
        const main = document.getElementById("main");
        return { page: document.documentElement.scrollWidth - limit, main: main ? main.scrollWidth - main.clientWidth : 0, wide: wide.slice(0, 4).map((el) => `${el.tagName}.${el.className}`) };
      });
      assert.deepEqual(over, { page: 0, main: 0, wide: [] }, `${where} at ${width} px`);
    }
    await this.page.setViewportSize(before);
  }

  noFaults() {
    assert.deepEqual(this.faults, []);
  }

  async close() {
    await this.context?.close();
  }
}

export function launch() {
  return chromium.launch({ executablePath: CHROMIUM, args: ARGS });
}

export function missing() {
  return existsSync(CHROMIUM) ? "" : `Chromium is missing (${CHROMIUM}); install the package chromium`;
}

/* The first bytes of a GGUF file: enough for the mock, which looks no further. */
export function fakeGguf(size = 200_000) {
  const bytes = Buffer.alloc(size, 7);
  bytes.write("GGUF", 0, "latin1");
  return bytes;
}

/* A pickle as torch.save once made them: protocol 2, then a call. */
export function pickle() {
  return Buffer.from("\x80\x02cposix\nsystem\nq\x00X\x04\x00\x00\x00trueq\x01\x85q\x02Rq\x03.", "latin1");
}
