import { byId, el } from './dom.js';

/** How long a notice stays that asks for nothing. */
const SHOWN_MS = 12_000;

/** The line above the stage that says what is the matter. */
export class Notices {
  #timer = 0;
  #lasting = false;

  /** Whether one is shown that stays until its cause has gone. */
  get lasting() {
    return this.#lasting;
  }

  /** @param {(import('./words.js').Words & { lasting?: boolean }) | undefined} words none clears it */
  show(words) {
    const box = byId('room-notice');
    clearTimeout(this.#timer);
    this.#lasting = words?.lasting ?? false;
    box.hidden = !words;
    if (!words) return;
    box.replaceChildren(el('strong', {}, words.title), words.text);
    if (!words.lasting) this.#timer = setTimeout(() => this.show(undefined), SHOWN_MS);
  }
}
