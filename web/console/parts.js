/**
 * What the console's views are made of. Everything shown goes through `el`, which makes text nodes:
 * names, numbers and User-Agents come from whoever calls.
 */
import { byId, el } from '../page/dom.js';

export { byId, el };

/** @param {string | null | undefined} time RFC 3339 */
export function when(time) {
  if (!time) return '–';
  const date = new Date(time);
  const today = date.toDateString() === new Date().toDateString();
  const text = today ? date.toLocaleTimeString() : date.toLocaleString();
  return el('time', { datetime: time, title: date.toISOString() }, text);
}

/** @param {number | null | undefined} seconds */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return '–';
  const whole = Math.round(seconds);
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (n) => String(n).padStart(2, '0');
  return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

/** @param {number | null | undefined} value @param {string} unit @param {number} [digits] */
export function figure(value, unit, digits = 0) {
  if (value === null || value === undefined) return '–';
  return `${value.toFixed(digits)}${unit ? `\u00a0${unit}` : ''}`;
}

/** A word with a colour. @param {string} text @param {'good' | 'bad' | 'warn' | 'soft'} kind */
export function badge(text, kind) {
  return el('span', { class: `tag tag-${kind}` }, text);
}

/** The first part of an id, the whole of it as title. */
export function shortId(id) {
  return id ? el('code', { title: id }, id.slice(0, 8)) : '–';
}

/** @param {string} text @param {() => void} act @param {string} [kind] */
export function button(text, act, kind = '') {
  const node = el('button', { type: 'button', class: `small ${kind}` }, text);
  node.addEventListener('click', act);
  return node;
}

/**
 * A table; says in words that it is empty.
 *
 * @param {string} caption
 * @param {string[]} heads
 * @param {(Node | string)[][]} rows
 * @param {string} empty
 */
export function table(caption, heads, rows, empty) {
  if (!rows.length) return el('p', { class: 'soft empty' }, empty);
  return el(
    'div',
    { class: 'table-box', tabindex: '0', role: 'group', 'aria-label': caption },
    el(
      'table',
      {},
      el('caption', { class: 'visually-hidden' }, caption),
      el('thead', {}, el('tr', {}, ...heads.map((head) => el('th', { scope: 'col' }, head || el('span', { class: 'visually-hidden' }, 'Actions'))))),
      el('tbody', {}, ...rows.map((cells) => el('tr', {}, ...cells.map((cell) => el('td', {}, cell))))),
    ),
  );
}

/** @param {[string, Node | string][]} facts */
export function facts(facts) {
  return el('dl', { class: 'facts' }, ...facts.flatMap(([name, value]) => [el('dt', {}, name), el('dd', {}, value)]));
}

/** @param {string} title @param {...(Node | string)} children */
export function section(title, ...children) {
  return el('section', { class: 'block' }, el('h2', {}, title), ...children);
}

/** A view's title with its buttons. @param {string} title @param {...Node} actions */
export function head(title, ...actions) {
  return el('div', { class: 'view-head' }, el('h1', {}, title), ...actions);
}

/** Leaves through pages of a list. @param {any} paging @param {number} page @param {number} perPage @param {(page: number) => void} go */
export function pager(paging, page, perPage, go) {
  const pages = Math.max(1, Math.ceil((paging?.total_count ?? 0) / perPage));
  if (pages === 1) return '';
  const back = button('Newer', () => go(page - 1));
  const on = button('Older', () => go(page + 1));
  back.disabled = page <= 1;
  on.disabled = page >= pages;
  return el('p', { class: 'pager' }, back, `Page ${page} of ${pages}`, on);
}

/**
 * Asks something in a dialog. `act` runs when it is agreed to; what it throws is shown and the
 * dialog stays.
 *
 * @param {{ title: string, body: (Node | string)[], agree: string, bad?: boolean,
 *   act: () => Promise<void | false> }} question `false` from `act` keeps the dialog open too
 */
export function ask({ title, body, agree, bad = false, act }) {
  const dialog = byId('dialog');
  byId('dialog-title').textContent = title;
  byId('dialog-body').replaceChildren(...body);
  byId('dialog-notice').hidden = true;
  const yes = el('button', { type: 'submit', class: `small ${bad ? 'small-bad' : 'small-good'}` }, agree);
  const no = button('Cancel', () => dialog.close());
  byId('dialog-buttons').replaceChildren(no, yes);
  byId('dialog-form').onsubmit = async (event) => {
    event.preventDefault();
    yes.disabled = true;
    try {
      if ((await act()) !== false) dialog.close();
    } catch (error) {
      complain(error);
    }
    yes.disabled = false;
  };
  if (!dialog.open) dialog.showModal();
}

/** Tells something in the open dialog, or a new one. @param {string} title @param {...(Node | string)} body */
export function tell(title, ...body) {
  const dialog = byId('dialog');
  byId('dialog-title').textContent = title;
  byId('dialog-body').replaceChildren(...body);
  byId('dialog-notice').hidden = true;
  byId('dialog-buttons').replaceChildren(button('Done', () => dialog.close(), 'small-good'));
  byId('dialog-form').onsubmit = (event) => {
    event.preventDefault();
    dialog.close();
  };
  if (!dialog.open) dialog.showModal();
}

/** @param {Error} error shown in the open dialog */
export function complain(error) {
  byId('dialog-notice').hidden = false;
  byId('dialog-notice').textContent = error.message;
}

/** Text to be copied out of. @param {string} text */
export function copyable(text) {
  const copy = button('Copy', async () => {
    await navigator.clipboard.writeText(text).then(
      () => (copy.textContent = 'Copied'),
      () => (copy.textContent = 'Not allowed'),
    );
  });
  return el('p', { class: 'copyable' }, el('code', {}, text), copy);
}
