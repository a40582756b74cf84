import { callRows, CALL_HEADS } from './calls.js';
import { badge, el, head, section, shortId, table, when } from './parts.js';

const REFRESH_MS = 3000;

/** What goes on now. @type {import('./main.js').View} */
export async function overview(api, node) {
  const [sessions, live, ended, ready] = await Promise.all([
    api.get('/sessions?status=LIVE&per_page=50'),
    api.get('/sip/calls?status=LIVE&per_page=50'),
    api.get('/sip/calls?status=ENDED&per_page=8'),
    api.plain('/readyz'),
  ]);
  const people = sessions.data.reduce((sum, session) => sum + session.live_participants, 0);
  node.append(
    head('Overview', ready.ready ? badge('takes new calls', 'good') : badge('takes no new calls', 'bad')),
    ...(ready.ready ? [] : [el('p', { class: 'notice notice-bad' }, JSON.stringify(ready.reasons ?? ready))]),
    el(
      'div',
      { class: 'tiles' },
      number('Live meetings', sessions.paging.total_count),
      number('Participants', people),
      number('Calls in progress', live.paging.total_count),
      number('Calls ended', ended.paging.total_count),
    ),
    section(
      'Live meetings',
      table(
        'Live meetings',
        ['Meeting', 'Session', 'Participants', 'Since'],
        sessions.data.map((session) => [
          el('a', { href: `#/meetings/${session.associated_id}` }, session.meeting_display_name || 'Untitled'),
          shortId(session.id),
          String(session.live_participants),
          when(session.started_at),
        ]),
        'Nobody is in a meeting.',
      ),
    ),
    section('Calls in progress', table('Calls in progress', CALL_HEADS, callRows(live.data), 'Nobody is on the phone.')),
    section('Latest calls', table('Latest calls', CALL_HEADS, callRows(ended.data), 'No call has ended yet.')),
  );
  return REFRESH_MS;
}

function number(name, value) {
  return el('div', { class: 'number' }, el('b', {}, String(value)), el('span', {}, name));
}
