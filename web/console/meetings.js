import { callRows, CALL_HEADS } from './calls.js';
import { form } from './fields.js';
import { ask, badge, button, copyable, el, facts, head, pager, section, shortId, table, tell, when } from './parts.js';

const PER_PAGE = 25;
const REFRESH_MS = 3000;

let page = 1;

/** All meetings. @type {import('./main.js').View} */
export async function meetings(api, node, go) {
  const [{ data, paging }, live] = await Promise.all([
    api.get(`/meetings?page_no=${page}&per_page=${PER_PAGE}`),
    api.get('/sessions?status=LIVE&per_page=100'),
  ]);
  const inside = new Map(live.data.map((session) => [session.associated_id, session.live_participants]));
  const add = button('New meeting', () => make(api, go), 'small-good');
  add.id = 'new';
  node.append(
    head('Meetings', add),
    table(
      'Meetings',
      ['Title', 'State', 'Now in it', 'Made', 'Id'],
      data.map((one) => [
        el('a', { href: `#/meetings/${one.id}` }, one.title || 'Untitled'),
        state(one),
        inside.has(one.id) ? badge(String(inside.get(one.id)), 'good') : '–',
        when(one.created_at),
        shortId(one.id),
      ]),
      'There are no meetings.',
    ),
    pager(paging, page, PER_PAGE, (to) => {
      page = to;
      go('#/meetings');
    }),
  );
}

const state = (one) => (one.status === 'ACTIVE' ? badge('open', 'good') : badge('closed', 'soft'));

function make(api, go) {
  const fields = form([{ key: 'title', label: 'Title', required: true }]);
  ask({
    title: 'New meeting',
    body: fields.nodes,
    agree: 'Create',
    act: async () => {
      const { data } = await api.post('/meetings', fields.read());
      go(`#/meetings/${data.id}`);
    },
  });
}

/** One meeting: who is in it, who may come, what was. @type {import('./main.js').View} */
export async function meeting(api, node, go, id) {
  const path = `/meetings/${encodeURIComponent(id)}`;
  const [{ data: one }, active, calls, sessions] = await Promise.all([
    api.get(path),
    // Nobody is there.
    api.get(`${path}/active-session`).catch((error) => {
      if (error.status === 404) return undefined;
      throw error;
    }),
    api.get(`/sip/calls?meeting_id=${encodeURIComponent(id)}&per_page=10`),
    api.get(`/sessions?associated_id=${encodeURIComponent(id)}&per_page=10`).catch(() => ({ data: [] })),
  ]);
  const again = () => go(`#/meetings/${id}`);
  const open = one.status === 'ACTIVE';
  node.append(
    head(
      one.title || 'Untitled',
      state(one),
      button('Invite', () => invite(api, path)),
      button('Rename', () => rename(api, path, one, again)),
      button(open ? 'Close' : 'Open', async () => {
        await api.patch(path, { status: open ? 'INACTIVE' : 'ACTIVE' });
        again();
      }),
    ),
    facts([
      ['Phones dial', one.sip_uri ? copyable(one.sip_uri) : '–'],
      ['Made', when(one.created_at)],
      ['Id', one.id],
    ]),
    ...present(api, path, active?.data, again),
    section('Calls', table('Calls', CALL_HEADS, callRows(calls.data), 'No phone has called.')),
    section(
      'Sessions',
      table(
        'Sessions',
        ['Session', 'State', 'At most', 'Minutes', 'Began', 'Ended'],
        sessions.data
          .filter((session) => session.associated_id === id)
          .map((session) => [
            shortId(session.id),
            session.status === 'LIVE' ? badge('live', 'good') : badge(session.interrupted ? 'interrupted' : 'ended', 'soft'),
            String(session.max_concurrent_participants),
            session.minutes_consumed.toFixed(1),
            when(session.started_at),
            when(session.ended_at),
          ]),
        'Nobody has met here yet.',
      ),
    ),
  );
  return REFRESH_MS;
}

function present(api, path, active, again) {
  if (!active) return [section('Now', el('p', { class: 'soft empty' }, 'Nobody is in this meeting.'))];
  const act = (what, body) => async () => {
    await api.post(`${path}/active-session/${what}`, body);
    again();
  };
  const waiting = active.waiting ?? [];
  const all = el(
    'p',
    { class: 'row-actions' },
    button('Mute all', act('mute-all', {})),
    button('Remove all', () =>
      ask({
        title: 'Remove everyone?',
        body: [el('p', {}, 'Everyone in this meeting is disconnected, phones too.')],
        agree: 'Remove all',
        bad: true,
        act: act('kick-all', {}),
      }), 'small-bad'),
  );
  const list = [
    section(
      `Now: ${active.participants.length}`,
      all,
      table(
        'Participants',
        ['Name', 'By', 'Sound', 'Facts', 'Id', ''],
        active.participants.map((p) => {
          const muted = p.sources?.microphone?.muted ?? true;
          return [
            p.name || 'unnamed',
            p.kind === 'robo' ? badge(p.on_hold ? 'phone, on hold' : 'phone', 'warn') : badge('browser', 'soft'),
            muted ? 'muted' : 'on',
            attributes(p.attributes),
            shortId(p.id),
            el(
              'span',
              { class: 'row-actions' },
              button(muted ? 'Unmute' : 'Mute', act('mute', { participant_ids: [p.id], muted: !muted })),
              button('Remove', act('kick', { participant_ids: [p.id] }), 'small-bad'),
            ),
          ];
        }),
        'Nobody.',
      ),
    ),
  ];
  if (waiting.length) {
    list.push(
      section(
        `Waiting: ${waiting.length}`,
        table(
          'Waiting',
          ['Name', 'By', ''],
          waiting.map((p) => [
            p.name || 'unnamed',
            p.kind === 'robo' ? badge('phone', 'warn') : badge('browser', 'soft'),
            el(
              'span',
              { class: 'row-actions' },
              button('Admit', act('admit', { participant_ids: [p.id] }), 'small-good'),
              button('Deny', act('deny', { participant_ids: [p.id] })),
            ),
          ]),
          'Nobody.',
        ),
      ),
    );
  }
  return list;
}

function attributes(all) {
  const known = Object.entries(all ?? {});
  if (!known.length) return '–';
  return el('span', { class: 'attributes' }, ...known.map(([name, value]) => el('code', {}, `${name}: ${value}`)));
}

async function invite(api, path) {
  const { data } = await api.get('/presets?per_page=100');
  const fields = form([
    { key: 'name', label: 'Name', required: true },
    { key: 'preset_name', label: 'Preset', kind: 'choice', required: true, options: data.map(({ name }) => [name, name]), initial: data[0]?.name },
  ]);
  ask({
    title: 'Invite someone',
    body: fields.nodes,
    agree: 'Make a link',
    act: async () => {
      const { data: made } = await api.post(`${path}/participants`, fields.read());
      tell('The link for one person', copyable(made.join_url ?? made.token));
      return false;
    },
  });
}

function rename(api, path, one, again) {
  const fields = form([{ key: 'title', label: 'Title', required: true }], one);
  ask({
    title: 'Rename the meeting',
    body: fields.nodes,
    agree: 'Save',
    act: async () => {
      await api.patch(path, fields.read());
      again();
    },
  });
}
