import { byId } from './dom.js';

/** The panels beside the stage; one is open at a time. */
const PANELS = ['people', 'chat', 'dial-in', 'settings'];

/**
 * Opens and closes the panels: the button says whether its panel is open, the focus goes in with it
 * and comes back when it closes.
 */
export class Panels {
  /** @type {string | undefined} */
  #open;
  /** @type {((name: string | undefined) => void)[]} */
  #listeners = [];

  constructor() {
    for (const name of PANELS) {
      byId(name).addEventListener('click', () => this.toggle(name));
    }
    for (const button of document.querySelectorAll('[data-close]')) {
      button.addEventListener('click', () => this.close());
    }
  }

  /** @returns {string | undefined} the open one's name */
  get open() {
    return this.#open;
  }

  /** @param {(name: string | undefined) => void} listener called when another opens or all close */
  onChange(listener) {
    this.#listeners.push(listener);
  }

  /** @param {string} name */
  toggle(name) {
    if (byId(name).hidden) return;
    if (this.#open === name) this.close();
    else this.show(name);
  }

  /** @param {string} name */
  show(name) {
    this.#set(name);
    const text = byId(`${name}-panel`).querySelector('textarea:not(:disabled)');
    (text ?? byId(`${name}-title`)).focus();
  }

  close() {
    const was = this.#open;
    if (!was) return;
    const inside = byId(`${was}-panel`).contains(document.activeElement);
    this.#set(undefined);
    if (inside) byId(was).focus();
  }

  #set(name) {
    this.#open = name;
    for (const panel of PANELS) {
      byId(`${panel}-panel`).hidden = panel !== name;
      byId(panel).setAttribute('aria-expanded', String(panel === name));
    }
    for (const listener of this.#listeners) listener(name);
  }
}
