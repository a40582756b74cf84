/** The few helpers that building a page by hand needs. */

/** @param {string} id */
export const byId = (id) => document.getElementById(id);

/**
 * @param {string} tag
 * @param {Record<string, any>} [attributes] `class`, `data-…` and the like; false leaves one out
 * @param {...(Node | string)} children
 */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== false && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

/** @param {string} name one of the sprite's symbols, without `icon-` */
export function icon(name) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('aria-hidden', 'true');
  const use = document.createElementNS('http://www.w3.org/2000/svg', 'use');
  use.setAttribute('href', `#icon-${name}`);
  svg.append(use);
  return svg;
}

/** Points an icon that is already there at another symbol. */
export function setIcon(container, name) {
  container.querySelector('use').setAttribute('href', `#icon-${name}`);
}

/** Says something to screen readers, in the order it happens. */
export function announce(text) {
  const log = byId('announcer');
  log.append(el('p', {}, text));
  while (log.childElementCount > 20) log.firstElementChild.remove();
}

/** @returns {string} one or two letters that stand for a name */
export function initials(name) {
  const words = name.trim().split(/\s+/).filter((word) => /[\p{L}\p{N}]/u.test(word));
  const letters = [words[0], words.length > 1 ? words.at(-1) : undefined];
  return letters.map((word) => (word ? [...word][0].toUpperCase() : '')).join('') || '·';
}

/** @returns {number} a hue that stays with the name */
export function hue(name) {
  let hash = 7;
  for (const char of name) hash = (hash * 31 + char.codePointAt(0)) % 3600;
  return Math.round(hash / 10);
}
