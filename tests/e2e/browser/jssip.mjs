// JsSIP in headless Chromium, for the Rust tests: registers, asks OPTIONS, calls, and says each step
// on a line of stdout. A line on stdin hangs up; it ends with its stdin.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { chromium } from 'playwright-core';

const settings = JSON.parse(process.argv[2]);

// JsSIP is published as modules for bundlers. This is as much of one as it needs.
function bundle(entry) {
  const modules = new Map();
  const add = (file) => {
    if (modules.has(file)) return modules.get(file).id;
    const module = { id: modules.size, links: {} };
    modules.set(file, module);
    const text = readFileSync(file, 'utf8');
    if (file.endsWith('.json')) {
      module.code = `module.exports = ${text};`;
      return module.id;
    }
    const require = createRequire(file);
    for (const [, name] of text.matchAll(/require\(["']([^"']+)["']\)/g)) {
      module.links[name] = add(resolve(require, name));
    }
    module.code = text;
    return module.id;
  };
  const first = add(entry);
  const all = [...modules.values()].map(
    ({ id, code, links }) =>
      `${id}: [function (module, exports, require) {${code}\n}, ${JSON.stringify(links)}]`,
  );
  return `window.JsSIP = ((modules) => {
    const loaded = {};
    const load = (id) => {
      if (loaded[id]) return loaded[id].exports;
      const module = (loaded[id] = { exports: {} });
      const [run, links] = modules[id];
      run(module, module.exports, (name) => load(links[name]));
      return module.exports;
    };
    return load(${first});
  })({${all.join(',\n')}});`;
}

function resolve(require, name) {
  // What node has built in, and what differs in browsers.
  if (name === 'events') return require.resolve('events/');
  if (name === 'debug') return `${dirname(require.resolve('debug/package.json'))}/src/browser.js`;
  return require.resolve(name);
}

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  headless: true,
  args: [
    '--no-sandbox',
    '--disable-gpu',
    '--use-fake-device-for-media-stream',
    '--use-fake-ui-for-media-stream',
    '--allow-loopback-in-peer-connection',
    // The page's host is made up, so that the server looks like a stranger's.
    '--disable-features=LocalNetworkAccessChecks',
  ],
});
const page = await (await browser.newContext({ ignoreHTTPSErrors: true })).newPage();
// A name for which pages may use the microphone; nobody is asked for it.
await page.route('http://localhost/', (route) =>
  route.fulfill({ contentType: 'text/html', body: '<!doctype html><title>JsSIP</title>' }),
);
await page.goto('http://localhost/');
await page.exposeFunction('say', (what) => process.stdout.write(`${JSON.stringify(what)}\n`));
const entry = createRequire(import.meta.url).resolve('jssip');
await page.addScriptTag({ content: bundle(entry) });
await page.evaluate((settings) => {
  const { JsSIP, say } = window;
  const ua = new JsSIP.UA({
    sockets: [new JsSIP.WebSocketInterface(settings.socket)],
    uri: settings.uri,
    authorization_user: settings.user,
    password: settings.password,
    register_expires: 120,
    session_timers_refresh_method: 'invite',
  });
  const status = (event) => event.response?.status_code ?? event.message?.status_code ?? null;
  const call = () => {
    window.session = ua.call(settings.target, {
      mediaConstraints: { audio: true, video: false },
      eventHandlers: {
        progress: (event) => say({ step: 'progress', status: status(event) }),
        confirmed: async () => {
          say({ step: 'confirmed' });
          const { connection } = window.session;
          while (connection.connectionState !== 'connected') {
            await new Promise((resolve) => setTimeout(resolve, 20));
          }
          say({ step: 'media' });
        },
        failed: (event) => say({ step: 'failed', status: status(event), cause: event.cause }),
        ended: (event) => say({ step: 'ended', cause: event.cause }),
      },
    });
  };
  ua.once('registered', (event) => {
    say({ step: 'registered', status: status(event) });
    ua.sendOptions(settings.target, null, {
      eventHandlers: {
        succeeded: (event) => {
          say({ step: 'options', status: status(event) });
          call();
        },
        failed: (event) => say({ step: 'options', status: status(event), cause: event.cause }),
      },
    });
  });
  ua.on('registrationFailed', (event) =>
    say({ step: 'registrationFailed', status: status(event), cause: event.cause }),
  );
  ua.start();
}, settings);

createInterface({ input: process.stdin })
  .on('line', () => page.evaluate(() => window.session.terminate()))
  .on('close', () => browser.close().finally(() => process.exit()));
