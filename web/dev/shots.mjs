/* Pictures of every page, light and dark, desktop and phone, against the mock: for looking at while the page is made.
 * Usage: node dev/shots.mjs [folder]; needs Chromium (SECAI_CHROMIUM, default /usr/bin/chromium). */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { startMock } from "./mock.mjs";

const out = process.argv[2] ?? "shots";
const ARGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const SIZES = { desktop: { width: 1280, height: 800 }, phone: { width: 360, height: 740 } };

mkdirSync(out, { recursive: true });
const mock = await startMock({ seeded: true, pace: 0.5 });
const browser = await chromium.launch({ executablePath: process.env.SECAI_CHROMIUM ?? "/usr/bin/chromium", args: ARGS });

for (const [size, viewport] of Object.entries(SIZES)) {
  for (const colorScheme of ["light", "dark"]) {
    const context = await browser.newContext({ viewport, colorScheme, hasTouch: size === "phone", isMobile: size === "phone" });
    const page = await context.newPage();
    const shot = async (name, full = false) => page.screenshot({ path: join(out, `${size}-${colorScheme}-${name}.png`), fullPage: full });
    page.on("console", (m) => { if (m.type() === "error" && !/40[13]|429/.test(m.text())) console.error(size, colorScheme, m.text()); });
    page.on("pageerror", (e) => console.error(size, colorScheme, String(e)));

    mock.db.passphrase = null;
    await page.goto(mock.url);
    await page.getByLabel("One-time code").fill(mock.code);
    await page.getByLabel("Passphrase", { exact: true }).fill("correct horse battery");
    await page.waitForTimeout(300);
    await shot("setup");
    await page.getByLabel("Passphrase again").fill("correct horse battery");
    await page.getByRole("button", { name: "Set passphrase and start" }).click();
    await page.getByRole("heading", { name: "What would you like to know?" }).waitFor();
    await page.waitForTimeout(200);
    await shot("welcome");
    await page.goto(`${mock.url}/#/chat/c900001`);
    await page.getByText("Three things keep it safe").waitFor();
    await shot("chat");
    await page.getByRole("button", { name: "Settings of this conversation" }).click();
    await page.waitForTimeout(300);
    await shot("settings");
    await page.keyboard.press("Escape");
    if (size === "phone") {
      await page.getByRole("button", { name: "Conversations" }).click();
      await page.waitForTimeout(300);
      await shot("drawer");
      await page.keyboard.press("Escape");
    }
    await page.getByRole("link", { name: "Models" }).click();
    await page.getByRole("button", { name: "Try the included demo model" }).click();
    await page.locator(".stage.running").first().waitFor();
    await page.waitForTimeout(2200);
    await shot("models");
    await page.setViewportSize({ width: viewport.width, height: 2600 });
    await shot("models-all");
    await page.setViewportSize(viewport);
    await page.getByRole("button", { name: "What was checked" }).first().click();
    await page.waitForTimeout(200);
    await shot("models-details");
    await page.getByRole("link", { name: "Status" }).click();
    await page.getByText("All running").waitFor();
    await shot("status");
    await page.setViewportSize({ width: viewport.width, height: 2200 });
    await shot("status-all");
    await page.setViewportSize(viewport);
    await page.getByRole("button", { name: "Lock and log out" }).click();
    await page.getByRole("heading", { name: "Welcome back" }).waitFor();
    await shot("login");
    await context.close();
  }
}
await browser.close();
await mock.close();
