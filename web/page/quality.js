import { byId, el } from './dom.js';

/** From which score on, of 10, a connection is called so. */
const GRADES = [
  { from: 8.5, bars: 4, name: 'good', words: 'Your connection is good.' },
  { from: 6.5, bars: 3, name: 'fair', words: 'Your connection is fair. Sound may falter now and then.' },
  { from: 4, bars: 2, name: 'poor', words: 'Your connection is poor. Turning off your camera may help.' },
  { from: -1, bars: 1, name: 'bad', words: 'Your connection is bad. Move closer to your network, or dial in by phone.' },
];

/** The bars that say how good one's own connection is, and the figures behind them. */
export class Quality {
  /** @param {import('../sdk/self.js').Self} self */
  constructor(self) {
    byId('quality').addEventListener('click', () => this.toggle());
    self.on('mediaScoreUpdate', ({ score, scoreStats }) => this.#show(score, scoreStats));
    this.reset();
  }

  /** @param {boolean} [open] */
  toggle(open = byId('quality-panel').hidden) {
    byId('quality-panel').hidden = !open;
    byId('quality').setAttribute('aria-expanded', String(open));
  }

  reset() {
    delete byId('quality').dataset.bars;
    byId('quality-label').textContent = 'Network quality: not known yet';
    byId('quality-words').textContent = 'Not known yet: it takes a few seconds.';
    byId('quality-figures').replaceChildren();
  }

  /** @param {number} score @param {import('../sdk/quality.js').ScoreStats} stats */
  #show(score, stats) {
    const grade = GRADES.find(({ from }) => score >= from);
    byId('quality').dataset.bars = String(grade.bars);
    const label = `Network quality: ${grade.name}`;
    if (byId('quality-label').textContent !== label) byId('quality-label').textContent = label;
    byId('quality').title = label;
    byId('quality-words').textContent = grade.words;
    const rows = [
      ['Round trip', stats.roundTripTimeMs, (ms) => `${Math.round(ms)} ms`],
      ['Jitter', stats.jitterMs, (ms) => `${Math.round(ms)} ms`],
      ['Lost on the way here', stats.lossInPercent, (percent) => `${percent.toFixed(1)} %`],
      ['Lost on the way there', stats.lossOutPercent, (percent) => `${percent.toFixed(1)} %`],
      ['Receiving', stats.bitrateIn, (bits) => `${Math.round(bits / 1000)} kbit/s`],
      ['Sending', stats.bitrateOut, (bits) => `${Math.round(bits / 1000)} kbit/s`],
    ];
    const known = rows.filter(([, value]) => value !== undefined);
    byId('quality-figures').replaceChildren(
      ...known.flatMap(([name, value, text]) => [el('dt', {}, name), el('dd', {}, text(value))]),
    );
  }
}
