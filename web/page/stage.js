import { byId, setIcon } from './dom.js';
import { fitTiles } from './grid.js';

/** A new speaker takes the foreground after being the loudest this long: coughs do not. */
const TAKES_OVER_MS = 1200;
/** A pause this long ends what one says. */
const PAUSE_MS = 1000;
/** Quieter than this, 0 to 1, nobody is said to speak. */
const SPEAKING_LEVEL = 0.3;

/**
 * Where the tiles stand: all alike in the grid; or one, or the shared screens, in the foreground
 * and the rest beside it.
 */
export class Stage {
  #meeting;
  /** @type {'grid' | 'speaker'} */
  #view = 'grid';
  /** @type {Map<string, import('./tile.js').Tile>} in the order they came, oneself first */
  #tiles = new Map();
  /** @type {Map<string, import('./tile.js').ScreenTile>} */
  #screens = new Map();
  /** @type {string | undefined} who speaks, after the pause for coughs */
  #speaker;
  /** @type {{ id: string, since: number, last: number } | undefined} the loudest now */
  #candidate;

  /** @param {import('../sdk/client.js').RingbridgeClient} meeting */
  constructor(meeting) {
    this.#meeting = meeting;
    fitTiles(byId('stage'));
    fitTiles(byId('spotlight'), { self: true });
    byId('view').addEventListener('click', () => this.toggleView());
    meeting.participants.on('activeSpeaker', ({ peerId, volume }) => this.#spoke(peerId, volume));
    for (const event of ['participantJoined', 'participantLeft']) {
      meeting.participants.pinned.on(event, () => this.arrange());
    }
  }

  toggleView() {
    this.#view = this.#view === 'grid' ? 'speaker' : 'grid';
    this.arrange();
  }

  /** @param {string} key `self` or a participant's id @param {import('./tile.js').Tile} tile */
  add(key, tile) {
    this.#tiles.set(key, tile);
    this.arrange();
  }

  /** @param {string} key @returns {import('./tile.js').Tile | undefined} */
  tile(key) {
    return this.#tiles.get(key);
  }

  /** @param {string} key */
  remove(key) {
    this.#tiles.get(key)?.remove();
    this.#tiles.delete(key);
    if (this.#speaker === key) this.#speaker = undefined;
    this.arrange();
  }

  /** @param {string} key @returns {import('./tile.js').ScreenTile | undefined} */
  screen(key) {
    return this.#screens.get(key);
  }

  /** @param {string} key @param {import('./tile.js').ScreenTile | undefined} tile none takes it away */
  setScreen(key, tile) {
    this.#screens.get(key)?.remove();
    if (tile) this.#screens.set(key, tile);
    else this.#screens.delete(key);
    this.arrange();
  }

  /** Redraws every meter. */
  tick() {
    for (const tile of this.#tiles.values()) tile.tick();
  }

  clear() {
    for (const tile of [...this.#tiles.values(), ...this.#screens.values()]) tile.remove();
    this.#tiles.clear();
    this.#screens.clear();
    this.#speaker = undefined;
    this.#candidate = undefined;
    this.arrange();
  }

  /** Puts every tile where it belongs now. */
  arrange() {
    const front = this.#foreground();
    const chosen = new Set(front);
    const rest = [...this.#tiles.values()].filter((tile) => !chosen.has(tile));
    place(byId('spotlight'), front);
    place(byId('stage'), rest);
    byId('spotlight').hidden = front.length === 0;
    byId('stage-frame').hidden = rest.length === 0;
    byId('floor').dataset.layout = front.length ? 'speaker' : 'grid';
    for (const [id, tile] of this.#tiles) {
      tile.showPinned(this.#meeting.participants.pinned.has(id));
    }
    const button = byId('view');
    button.setAttribute('aria-pressed', String(this.#view === 'speaker'));
    button.title = this.#view === 'speaker' ? 'Back to the grid (G)' : 'The speaker in front (G)';
    setIcon(button, this.#view === 'speaker' ? 'grid' : 'speaker-view');
  }

  #foreground() {
    const pinned = [...this.#tiles].filter(([id]) => this.#meeting.participants.pinned.has(id));
    if (pinned.length) return [...this.#screens.values(), ...pinned.map(([, tile]) => tile)];
    if (this.#screens.size) return [...this.#screens.values()];
    if (this.#view === 'grid' || this.#tiles.size < 2) return [];
    const others = [...this.#tiles.keys()].filter((id) => id !== 'self');
    const id = this.#speaker && this.#tiles.has(this.#speaker) ? this.#speaker : others[0];
    return [this.#tiles.get(id)];
  }

  #spoke(id, volume) {
    if (volume < SPEAKING_LEVEL) return;
    const now = performance.now();
    const before = this.#candidate;
    const goesOn = before?.id === id && now - before.last < PAUSE_MS;
    this.#candidate = { id, since: goesOn ? before.since : now, last: now };
    if (id === this.#speaker) return;
    if (this.#speaker && now - this.#candidate.since < TAKES_OVER_MS) return;
    this.#speaker = id;
    if (this.#view === 'speaker') this.arrange();
  }
}

/** Makes a list hold these tiles in this order, touching none that stands right already. */
function place(list, tiles) {
  tiles.forEach(({ node }, at) => {
    if (list.children[at] !== node) list.insertBefore(node, list.children[at] ?? null);
  });
}
