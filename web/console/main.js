import { Api } from './api.js';
import { call, calls } from './calls.js';
import { meeting, meetings } from './meetings.js';
import { overview } from './overview.js';
import { byId, el } from './parts.js';
import { RESOURCES, resource } from './resources.js';
import { deliveries } from './webhooks.js';

const api = new Api();

/**
 * A view draws itself into the node it is given and may return how often it is to be drawn again,
 * in ms, while it is looked at.
 *
 * @typedef {(api: Api, node: HTMLElement, go: (hash: string) => void, id?: string) => Promise<number | void>} View
 */

/** What there is, in the order of the menu. `needs` is a path the server must have. */
const PLACES = [
  { name: '', title: 'Overview', view: overview },
  { name: 'calls', title: 'Calls', view: calls, one: call, needs: '/sip/calls' },
  { name: 'meetings', title: 'Meetings', view: meetings, one: meeting, needs: '/meetings' },
  ...RESOURCES.map((of) => ({
    name: of.name,
    title: of.title,
    needs: of.path,
    view: (...args) => resource(of, ...args),
    one: of.name === 'webhooks' ? deliveries : undefined,
  })),
];

let timer = 0;
/** Counts visits: a view that answers after one has gone on must not draw over the next. */
let visit = 0;

async function show({ again = false } = {}) {
  clearTimeout(timer);
  const mine = (visit += again ? 0 : 1);
  const [name = '', id] = location.hash.replace(/^#\/?/, '').split('/').map(decodeURIComponent);
  const place = PLACES.find((candidate) => candidate.name === name) ?? PLACES[0];
  const view = id && place.one ? place.one : place.view;
  const drawn = el('div');
  let interval;
  try {
    interval = await view(api, drawn, go, id);
  } catch (error) {
    if (!api.loggedIn) return;
    drawn.replaceChildren(el('p', { class: 'notice notice-bad', role: 'alert' }, error.message));
    interval = again ? 2000 : undefined;
  }
  if (mine !== visit || !api.loggedIn) return;
  // A redraw must not pull what is being read, chosen or typed from under one's hands.
  const box = byId('view');
  const busy = again && (box.querySelector(':focus:is(input, select, textarea)') || byId('dialog').open);
  if (!busy) {
    const focused = again ? focusPath(box) : undefined;
    box.replaceChildren(drawn);
    if (focused) box.querySelector(focused)?.focus();
  }
  if (!again) {
    document.title = `${drawn.querySelector('h1')?.textContent ?? place.title} · Ringbridge`;
    box.focus();
    box.scrollTop = 0;
  }
  menu(place.name);
  if (interval) timer = setTimeout(() => show({ again: true }), document.hidden ? interval * 5 : interval);
}

/** A selector for what has the focus within `box`, so that a redraw can give it back. */
function focusPath(box) {
  const node = document.activeElement;
  if (!box.contains(node) || node === box) return undefined;
  const href = node.getAttribute('href');
  if (href) return `a[href="${CSS.escape(href)}"]`;
  return node.id ? `#${CSS.escape(node.id)}` : undefined;
}

function go(hash) {
  if (location.hash === hash) show();
  else location.hash = hash;
}

function menu(current) {
  const known = PLACES.filter(({ needs }) => !needs || api.has(needs));
  byId('nav').replaceChildren(
    ...known.map(({ name, title }) =>
      el('a', { href: `#/${name}`, ...(name === current ? { 'aria-current': 'page' } : {}) }, title),
    ),
  );
}

async function enter() {
  byId('login').hidden = true;
  byId('console').hidden = false;
  api.plain('/version').then(({ version }) => (byId('server').textContent = `Version ${version}`), () => {});
  await show();
}

function leave() {
  clearTimeout(timer);
  visit += 1;
  byId('console').hidden = true;
  byId('login').hidden = false;
  byId('view').replaceChildren();
  byId('api-key').value = '';
  byId('organization').focus();
  document.title = 'Console · Ringbridge';
}

byId('login-form').addEventListener('submit', async (event) => {
  event.preventDefault();
  const notice = byId('login-notice');
  notice.hidden = true;
  byId('log-in').disabled = true;
  try {
    await api.logIn(byId('organization').value.trim(), byId('api-key').value.trim());
    await api.resume();
    byId('api-key').value = '';
    await enter();
  } catch (error) {
    notice.hidden = false;
    const wrong = error.status === 401 || error.status === 422 || error.status === 400;
    notice.textContent = wrong ? 'The organisation id or the API key is wrong.' : error.message;
  }
  byId('log-in').disabled = false;
});
byId('log-out').addEventListener('click', () => api.logOut());
api.addEventListener('loggedout', leave);
addEventListener('hashchange', () => api.loggedIn && show());
document.addEventListener('visibilitychange', () => {
  if (!document.hidden && api.loggedIn && !byId('console').hidden) show({ again: true });
});

api.resume().then((known) => (known ? enter() : leave()), leave);
