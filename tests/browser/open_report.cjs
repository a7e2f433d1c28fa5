// Opens a report in headless Chromium, does what a person does, and prints what was seen as one JSON object.
// Usage: node open_report.cjs CHROMIUM REPORT.html PROFILE_FOLDER
"use strict";
const { pathToFileURL } = require("node:url");
const { chromium } = require("playwright-core");

const FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync"];

async function main([executablePath, report, profile]) {
  const context = await chromium.launchPersistentContext(profile, { executablePath, args: FLAGS, viewport: { width: 1400, height: 900 } });
  const page = context.pages()[0] ?? await context.newPage();
  const seen = { requests: [], console: [] };
  const address = pathToFileURL(report).href;
  page.on("request", (request) => { if (request.url() !== address && !request.url().startsWith("data:")) seen.requests.push(request.url()); });
  page.on("console", (message) => seen.console.push(message.text()));
  page.on("pageerror", (error) => seen.console.push(String(error)));
  await page.goto(address);

  const open = () => page.locator("#details").evaluate((dialog) => dialog.open);
  const focused = () => page.evaluate(() => document.activeElement.getAttribute("aria-label") ?? document.activeElement.id);
  const rows = () => page.locator("tbody tr:visible th .name").allInnerTexts();

  seen.openAtFirst = await open();
  await page.locator('.result.fail[aria-label^="adapters::test_split_base[double]"]').first().click();
  seen.openAfterClick = await open();
  seen.details = await page.locator("#details").innerText();
  seen.frames = await page.locator("#details .frames li").allInnerTexts();
  seen.links = await page.locator("#details .links a").evaluateAll((all) => all.map((each) => each.getAttribute("href")));
  await page.keyboard.press("ArrowRight");
  seen.neighbour = await page.locator("#details").innerText();
  await page.keyboard.press("Escape");
  seen.openAfterEscape = await open();
  seen.focusAfterEscape = await focused();

  await page.locator(".result").first().focus();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowRight");
  seen.focusAfterArrows = await focused();
  await page.keyboard.press("Enter");
  seen.openAfterEnter = await open();
  await page.keyboard.press("Escape");
  seen.tabStops = await page.locator('.result[tabindex="0"]').count();

  seen.rowsAtFirst = await rows();
  await page.locator('.status[data-status="flaky"]').click();
  seen.rowsFlaky = await rows();
  await page.locator('.status[data-status="flaky"]').click();
  await page.locator("#text").fill("_is_hf_initialized");
  seen.rowsByText = await rows();
  seen.shown = await page.locator("#shown").innerText();
  await page.locator("#text").fill("");
  await page.locator("#changed").check();
  seen.rowsChanged = await rows();
  await page.locator("#changed").uncheck();

  await page.locator('.result[aria-label*="hostile"]').first().click();
  seen.hostile = await page.locator("#details .detail").innerText();
  await page.locator("#close").click();
  seen.stolen = await page.evaluate(() => "stolen" in window);

  await page.locator("#tab-matrix").focus();
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("ArrowRight");
  seen.tab = await focused();
  seen.groups = await page.locator("#panel-groups").innerText();
  await page.locator("#tab-memory").click();
  seen.memory = await page.locator("#panel-memory").innerText();
  await page.locator("#tab-matrix").click();
  await page.locator('.result.fail[aria-label^="load_4bit::test_reserved_memory"]').first().click();
  await page.locator("#details details").evaluateAll((all) => { for (const each of all) each.open = true; });
  seen.facts = await page.locator("#details").innerText();
  seen.exact = await page.locator("#details .figures td[title]").evaluateAll((all) => all.map((each) => [each.textContent, each.title]));
  seen.images = await page.locator("img").count();
  await context.close();
  process.stdout.write(JSON.stringify(seen));
}

main(process.argv.slice(2)).catch((error) => { process.stderr.write(`${error.stack}\n`); process.exit(1); });
