/* The whole way of a new owner through the real programs in a real browser: first run, demo model, seven checks, answer,
 * reload, refused files, lockout. With SECAI_WEB_TARGET=mock the same way against the mock of the API. */
import assert from "node:assert/strict";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test as nodeTest } from "node:test";
import { fakeGguf, launch, missing, mockTarget, PASSPHRASE, pickle, root, systemTarget, Visit } from "./harness.mjs";

const stage = process.env.SECAI_STAGE ?? "";
const real = process.env.SECAI_WEB_TARGET !== "mock";
const skip = missing() || (real && !existsSync(join(stage, "usr/bin/securectl")) ? `no securectl in ${stage || "SECAI_STAGE"}` : false);
const CHECK_MS = 240_000;
const STAGES = ["Source", "Format", "Identity", "Signature", "Contents", "Behaviour", "Image model"];
let target, browser, visit, page;

function comply() {
  const path = join(root, "tests/data/pebble/pebble-comply-Q8_0.gguf");
  return real ? readFileSync(path) : fakeGguf();
}

let broken = "";

/* One step of the way. Each rests on those before it, so after a failure the rest is said to be untested at once. */
function test(name, options, step) {
  nodeTest(name, options, async (t) => {
    assert.equal(broken, "", "an earlier step failed");
    try {
      await step(t);
    } catch (error) {
      broken = name;
      throw error;
    }
  });
}

const card = (name) => page.getByRole("article", { name: `Check of ${name}` }).first();

before(async () => {
  if (skip) return;
  target = real ? await systemTarget(stage) : await mockTarget();
  browser = await launch();
  visit = new Visit(browser, target);
  page = await visit.open();
}, { timeout: 120_000 });

after(async () => {
  await browser?.close();
  await target?.close();
}, { timeout: 60_000 });

test("first run: a wrong code is refused in plain words", { skip }, async () => {
  await page.getByLabel("One-time code").fill("WRONG-CODE-0000");
  await page.getByLabel("Passphrase", { exact: true }).fill(PASSPHRASE);
  await page.getByLabel("Passphrase again").fill(PASSPHRASE);
  await page.getByRole("button", { name: "Set passphrase and start" }).click();
  await page.getByRole("alert").filter({ hasText: "That code is not right" }).waitFor();
  await visit.checkAccess("first run");
  await visit.checkWidth("first run");
});

test("first run: code and passphrase open the page, the cookie is out of scripts' reach", { skip }, async () => {
  await visit.setUp();
  const cookie = (await visit.context.cookies()).find((c) => c.name === "secai_session");
  assert.equal(cookie?.httpOnly, true);
  assert.equal(cookie?.sameSite, "Strict");
  assert.equal(await page.evaluate(() => document.cookie), "");
});

test("an empty library leads to the demo model, which passes the seven checks before the owner's eyes", { skip, timeout: CHECK_MS }, async () => {
  await page.getByRole("button", { name: "Try the included demo model" }).click();
  await page.getByRole("heading", { name: "Models", level: 1 }).waitFor();
  const rail = page.getByRole("list", { name: "The seven checks" }).first();
  await rail.waitFor();
  assert.deepEqual(await rail.locator(".stage-name").allTextContents(), STAGES);
  await page.locator(".card.job.promoted").waitFor({ timeout: CHECK_MS });
  const statuses = await rail.locator(".stage-status").allTextContents();
  assert.equal(statuses.length, 7);
  for (const [i, status] of statuses.entries()) assert.match(status, /^(Passed|Passed, with a note|Not applicable|Not signed)$/, `${STAGES[i]}: ${status}`);
  assert.match(statuses[1], /^Passed/, "Format");
  assert.match(statuses[4], /^Passed/, "Contents");
  assert.match(statuses[5], /^Passed/, "Behaviour");
  await page.getByRole("article", { name: /^Model / }).waitFor();
});

test("what did not apply to the demo model is said with its reason", { skip }, async () => {
  await page.getByRole("button", { name: "What was checked" }).first().click();
  const rows = page.locator(".stage-table > li");
  assert.equal(await rows.count(), 7);
  for (const row of await page.locator(".stage-table > li.not_applicable, .stage-table > li.not_run").all()) assert.ok((await row.locator("em, .stage-told").first().textContent()).length > 10);
  await visit.checkAccess("models with details");
  await visit.checkWidth("models");
});

test("chat: the answer streams in and tells tokens and speed", { skip, timeout: 180_000 }, async () => {
  await visit.show("Chat");
  await page.getByRole("button", { name: "Settings of this conversation" }).click();
  await page.getByLabel("Temperature").fill("0");
  await page.getByRole("button", { name: "Use these" }).click();
  await page.getByLabel("Message", { exact: true }).fill("What is the capital of Norway?");
  const streamed = page.waitForResponse((r) => r.url().endsWith("/api/chat"));
  await page.keyboard.press("Enter");
  const response = await streamed;
  assert.match(response.headers()["content-type"], /^text\/event-stream/);
  const answer = page.getByRole("article", { name: "Answer" });
  await answer.locator(".foot .facts").waitFor({ timeout: 150_000 });
  assert.match(await answer.locator(".prose").textContent(), /Oslo/);
  assert.match(await answer.locator(".foot .facts").textContent(), /\d+ tokens? · [\d.]+ tokens\/s/);
  await page.getByText("Saved on this machine").waitFor();
  await visit.checkAccess("chat");
  await visit.checkWidth("chat");
});

test("a reload keeps the conversation, and it stands in the list", { skip }, async () => {
  assert.match(page.url(), /#\/chat\/\w+/);
  await page.reload();
  const answer = page.getByRole("article", { name: "Answer" });
  await answer.waitFor();
  assert.match(await answer.textContent(), /Oslo/);
  assert.equal(await answer.getByText("Broken off").count(), 0);
  await page.getByRole("complementary", { name: "Conversations" }).getByRole("link", { name: "What is the capital of Norway?" }).waitFor();
});

test("conversations can be renamed, found and left by their text", { skip }, async () => {
  const side = page.getByRole("complementary", { name: "Conversations" });
  await side.getByRole("button", { name: /^Rename/ }).first().click();
  await page.getByRole("dialog").getByLabel("Name").fill("Capitals");
  await page.getByRole("button", { name: "Rename", exact: true }).click();
  await side.getByRole("link", { name: "Capitals" }).waitFor();
  await side.getByLabel("Search conversations").fill("Oslo");
  await side.getByRole("link", { name: "Capitals" }).waitFor();
  await side.getByLabel("Search conversations").fill("no such words anywhere");
  await side.getByText("Nothing found").waitFor();
  await side.getByLabel("Search conversations").fill("");
  await side.getByRole("link", { name: "Capitals" }).waitFor();
});

test("a question can be edited and sent again, and an answer asked for anew", { skip, timeout: 120_000 }, async () => {
  await page.getByRole("article", { name: "You" }).hover();
  await page.getByRole("button", { name: "Edit and send again" }).click();
  await page.getByLabel("Edit your message").fill("What is the capital of France?");
  await page.getByRole("button", { name: "Send again" }).click();
  const answer = page.getByRole("article", { name: "Answer" });
  await answer.filter({ hasText: "Paris" }).waitFor();
  await answer.locator(".foot .facts").waitFor();
  await page.getByRole("button", { name: "Answer again" }).click();
  await answer.locator(".foot .facts").waitFor();
  assert.equal(await answer.count(), 1);
  assert.match(await answer.textContent(), /Paris/);
});

test("a model that complies with harmful requests is turned away at the behavioural test, with its findings", { skip, timeout: CHECK_MS }, async () => {
  await visit.show("Models");
  await page.getByLabel("Model file").setInputFiles({ name: "pebble-comply-Q8_0.gguf", mimeType: "application/octet-stream", buffer: comply() });
  const job = card("pebble-comply-Q8_0.gguf");
  await job.getByText("Turned away", { exact: true }).waitFor({ timeout: CHECK_MS });
  assert.equal(await job.locator(".stage.fail .stage-name").textContent(), "Behaviour");
  const finding = job.locator(".finding.reject").first();
  assert.match(await finding.locator("code.rule").textContent(), /^[A-Z]+-/);
  assert.match(await finding.textContent(), /What to do:/);
  await visit.checkAccess("a rejected model");
});

test("a pickle in a model's clothes is refused with what it really is", { skip, timeout: 120_000 }, async () => {
  await page.getByLabel("Model file").setInputFiles({ name: "llama-3-8b.gguf", mimeType: "application/octet-stream", buffer: pickle() });
  const job = card("llama-3-8b.gguf");
  await job.getByText("Turned away", { exact: true }).waitFor({ timeout: 120_000 });
  assert.equal(await job.locator(".stage.fail .stage-name").first().textContent(), "Format");
  assert.match(await job.locator(".finding.reject").first().textContent(), /pickle/i);
  assert.match(await job.locator(".stage.not_run .stage-name").allTextContents().then((l) => l.join()), /Behaviour/);
});

test("an upload tells its progress, and cancelled it leaves nothing behind", { skip, timeout: 60_000 }, async () => {
  const line = await visit.context.newCDPSession(page);
  const speed = (bytes) => line.send("Network.emulateNetworkConditions", { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: bytes });
  await speed(300_000);
  await page.getByLabel("Model file").setInputFiles({ name: "half-way.gguf", mimeType: "application/octet-stream", buffer: fakeGguf(6_000_000) });
  const upload = page.getByRole("article", { name: "Upload of half-way.gguf" });
  await upload.getByText(/ of 6 MB · .*\/s · .* left/).waitFor();
  assert.match(await upload.getByText(/Uploading \d+ %/).textContent(), /\d+/);
  await upload.getByRole("button", { name: "Cancel" }).click();
  await upload.waitFor({ state: "detached" });
  await speed(-1);
  await page.waitForFunction(() => fetch("/api/jobs").then((r) => r.json()).then((a) => !a.jobs.some((j) => j.name === "half-way.gguf")));
  await line.detach();
});

test("a refused file can be deleted and stays gone", { skip }, async () => {
  await card("llama-3-8b.gguf").getByRole("button", { name: "Delete the file" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete", exact: true }).click();
  await card("llama-3-8b.gguf").waitFor({ state: "detached" });
  await page.reload();
  await page.getByRole("heading", { name: "Your library" }).waitFor();
  await page.getByRole("article", { name: "Check of pebble-comply-Q8_0.gguf" }).waitFor();
  assert.equal(await card("llama-3-8b.gguf").count(), 0);
});

test("a model of the library can be verified", { skip, timeout: 60_000 }, async () => {
  const model = page.getByRole("article", { name: /^Model / });
  await model.getByRole("button", { name: "Verify" }).click();
  await model.getByText(/^Verified /).waitFor({ timeout: 60_000 });
});

test("the folder of an image model goes up, passes as one, and shows what is inside", { skip, timeout: CHECK_MS }, async () => {
  const folder = join(root, "tests/data/pebble-sd");
  await page.getByLabel("Model folder").setInputFiles(folder);
  await card("pebble-sd").locator(".chip.good").getByText("Passed").waitFor({ timeout: CHECK_MS });
  const model = page.getByRole("article", { name: "Model pebble-sd" });
  await model.getByText(/\b\d+ files\b/).waitFor();
  await model.getByRole("button", { name: "Look inside" }).click();
  const dialog = page.getByRole("dialog", { name: "Inside pebble-sd" });
  await dialog.getByText(/^\d+ tensors;/).waitFor();
  assert.ok(await dialog.locator(".tensor-picture .cell").count() > 100);
  await dialog.getByRole("button", { name: "Show as a table" }).click();
  if (real) assert.match(await dialog.getByRole("row").nth(1).innerText(), /safetensors: .*F32/s);
  await visit.checkAccess("what is inside a model");
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });
  for (const name of ["Signed statement", "Bill of materials"]) {
    const url = await model.getByRole("link", { name }).getAttribute("href");
    assert.match(await page.evaluate((u) => fetch(u).then((r) => r.text()), url), name === "Bill of materials" ? /CycloneDX/ : /payloadType/);
  }
});

test("a folder with a program in it is turned away, and the finding names the file", { skip, timeout: 120_000 }, async () => {
  if (!real) return;
  const folder = join(mkdtempSync(join(tmpdir(), "secai-web-")), "pebble-bad");
  cpSync(join(root, "tests/data/pebble-sd"), folder, { recursive: true });
  writeFileSync(join(folder, "unet", "helper.py"), "import os\n");
  await page.getByLabel("Model folder").setInputFiles(folder);
  const job = card("pebble-bad");
  await job.getByText("Turned away", { exact: true }).waitFor({ timeout: 120_000 });
  const finding = job.locator(".finding.reject").first();
  assert.match(await finding.textContent(), /unet\/helper\.py/);
  await finding.getByText("What it means:").waitFor();
  rmSync(dirname(folder), { recursive: true });
});

test("the status page shows the services and what the machine can't provide", { skip }, async () => {
  await visit.show("Status");
  await page.getByRole("heading", { name: "Services" }).waitFor();
  for (const name of ["Audit log", "Model library", "Checks", "Answers"]) await page.getByRole("heading", { name, level: 3 }).waitFor();
  await page.getByRole("heading", { name: /can’t provide/ }).waitFor();
  await visit.checkAccess("status");
  await visit.checkWidth("status");
  const licences = await page.getByRole("link", { name: /^Licences/ }).getAttribute("href");
  assert.match(await page.evaluate((url) => fetch(url).then((r) => r.text()), licences), /markdown-it.*MIT[\s\S]*preact/);
});

test("after log-out nothing is shown, and wrong passphrases lead to a pause that a reload doesn't end", { skip, timeout: 120_000 }, async () => {
  await page.getByRole("button", { name: "Lock and log out" }).click();
  await page.getByRole("heading", { name: "Welcome back" }).waitFor();
  assert.equal(await page.evaluate(() => fetch("/api/conversations").then((r) => r.status)), 401);
  await visit.checkAccess("login");
  await visit.checkWidth("login");
  const wait = page.getByText("Too many wrong tries").first();
  for (let i = 0; i < 30 && !(await wait.isVisible()); i++) {
    await visit.logIn("not the passphrase at all");
    await page.locator(".note").first().waitFor();
    await page.waitForFunction(() => !document.querySelector("[aria-busy='true']"));
  }
  await wait.waitFor();
  await page.getByRole("button", { name: /^Wait \d+:\d\d$/ }).waitFor();
  await page.reload();
  await wait.waitFor();
  await visit.checkAccess("lockout");
});

test("all that time: no error in the console, no breach of the content policy, no request to elsewhere", { skip }, () => {
  visit.noFaults();
});
