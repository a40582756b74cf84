// Photographs the running product for the README; `scripts/screenshots` calls it.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { installFakes } from './fakes.mjs';

const [binary, target] = process.argv.slice(2);
const LOOPBACK = '127.0.0.1:0';
const folder = mkdtempSync(join(tmpdir(), 'ringbridge-screenshots-'));
const children = [];

/** Starts a program that ends with this one. */
function start(program, args) {
  const child = spawn(program, args, { stdio: 'ignore' });
  children.push(child);
  return child;
}

async function until(what, holds) {
  for (const begin = Date.now(); Date.now() - begin < 20_000; ) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`${what}: not within 20 s`);
}

/** A softphone that sings one note. */
function phone(card, name, hz) {
  const home = join(folder, name.replaceAll(' ', '-'));
  mkdirSync(home);
  writeFileSync(join(home, 'tone.wav'), wav(hz));
  const modules = ['g711', 'aufile'].map((module) => `module ${module}.so`);
  writeFileSync(
    join(home, 'config'),
    [
      'poll_method epoll',
      'net_interface 127.0.0.1',
      'sip_listen 127.0.0.1:0',
      `audio_source aufile,${home}/tone.wav`,
      'ausrc_srate 8000',
      'ausrc_channels 1',
      'module_path /usr/lib/baresip/modules',
      ...modules,
      'module_tmp account.so',
      'module_app menu.so',
      '',
    ].join('\n'),
  );
  const host = card.sip_uri.split('@')[1];
  writeFileSync(
    join(home, 'accounts'),
    `"${name}" <sip:${card.sip_username}@${host}>;auth_user=${card.sip_username};` +
      `auth_pass=${card.sip_password};regint=0;audio_codecs=PCMU\n`,
  );
  start('baresip', ['-f', home, '-e', `/dial ${card.sip_uri}`]);
}

/** A minute of speech-like noise around a note: 16-bit mono at 8 kHz. */
function wav(hz) {
  const count = 8000 * 60;
  const bytes = Buffer.alloc(44 + count * 2);
  bytes.write('RIFF', 0);
  bytes.writeUInt32LE(36 + count * 2, 4);
  bytes.write('WAVEfmt ', 8);
  for (const [at, value] of [[16, 16], [24, 8000], [28, 16000]]) bytes.writeUInt32LE(value, at);
  for (const [at, value] of [[20, 1], [22, 1], [32, 2], [34, 16]]) bytes.writeUInt16LE(value, at);
  bytes.write('data', 36);
  bytes.writeUInt32LE(count * 2, 40);
  for (let n = 0; n < count; n += 1) {
    const syllable = Math.max(0, Math.sin((n / 8000) * 9)) ** 2;
    bytes.writeInt16LE(Math.round(Math.sin((n / 8000) * hz * 2 * Math.PI) * syllable * 9000), 44 + n * 2);
  }
  return bytes;
}

/** Somebody in front of a camera, as far as a picture in a README needs it. */
function installPerson({ hue }) {
  const real = navigator.mediaDevices.getUserMedia;
  navigator.mediaDevices.getUserMedia = async (wanted) => {
    if (!wanted.video) return real(wanted);
    const canvas = Object.assign(document.createElement('canvas'), { width: 640, height: 400 });
    const brush = canvas.getContext('2d');
    let t = 0;
    setInterval(() => {
      t += 0.05;
      brush.fillStyle = `hsl(${hue} 32% 52%)`;
      brush.fillRect(0, 0, 640, 400);
      const x = 320 + Math.sin(t) * 6;
      brush.fillStyle = `hsl(${hue + 180} 30% 26%)`;
      brush.beginPath();
      brush.ellipse(x, 430, 170, 150, 0, 0, 7);
      brush.fill();
      brush.fillStyle = 'hsl(26 48% 66%)';
      brush.beginPath();
      brush.ellipse(x, 205, 72, 90, 0, 0, 7);
      brush.fill();
      brush.fillStyle = `hsl(${hue + 40} 30% 18%)`;
      brush.beginPath();
      brush.ellipse(x, 165, 78, 66, 0, Math.PI, Math.PI * 2);
      brush.fill();
    }, 66);
    return canvas.captureStream(15);
  };
}

const free = ['--sip', '--sips', '--http', '--https', '--admin'].flatMap((flag) => [flag, LOOPBACK]);
const data = join(folder, 'data');
let browser;
try {
  start(binary, ['serve', '--data', data, ...free, '--rtp-ports', '0-0', '--webrtc-port', '0', '--public-address', '127.0.0.1']);
  await until('the first-call card', () => existsSync(join(data, 'first-call.json')));
  const card = JSON.parse(readFileSync(join(data, 'first-call.json'), 'utf8'));
  await until('the server', () => fetch(`${card.api_base.replace('/v2', '')}/readyz`).then((r) => r.ok, () => false));
  const key = Buffer.from(`${card.organization_id}:${card.api_key}`).toString('base64');
  const rest = (method, path, body) =>
    fetch(card.api_base + path, {
      method,
      headers: { Authorization: `Basic ${key}`, 'Content-Type': 'application/json' },
      body: JSON.stringify(body),
    }).then((reply) => reply.json());
  await rest('PATCH', `/meetings/${card.meeting_id}`, { title: 'Monday planning' });
  await rest('POST', '/sip/trunks', { name: 'Carrier', cidrs: ['203.0.113.0/24'] });

  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--autoplay-policy=no-user-gesture-required', '--allow-loopback-in-peer-connection'],
  });
  const open = async (url, hue, viewport = { width: 1180, height: 700 }) => {
    const context = await browser.newContext({ viewport, ignoreHTTPSErrors: true });
    const page = await context.newPage();
    await page.addInitScript(installFakes, { tone_hz: 300 + hue, colour: 'grey', microphone_error: null, sound_held_back: false });
    await page.addInitScript(installPerson, { hue });
    await page.goto(url);
    return page;
  };
  const join_ = async (name, hue, camera, viewport) => {
    const page = await open(card.join_url, hue, viewport);
    await page.fill('#name', name);
    if (camera) await page.click('#preview-camera');
    await page.click('#join');
    await until(`${name} in the meeting`, () => page.evaluate("document.querySelector('#connection').textContent === 'Connected'"));
    return page;
  };
  const shoot = (page, name) => page.screenshot({ path: join(target, `${name}.png`) });

  const lobby = await open(card.join_url, 200);
  await lobby.fill('#name', 'Ada Lovelace');
  await lobby.click('#preview-camera');
  await lobby.waitForTimeout(1200);
  await shoot(lobby, 'lobby');
  await lobby.close();

  const ada = await join_('Ada Lovelace', 200, true);
  const grace = await join_('Grace Hopper', 20, true, { width: 390, height: 800 });
  phone(card, 'Front desk', 620);
  phone(card, 'Joan on her mobile', 480);
  await until('two phones', () => ada.evaluate("document.querySelectorAll('.tile[data-kind=robo]').length === 2"));
  await grace.click('#chat');
  await grace.fill('#chat-text', 'The customer dialled in from her mobile.');
  await grace.press('#chat-text', 'Enter');
  await grace.click('[data-close=chat]');
  await ada.click('#chat');
  await ada.fill('#chat-text', 'Lovely, then everyone is here.');
  await ada.press('#chat-text', 'Enter');
  await ada.waitForTimeout(5000);
  await shoot(ada, 'meeting');

  const operator = await open(`${card.admin_base.replace(/\/$/, '')}/console`, 90);
  await operator.fill('#organization', card.organization_id);
  await operator.fill('#api-key', card.api_key);
  await operator.click('#log-in');
  await operator.waitForSelector('.tiles');
  await operator.waitForTimeout(500);
  await shoot(operator, 'console');
  await ada.waitForTimeout(15_000);
  await rest('POST', `/meetings/${card.meeting_id}/active-session/kick-all`, {});
  await operator.waitForTimeout(4000);
  await operator.click("#view a[href^='#/calls/']");
  await operator.waitForTimeout(1500);
  await shoot(operator, 'call');
} finally {
  await browser?.close();
  for (const child of children) child.kill();
  rmSync(folder, { recursive: true, force: true });
}
