import { el } from './parts.js';

const SVG = 'http://www.w3.org/2000/svg';
const WIDTH = 320;
const HEIGHT = 72;

/** One panel each; `top` is the least that the axis reaches up to. */
const CURVES = [
  { key: 'received_mos', title: 'Score of what the phone says', unit: '', top: 4.5, bottom: 1, digits: 2 },
  { key: 'sent_mos', title: 'Score of what the phone hears', unit: '', top: 4.5, bottom: 1, digits: 2 },
  { key: 'jitter_ms', title: 'Jitter', unit: 'ms', top: 20, digits: 1 },
  { key: 'buffer_ms', title: 'Wait in the jitter buffer', unit: 'ms', top: 60, digits: 0 },
  { key: 'concealed', title: 'Concealed', unit: '%', top: 2, scale: 100, digits: 1 },
  { key: 'sent_loss', title: 'Lost on the way to the phone', unit: '%', top: 2, scale: 100, digits: 1 },
  { key: 'round_trip_ms', title: 'Round trip', unit: 'ms', top: 50, digits: 0 },
];

/**
 * The quality of a call over its time, one small panel for each figure that is known.
 *
 * @param {{ at_s: number }[]} points
 */
export function curves(points) {
  const panels = CURVES.map((curve) => panel(curve, points)).filter(Boolean);
  if (!panels.length) return el('p', { class: 'soft empty' }, 'No curves: they begin with the first seconds of sound.');
  return el('div', { class: 'curves' }, ...panels);
}

function panel({ key, title, unit, top, bottom = 0, scale = 1, digits }, points) {
  const known = points.filter((point) => typeof point[key] === 'number');
  if (known.length < 2) return undefined;
  const values = known.map((point) => point[key] * scale);
  const high = Math.max(top, ...values);
  const first = known[0].at_s;
  const span = Math.max(1, known.at(-1).at_s - first);
  const place = (point, n) => {
    const x = ((point.at_s - first) / span) * WIDTH;
    const y = HEIGHT - ((values[n] - bottom) / (high - bottom)) * HEIGHT;
    return `${x.toFixed(1)},${Math.min(HEIGHT, Math.max(0, y)).toFixed(1)}`;
  };
  const line = shape('polyline', { class: 'curve-line', points: known.map(place).join(' ') });
  const ground = known.map(place).join(' ');
  const area = shape('polygon', { class: 'curve-area', points: `0,${HEIGHT} ${ground} ${WIDTH},${HEIGHT}` });
  const worst = bottom ? Math.min(...values) : Math.max(...values);
  const text = (value) => `${value.toFixed(digits)}${unit ? `\u00a0${unit}` : ''}`;
  const label = `${title}: last ${text(values.at(-1))}, worst ${text(worst)}`;
  const svg = shape('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', role: 'img', 'aria-label': label }, area, line);
  return el(
    'figure',
    { class: 'curve', 'data-curve': key },
    el('figcaption', {}, el('span', {}, title), el('b', {}, text(values.at(-1))), el('small', {}, `worst ${text(worst)}`)),
    svg,
  );
}

function shape(tag, attributes, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}
