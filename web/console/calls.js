import { curves } from './curves.js';
import { ladder } from './ladder.js';
import { ask, badge, button, duration, el, facts, figure, head, pager, section, shortId, table, when } from './parts.js';

const PER_PAGE = 25;
const REFRESH_MS = 3000;
/** Readings of a live call kept for its curves: an hour of them. */
const READINGS_MAX = 1200;

export const CALL_HEADS = ['Caller', 'State', 'Profile', 'Started', 'Talked', 'Loss', 'Jitter', 'Call'];

const OUTCOMES = { success: 'good', client_error: 'warn', server_error: 'bad', upstream_error: 'warn', indeterminate: 'soft' };

/** What the list was last asked for; kept while the window is open. */
const wanted = { page: 1, status: '', outcome: '' };

/** @param {any[]} list calls as the API shows them */
export function callRows(list) {
  return list.map((one) => [
    el('a', { href: `#/calls/${one.id}` }, one.caller || 'unknown'),
    state(one),
    one.profile,
    when(one.started_at),
    duration(one.duration_s),
    figure(lossPercent(one.quality), '%', 1),
    figure(one.quality?.jitter_ms, 'ms'),
    shortId(one.id),
  ]);
}

function state(one) {
  if (one.status === 'LIVE') return badge(one.on_hold ? 'on hold' : one.answered_at ? 'talking' : 'ringing', 'good');
  return badge(`${one.outcome} · ${one.reason}`, OUTCOMES[one.outcome] ?? 'soft');
}

function lossPercent(quality) {
  if (!quality) return undefined;
  const all = quality.packets_received + quality.packets_lost;
  return all ? (quality.packets_lost / all) * 100 : undefined;
}

/** All calls. @type {import('./main.js').View} */
export async function calls(api, node, go) {
  const query = new URLSearchParams({ page_no: String(wanted.page), per_page: String(PER_PAGE) });
  if (wanted.status) query.set('status', wanted.status);
  if (wanted.outcome) query.set('outcome', wanted.outcome);
  const { data, paging } = await api.get(`/sip/calls?${query}`);
  const again = (change) => {
    Object.assign(wanted, { page: 1 }, change);
    go('#/calls');
  };
  node.append(
    head(
      'Calls',
      choice('State', 'call-status', [['', 'all'], ['LIVE', 'in progress'], ['ENDED', 'ended']], wanted.status, (status) => again({ status })),
      choice('Outcome', 'call-outcome', [['', 'all'], ...Object.keys(OUTCOMES).map((o) => [o, o])], wanted.outcome, (outcome) => again({ outcome })),
    ),
    table('Calls', CALL_HEADS, callRows(data), 'No call fits.'),
    pager(paging, wanted.page, PER_PAGE, (page) => again({ page })),
  );
  return REFRESH_MS;
}

function choice(label, id, options, chosen, onChange) {
  const select = el('select', { id }, ...options.map(([value, text]) => el('option', { value }, text)));
  select.value = chosen;
  select.addEventListener('change', () => {
    select.blur();
    onChange(select.value);
  });
  return el('span', { class: 'choice' }, el('label', { for: id }, label), select);
}

/** @type {{ id: string, points: any[] }} what was read of the live call that is looked at */
let watched = { id: '', points: [] };

/** One call. @type {import('./main.js').View} */
export async function call(api, node, go, id) {
  const { data: one } = await api.get(`/sip/calls/${encodeURIComponent(id)}`);
  const live = one.status === 'LIVE';
  if (watched.id !== id) watched = { id, points: [] };
  if (live && one.quality) watched.points.push(reading(one));
  if (watched.points.length > READINGS_MAX) watched.points.shift();
  const points = one.quality?.curve?.length ? one.quality.curve : watched.points;
  node.append(
    head(one.caller || 'Unknown caller', state(one), ...(live ? [hangUp(api, one, go)] : [])),
    facts([
      ['Meeting', one.meeting_id ? el('a', { href: `#/meetings/${one.meeting_id}` }, one.meeting_id) : '–'],
      ['Started', when(one.started_at)],
      ['Answered', when(one.answered_at)],
      ['Ended', when(one.ended_at)],
      ['Set-up', figure(one.setup_ms, 'ms')],
      ['Talked', duration(one.duration_s)],
      ['SIP status', one.sip_status ? String(one.sip_status) : '–'],
      ['Profile', one.profile],
      ['SIP Call-ID', one.sip_call_id ?? '–'],
      ['Call', one.id],
    ]),
    section('Timeline', ladder(one.timeline)),
    section('Quality', ...quality(one.quality), curves(points)),
  );
  return live ? REFRESH_MS : undefined;
}

/** A live call's figures as one point of a curve. */
function reading(one) {
  const { quality } = one;
  return {
    at_s: one.duration_s,
    jitter_ms: quality.jitter_ms,
    buffer_ms: quality.received?.buffer_ms,
    received_mos: quality.received?.mos,
    sent_mos: quality.sent?.mos,
    sent_loss: quality.remote_loss,
    round_trip_ms: quality.round_trip_ms,
  };
}

function quality(figures) {
  if (!figures) return [el('p', { class: 'soft empty' }, 'No figures: there was no sound, or the call is not over yet.')];
  const { received, sent } = figures;
  const rows = [
    ['Packets', String(figures.packets_received), String(figures.packets_sent)],
    ['Lost', figure(lossPercent(figures), '%', 2), figure(percent(figures.remote_loss), '%', 2)],
    ['Jitter', figure(figures.jitter_ms, 'ms', 1), figure(sent?.jitter_ms, 'ms', 1)],
    ['Round trip', figure(figures.round_trip_ms, 'ms'), ''],
    ['Waited in the buffer', figure(received?.buffer_ms, 'ms'), figure(sent?.buffer_ms, 'ms')],
    ['Concealed', figure(figures.concealed_ms, 'ms'), figure(sent?.concealed_ms, 'ms')],
    ['Stretched', figure(received?.stretched_ms, 'ms'), ''],
    ['Clock drift', figure(received?.drift_ppm, 'ppm', 1), ''],
    ['Opinion score', figure(received?.mos, '', 2), figure(sent?.mos, '', 2)],
    ['Discarded', String(figures.packets_discarded), ''],
  ];
  const known = rows.filter(([, a, b]) => a !== '–' || (b !== '–' && b !== ''));
  return [table('Quality', ['Figure', 'From the phone', 'To the phone'], known, '')];
}

const percent = (share) => (share === null || share === undefined ? undefined : share * 100);

function hangUp(api, one, go) {
  return button(
    'Hang up',
    () =>
      ask({
        title: 'Hang up this call?',
        body: [el('p', {}, `${one.caller || 'The caller'} is disconnected at once.`)],
        agree: 'Hang up',
        bad: true,
        act: async () => {
          await api.post(`/sip/calls/${encodeURIComponent(one.id)}/hang-up`);
          go(`#/calls/${one.id}`);
        },
      }),
    'small-bad',
  );
}
