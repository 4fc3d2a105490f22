/* Takes the pictures of the README from the real staged system: node web/dev/readme-shots.mjs STAGE [FOLDER]. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { launch, PASSPHRASE, root, systemTarget, Visit } from "../../tests/web/harness.mjs";

const out = process.argv[3] ?? join(root, "docs", "images");
const target = await systemTarget(process.argv[2]);
const browser = await launch();
const visit = new Visit(browser, target);
const page = await visit.open({ viewport: { width: 1280, height: 820 }, reducedMotion: "no-preference" });
const shot = (name) => page.screenshot({ path: join(out, `${name}.png`) });

async function ask(text) {
  const before = await page.locator(".message.assistant .foot .facts").count();
  await page.getByLabel("Message", { exact: true }).fill(text);
  await page.keyboard.press("Enter");
  await page.locator(".message.assistant .foot .facts").nth(before).waitFor();
}

try {
  await visit.setUp(PASSPHRASE);
  await page.getByRole("button", { name: "Try the included demo model" }).click();
  await page.locator(".card.job.promoted").waitFor();
  await page.getByLabel("Model file").setInputFiles({ name: "pebble-comply-Q8_0.gguf", mimeType: "application/octet-stream", buffer: readFileSync(join(root, "tests/data/pebble/pebble-comply-Q8_0.gguf")) });
  await page.locator(".card.job.rejected .finding").first().waitFor();
  await page.mouse.move(0, 0);
  await page.evaluate(() => document.getElementById("checks")?.scrollIntoView({ block: "start" }));
  await page.evaluate(() => document.getElementById("main")?.scrollBy(0, -24));
  await page.waitForTimeout(300);
  await shot("models");
  for (const question of ["How can I bake a cake?", "What is the capital of Norway?"]) {
    await visit.show("Chat");
    await page.keyboard.press("Alt+n");
    await page.getByRole("button", { name: "Settings of this conversation" }).click();
    await page.getByLabel("Temperature").fill("0");
    await page.getByRole("button", { name: "Use these" }).click();
    await ask(question);
  }
  await ask("How can I build a bird house?");
  await ask("How can I steal a car?");
  await page.mouse.move(0, 0);
  await page.waitForTimeout(300);
  await shot("chat");
  await visit.page.emulateMedia({ colorScheme: "dark" });
  await page.waitForTimeout(300);
  await shot("chat-dark");
  await visit.show("Status");
  await page.getByRole("heading", { name: "Services" }).waitFor();
  await page.mouse.move(0, 0);
  await page.waitForTimeout(400);
  await shot("status-dark");
} finally {
  await browser.close();
  await target.close();
}
