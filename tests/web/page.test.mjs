/* What the page itself must do, against the mock of its API: the cases that a healthy system doesn't offer. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { fakeGguf, launch, missing, mockTarget, PASSPHRASE, Visit } from "./harness.mjs";

const skip = missing() || false;
let browser, target, visit, page;

before(async () => {
  if (!skip) browser = await launch();
});
after(() => browser?.close());

/* Each test has a mock and a browser profile of its own. */
async function fresh(options = {}, context = {}) {
  target = await mockTarget(options);
  visit = new Visit(browser, target);
  page = await visit.open(context);
  await visit.setUp();
}

beforeEach(() => { visit = target = undefined; });
afterEach(async () => {
  try {
    visit?.noFaults();
  } finally {
    await visit?.close();
    await target?.close();
  }
});

const field = () => page.getByLabel("Message", { exact: true });

async function ask(text) {
  await field().fill(text);
  await field().press("Enter");
}

test("an answer can be stopped, is marked as cut, and stays so after a reload", { skip }, async () => {
  await fresh({ seeded: true, tokenMs: 400 });
  await ask("Tell me something long.");
  await page.locator(".message.assistant .prose").waitFor();
  await page.getByRole("button", { name: "Stop the answer" }).click();
  await page.getByText("You stopped this answer").waitFor();
  await page.getByText("Saved on this machine").waitFor();
  await page.reload();
  await page.getByText("You stopped this answer").waitFor();
});

test("Escape stops the answer", { skip }, async () => {
  await fresh({ seeded: true, tokenMs: 400 });
  await ask("Tell me something long.");
  await page.locator(".message.assistant .prose").waitFor();
  await page.keyboard.press("Escape");
  await page.getByText("You stopped this answer").waitFor();
});

test("an answer whose connection breaks is marked, and can be asked for again", { skip }, async () => {
  await fresh({ seeded: true, tokenMs: 300 });
  await ask("Tell me something long.");
  await page.locator(".message.assistant .prose").waitFor();
  visit.outage = true;
  target.dropConnections();
  await page.getByText("Broken off before its end").waitFor();
  await page.getByRole("button", { name: "Answer again" }).waitFor();
});

test("a reload in the middle of an answer shows the part that came as broken off", { skip }, async () => {
  await fresh({ seeded: true, tokenMs: 600 });
  await ask("Tell me something long.");
  await page.locator(".message.assistant .prose").waitFor();
  await page.waitForResponse((r) => r.request().method() === "PUT" && r.url().includes("/api/conversations/"));
  await page.reload();
  await page.getByText("Broken off before its end").waitFor();
});

test("an answer goes on while another page is shown", { skip }, async () => {
  await fresh({ seeded: true, tokenMs: 120 });
  await ask("What is 12 plus 30?");
  await page.locator(".message.assistant").waitFor();
  await visit.show("Models");
  await visit.show("Chat");
  await page.locator(".message.assistant .foot .facts").waitFor();
  assert.match(await page.locator(".message.assistant .prose").textContent(), /42/);
});

test("a conversation that is deleted while it is answered does not come back", { skip }, async () => {
  await fresh({ seeded: true, tokenMs: 200 });
  await ask("Tell me something long.");
  await page.locator(".message.assistant .prose").waitFor();
  const side = page.getByRole("complementary", { name: "Conversations" });
  await side.getByRole("button", { name: "Delete “Tell me something long.”" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete", exact: true }).click();
  await page.getByRole("heading", { name: "New conversation" }).waitFor();
  await page.reload();
  await side.getByRole("link", { name: "Reading a file safely in C" }).waitFor();
  assert.equal(await side.getByRole("link", { name: "Tell me something long." }).count(), 0);
});

test("what could not be saved is saved when the service is back", { skip }, async () => {
  await fresh({ seeded: true });
  visit.outage = true;
  await page.route("**/api/conversations", (route) => (route.request().method() === "POST" ? route.abort() : route.continue()));
  await ask("What is 12 plus 30?");
  await page.getByText("Not saved yet").waitFor();
  await page.getByRole("button", { name: "New conversation" }).first().click();
  await page.unroute("**/api/conversations");
  await page.getByRole("complementary", { name: "Conversations" }).getByRole("link", { name: "What is 12 plus 30?" }).click();
  await page.getByRole("article", { name: "Answer" }).getByText("12 plus 30 is 42").waitFor();
});

test("a longest answer cuts with its own words, and settings are kept with the conversation", { skip }, async () => {
  await fresh({ seeded: true });
  await page.getByRole("button", { name: "Settings of this conversation" }).click();
  await page.getByLabel("Temperature").fill("9");
  await page.getByRole("button", { name: "Use these" }).click();
  await page.getByText("Temperature is a number from 0 to 2").waitFor();
  await page.getByLabel("Temperature").fill("0.4");
  await page.getByLabel("Longest answer").fill("5");
  await page.getByLabel("System prompt").fill("Be short.");
  await page.getByRole("button", { name: "Use these" }).click();
  const sent = page.waitForRequest((r) => r.url().endsWith("/api/chat"));
  await ask("Tell me something long.");
  const body = (await sent).postDataJSON();
  assert.deepEqual(body.messages.map((m) => m.role), ["system", "user"]);
  assert.equal(body.temperature, 0.4);
  assert.equal("seed" in body, false);
  await page.getByText("Cut at the longest answer allowed").waitFor();
  await page.reload();
  await page.getByRole("button", { name: "Settings of this conversation" }).click();
  assert.equal(await page.getByLabel("Longest answer").inputValue(), "5");
  await visit.checkAccess("settings");
});

test("a lost session leads to the log-in, and the draft is still there after it", { skip }, async () => {
  await fresh({ seeded: true });
  await field().fill("half a thought");
  target.db.sessions.clear();
  await visit.show("Status");
  await page.getByText("You were logged out").waitFor();
  await visit.logIn();
  await visit.show("Chat");
  assert.equal(await field().inputValue(), "half a thought");
});

test("log-out wipes drafts and texts from the page", { skip }, async () => {
  await fresh({ seeded: true });
  await field().fill("a secret thought");
  await page.getByRole("button", { name: "Lock and log out" }).click();
  await page.getByRole("heading", { name: "Welcome back" }).waitFor();
  assert.equal(await page.evaluate(() => JSON.stringify(sessionStorage).includes("secret") || document.body.textContent.includes("secret")), false);
});

test("the live view comes back by itself after a break", { skip }, async () => {
  await fresh({});
  await visit.show("Models");
  visit.outage = true;
  target.dropConnections();
  await page.getByRole("button", { name: "Try the included demo model" }).click();
  await page.locator(".card.job.promoted").waitFor();
});

test("an upload shows its progress and can be cancelled", { skip }, async () => {
  await fresh({ seeded: true });
  await page.route("**/api/uploads**", () => undefined);
  await visit.show("Models");
  await page.getByLabel("Model file").setInputFiles({ name: "big.gguf", mimeType: "application/octet-stream", buffer: fakeGguf(3_000_000) });
  const upload = page.getByRole("article", { name: "Upload of big.gguf" });
  await upload.getByRole("progressbar").waitFor();
  await visit.checkAccess("upload");
  await upload.getByRole("button", { name: "Cancel" }).click();
  await upload.waitFor({ state: "detached" });
});

test("an empty file and a full disk are said in plain words, and an upload can be tried again", { skip }, async () => {
  await fresh({ seeded: true });
  await visit.show("Models");
  await page.getByLabel("Model file").setInputFiles({ name: "empty.gguf", mimeType: "application/octet-stream", buffer: Buffer.alloc(0) });
  await page.getByText("This file is empty").waitFor();
  visit.outage = true;
  await page.route("**/api/uploads**", (route) => route.fulfill({ status: 507, contentType: "application/json", body: JSON.stringify({ error: { code: "disk_full", message: "x", detail: {} } }) }));
  await page.getByLabel("Model file").setInputFiles({ name: "a.gguf", mimeType: "application/octet-stream", buffer: fakeGguf() });
  await page.getByText("The disk is full").waitFor();
  await page.unroute("**/api/uploads**");
  await page.getByRole("button", { name: "Upload again" }).click();
  await page.getByRole("article", { name: "Check of a.gguf" }).waitFor();
});

test("a check that could not be finished is set aside and can be started again", { skip }, async () => {
  await fresh({});
  await visit.show("Models");
  await page.getByLabel("Model file").setInputFiles({ name: "slow.gguf", mimeType: "application/octet-stream", buffer: fakeGguf() });
  await page.getByText("Set aside", { exact: true }).waitFor();
  await page.getByRole("button", { name: "Check again" }).click();
  await page.locator(".stage.running").first().waitFor();
  await page.getByText("Set aside", { exact: true }).waitFor();
});

test("a passing check may have a note, and it is shown with its place", { skip }, async () => {
  await fresh({});
  await visit.show("Models");
  await page.getByLabel("Model file").setInputFiles({ name: "warn.gguf", mimeType: "application/octet-stream", buffer: fakeGguf() });
  await page.locator(".card.job.promoted").waitFor();
  assert.match(await page.locator(".finding.warning").textContent(), /TEMPLATE-LOOP.*byte 1,284/);
  await page.getByText("Passed, with a note").first().waitFor();
});

test("a finding says what it means, and what was not tested is listed", { skip }, async () => {
  await fresh();
  await page.getByRole("link", { name: "Models" }).click();
  await page.getByLabel("Model file").setInputFiles({ name: "checkpoint.bin", mimeType: "application/octet-stream", buffer: Buffer.from([0x80, 4, 0x2e]) });
  const card = page.getByRole("article", { name: "Check of checkpoint.bin" });
  await card.getByText("Turned away", { exact: true }).waitFor();
  await card.getByText("Opening such a file runs whatever its maker wrote into it.").waitFor();
  await card.getByRole("button", { name: "What was checked" }).click();
  const untested = card.getByRole("region", { name: "What was not tested" });
  await untested.getByText(/Behaviour: Not tested: an earlier check had already turned the file away/).waitFor();
});

test("the map of the tensors opens, is moved through by keyboard and says the same as a table", { skip }, async () => {
  await fresh({ seeded: true });
  await page.getByRole("link", { name: "Models" }).click();
  const card = page.getByRole("article", { name: "Model pebble", exact: true });
  await card.getByRole("button", { name: "Look inside" }).click();
  const dialog = page.getByRole("dialog", { name: "Inside pebble" });
  const told = dialog.locator("#tensor-chosen");
  await told.getByText("blk.17.ffn_down.weight").waitFor();
  await told.getByText("looks like text or empty space; the same block again and again").waitFor();
  const map = dialog.getByRole("application");
  await map.focus();
  await page.keyboard.press("ArrowRight");
  await told.getByText("blk.18.ffn_down.weight").waitFor();
  await page.keyboard.press("ArrowUp");
  await told.getByText("blk.18.ffn_up.weight").waitFor();
  await dialog.getByRole("button", { name: "Show as a table" }).click();
  assert.match(await dialog.getByRole("row").nth(1).innerText(), /blk\.17\.ffn_down\.weight/);
  await visit.checkAccess("the map of the tensors");
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "hidden" });
});

test("documents of a check can be saved", { skip }, async () => {
  await fresh({ seeded: true });
  await page.getByRole("link", { name: "Models" }).click();
  const link = page.getByRole("article", { name: "Model pebble", exact: true }).getByRole("link", { name: "Bill of materials" });
  const [download] = await Promise.all([page.waitForEvent("download"), link.click()]);
  assert.equal(download.suggestedFilename(), "pebble.bom.json");
});

test("a folder goes up as one model", { skip }, async () => {
  const folder = mkdtempSync(join(tmpdir(), "secai-folder-"));
  mkdirSync(join(folder, "unet"));
  writeFileSync(join(folder, "model_index.json"), "{}");
  writeFileSync(join(folder, "unet", "config.json"), "{\"a\":1}");
  await fresh();
  await page.getByRole("link", { name: "Models" }).click();
  await page.getByLabel("Model folder").setInputFiles(folder);
  const name = folder.split("/").pop();
  await page.getByRole("article", { name: `Check of ${name}` }).locator(".chip.good").getByText("Passed").waitFor();
  const [job] = [...target.db.jobs.values()];
  assert.deepEqual(job.members.map((m) => [m.path, m.size]).sort(), [["model_index.json", 2], ["unet/config.json", 7]]);
  rmSync(folder, { recursive: true });
});

test("a loaded model is not deleted, and the page says what to do; unloaded, it is", { skip }, async () => {
  await fresh({ seeded: true });
  await visit.show("Models");
  const model = page.getByRole("article", { name: "Model pebble" });
  await model.getByRole("button", { name: "Load" }).click();
  await model.getByText("In memory").waitFor();
  await model.getByRole("button", { name: /^Delete/ }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete", exact: true }).click();
  await page.getByRole("alert").filter({ hasText: "in use" }).waitFor();
  await visit.checkAccess("an error notice");
  await model.getByRole("button", { name: "Unload" }).click();
  await model.getByRole("button", { name: "Load" }).waitFor();
  await model.getByRole("button", { name: /^Delete/ }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete", exact: true }).click();
  await model.waitFor({ state: "detached" });
});

test("hostile Markdown stays text: no element, no picture, and links ask first", { skip }, async () => {
  await fresh({ seeded: true });
  const text = "<img src=https://evil.example/a.png onerror=alert(1)> <script>alert(1)</script>\n\n![cat](https://evil.example/cat.png)\n\n[go](https://evil.example/go) [js](javascript:alert(1))";
  target.db.conversations.set("cbad", { id: "cbad", title: "Bad", model: "", system: "", settings: {}, messages: [{ role: "user", content: "x" }, { role: "assistant", content: text }], created_at: "", updated_at: "" });
  await page.goto(`${target.url}/#/chat/cbad`);
  await page.getByText("Picture not loaded: cat").waitFor();
  assert.equal(await page.locator(".prose img, .prose script, .prose a").count(), 0);
  assert.equal(await page.getByRole("button", { name: "js" }).count(), 0);
  await page.getByRole("button", { name: "go", exact: true }).click();
  await page.getByRole("dialog", { name: "This link leads off this machine" }).getByText("https://evil.example/go").waitFor();
  await visit.checkAccess("the question before a link");
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  await page.waitForFunction(() => document.activeElement?.textContent === "go"); // the focus goes back to the link
});

test("code can be copied, and so can an answer", { skip }, async () => {
  await fresh({ seeded: true });
  await page.goto(`${target.url}/#/chat/c900001`);
  await page.getByRole("button", { name: "Copy code" }).click();
  await page.getByText("Copied").first().waitFor();
  assert.match(await page.evaluate(() => navigator.clipboard.readText()), /^static int read_all/);
  await page.getByRole("button", { name: "Copy answer" }).click();
  await page.waitForFunction(() => navigator.clipboard.readText().then((t) => t.startsWith("Here is a small example")));
});

test("everything can be reached by keyboard: skip link, pages, dialogs, shortcuts", { skip }, async () => {
  await fresh({ seeded: true });
  await visit.show("Models");
  await page.reload();
  await page.getByRole("heading", { name: "Models", level: 1 }).waitFor();
  await page.keyboard.press("Tab");
  await page.waitForFunction(() => document.activeElement?.textContent === "Skip to the content");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.activeElement?.id === "main");
  await page.keyboard.press("Alt+Digit3");
  await page.getByRole("heading", { name: "Status", level: 1 }).waitFor();
  await page.waitForFunction(() => document.activeElement?.tagName === "H1"); // a new page gets the focus on its heading
  await page.keyboard.press("?");
  await page.getByRole("dialog", { name: "Keyboard shortcuts" }).waitFor();
  await visit.checkAccess("shortcuts");
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  await page.keyboard.press("Control+k");
  await page.waitForFunction(() => document.activeElement?.getAttribute("type") === "search");
  await page.keyboard.press("Alt+n");
  await page.waitForFunction(() => document.activeElement?.getAttribute("aria-label") === "Message");
});

test("the colours can be chosen, and the choice stays", { skip }, async () => {
  await fresh({ seeded: true }, { colorScheme: "light" });
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await ground();
  const button = () => page.getByRole("button", { name: /^Colours/ });
  await button().click();
  await button().click();
  const dark = await ground();
  assert.notEqual(dark, light);
  await page.reload();
  await button().waitFor();
  assert.equal(await ground(), dark);
});

test("a service that does not answer is said, with what to do, and the page comes back", { skip }, async () => {
  await fresh({ seeded: true });
  visit.outage = true;
  await page.route("**/api/**", (route) => route.abort());
  await visit.show("Status");
  await page.getByRole("alert").filter({ hasText: "does not answer" }).first().waitFor();
  await page.unroute("**/api/**");
  await page.getByRole("button", { name: "Try again" }).click();
  await page.getByText("All running").waitFor();
});

test("a phone has the conversations in a drawer, and nothing is wider than the page", { skip }, async () => {
  await fresh({ seeded: true }, { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true });
  await page.getByRole("button", { name: "Conversations" }).click();
  await page.getByRole("dialog", { name: "Conversations" }).getByRole("link", { name: "Reading a file safely in C" }).click();
  await page.getByText("Three things keep it safe").waitFor();
  await visit.checkWidth("a conversation with code and a table");
  await visit.checkAccess("a conversation on a phone");
  await visit.show("Models");
  await page.getByRole("heading", { name: "Turned away or set aside" }).waitFor();
  await visit.checkWidth("models with everything");
});

test("the passphrase can be changed", { skip }, async () => {
  await fresh({ seeded: true });
  await visit.show("Status");
  await page.getByLabel("Passphrase now").fill("wrong passphrase here");
  await page.getByLabel("New passphrase", { exact: true }).fill("a new and longer passphrase");
  await page.getByLabel("New passphrase again").fill("a new and longer passphrase");
  await page.getByRole("button", { name: "Change passphrase" }).click();
  await page.getByRole("alert").filter({ hasText: "not right" }).waitFor();
  await page.getByLabel("Passphrase now").fill(PASSPHRASE);
  await page.getByRole("button", { name: "Change passphrase" }).click();
  await page.getByText("The passphrase was changed").waitFor();
  await page.getByRole("button", { name: "Lock and log out" }).click();
  await visit.logIn("a new and longer passphrase");
  await page.getByRole("navigation", { name: "Pages" }).waitFor();
});

test("a page left alone locks itself", { skip }, async () => {
  await fresh({ seeded: true, idleSeconds: 2 });
  await page.clock.install();
  await page.reload();
  await page.getByRole("navigation", { name: "Pages" }).waitFor();
  await page.clock.fastForward(60_000);
  await page.getByRole("heading", { name: "Welcome back" }).waitFor();
});
