import { el } from './parts.js';

const SIDES = { in: 'from the phone', out: 'to the phone', inside: 'within the gateway' };

/**
 * A call's facts drawn between phone and gateway, oldest first.
 *
 * @param {{ facts: { at_ms: number, direction: 'in' | 'out' | 'inside', text: string }[],
 *   skipped: number } | undefined} timeline
 */
export function ladder(timeline) {
  const facts = timeline?.facts ?? [];
  if (!facts.length) return el('p', { class: 'soft empty' }, 'Nothing was kept of this call.');
  const rungs = facts.map(({ at_ms: at, direction, text }) =>
    el(
      'li',
      { class: 'rung', 'data-direction': direction },
      el('span', { class: 'rung-at' }, `${(at / 1000).toFixed(3)}\u00a0s`),
      el(
        'span',
        { class: 'rung-line' },
        el('span', { class: 'rung-text' }, direction === 'inside' ? '' : text),
        el('span', { class: 'visually-hidden' }, ` ${SIDES[direction] ?? direction}`),
      ),
      el('span', { class: 'rung-note' }, direction === 'inside' ? text : ''),
    ),
  );
  const heads = el(
    'div',
    { class: 'ladder-heads', 'aria-hidden': 'true' },
    el('span'),
    el('span', { class: 'ladder-ends' }, el('b', {}, 'phone'), el('b', {}, 'ringbridge')),
    el('span'),
  );
  const skipped = timeline.skipped
    ? [el('p', { class: 'soft' }, `${timeline.skipped} facts of the middle were not kept.`)]
    : [];
  return el('div', { class: 'ladder' }, heads, el('ol', {}, ...rungs), ...skipped);
}
