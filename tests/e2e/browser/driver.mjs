// Headless Chromium for the Rust tests: one JSON command per line on stdin, one JSON reply per
// line on stdout. It ends with its stdin.
import { createInterface } from 'node:readline';
import axe from 'axe-core';
import { chromium } from 'playwright-core';
import { installFakes } from './fakes.mjs';

const COMMAND_TIMEOUT_MS = 20_000;
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--autoplay-policy=no-user-gesture-required',
  // A name that is not `localhost`: plain http there is no secure context.
  '--host-resolver-rules=MAP ringbridge.test 127.0.0.1',
  // Only the loopback interface may exist where this runs.
  '--allow-loopback-in-peer-connection',
];

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  headless: true,
  args: FLAGS,
});
const pages = new Map();
const consoles = new Map();

const commands = {
  async open({ page: name, url, fakes, viewport }) {
    const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport });
    const page = await context.newPage();
    const lines = [];
    page.on('console', (message) => lines.push(`${message.type()}: ${message.text()}`));
    page.on('pageerror', (error) => lines.push(`uncaught: ${error.stack}`));
    await page.addInitScript(installFakes, fakes);
    pages.set(name, page);
    consoles.set(name, lines);
    await page.goto(url);
  },
  fill: ({ page, selector, value }) => pages.get(page).fill(selector, value),
  click: ({ page, selector }) => pages.get(page).click(selector),
  press: ({ page, key }) => pages.get(page).keyboard.press(key),
  select: ({ page, selector, value }) => pages.get(page).selectOption(selector, value).then(() => null),
  resize: ({ page, width, height }) => pages.get(page).setViewportSize({ width, height }),
  axe: ({ page }) => audit(pages.get(page)),
  evaluate: ({ page, script }) => pages.get(page).evaluate(script),
  // Not `waitForFunction`: it polls with eval(), which the page's security policy forbids.
  async wait({ page, script, timeout_ms: timeout }) {
    for (const start = Date.now(); ; ) {
      const value = await pages.get(page).evaluate(script).catch(afterReload);
      if (value) return value;
      if (Date.now() - start > timeout) throw new Error(`not within ${timeout} ms`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  },
  screenshot: ({ page, path }) => pages.get(page).screenshot({ path }).then(() => null),
  console: ({ page }) => consoles.get(page),
  close: ({ page }) => pages.get(page).context().close(),
};

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  let reply;
  try {
    const deadline = (command.timeout_ms ?? 0) + COMMAND_TIMEOUT_MS;
    reply = { ok: true, value: (await within(commands[command.op](command), deadline)) ?? null };
  } catch (error) {
    reply = { ok: false, error: String(error?.message ?? error) };
  }
  process.stdout.write(`${JSON.stringify(reply)}\n`);
}
await browser.close();

/** A page that is being reloaded has nothing to say yet. */
function afterReload(error) {
  if (!/context was destroyed/.test(error.message)) throw error;
  return undefined;
}

/** What axe-core, the accessibility checker, finds wrong: one line for each rule and place. */
async function audit(page) {
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate('axe.run(document, { resultTypes: ["violations"] })');
  return violations.flatMap(({ id, help, nodes }) =>
    nodes.map(({ target, any }) => `${id}: ${help}: ${target} (${any[0]?.message ?? ''})`),
  );
}

function within(promise, ms) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no result after ${ms} ms`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
