import { form } from './fields.js';
import { ask, badge, button, copyable, el, head, pager, shortId, table, tell, when } from './parts.js';

const PER_PAGE = 25;

/** Meetings to choose from. */
async function meetingOptions(api) {
  const { data } = await api.get('/meetings?per_page=100');
  return data.map(({ id, title }) => [id, `${title || 'Untitled'} (${id.slice(0, 8)})`]);
}

async function named(api, path) {
  if (!api.has(path)) return [];
  const { data } = await api.get(`${path}?per_page=100`);
  return data.map(({ id, name, username }) => [id, name || username || id]);
}

const enabled = ({ enabled: on = true }) => badge(on ? 'on' : 'off', on ? 'good' : 'soft');

/**
 * One kind of stored thing: how it is listed, and which fields it has.
 *
 * @typedef {object} Resource
 * @property {string} name in the address
 * @property {string} title
 * @property {string} one what a single one is called
 * @property {string} path below `/v2`
 * @property {[string, (item: any) => Node | string][]} columns
 * @property {(api: import('./api.js').Api) => Promise<import('./fields.js').Field[]>} fields
 * @property {boolean} [fixed] it cannot be changed, only made and removed
 * @property {(created: any) => (Node | string)[] | undefined} [once] what is told once, when made
 * @property {string} empty
 */

/** @type {Resource[]} */
export const RESOURCES = [
  {
    name: 'presets',
    title: 'Presets',
    one: 'preset',
    path: '/presets',
    empty: 'There are no presets.',
    columns: [
      ['Name', (p) => p.name],
      ['Microphone', (p) => may(p.permissions?.media?.audio)],
      ['Camera', (p) => may(p.permissions?.media?.video)],
      ['Screen', (p) => may(p.permissions?.media?.screenshare)],
      ['Waiting room', (p) => (p.permissions?.waiting_room_type ?? 'SKIP').toLowerCase().replaceAll('_', ' ')],
      ['Changed', (p) => when(p.updated_at)],
    ],
    fields: async () => [
      { key: 'name', label: 'Name', required: true },
      { key: 'permissions', label: 'Permissions', kind: 'json', hint: 'What is not given keeps its default.' },
      { key: 'config', label: 'Configuration for clients', kind: 'json' },
    ],
  },
  {
    name: 'credentials',
    title: 'SIP credentials',
    one: 'SIP credential',
    path: '/sip/credentials',
    empty: 'There are no SIP credentials: no phone can call.',
    fixed: true,
    columns: [
      ['Name', (c) => c.name],
      ['User name', (c) => el('code', {}, c.username)],
      ['Opens', (c) => (c.meetings ? `${c.meetings.length} meetings` : 'every meeting')],
      ['Made', (c) => when(c.created_at)],
    ],
    fields: async (api) => [
      { key: 'name', label: 'Name', hint: 'Whose phone it is for.' },
      { key: 'username', label: 'User name', hint: 'Made if you leave it empty.' },
      { key: 'meetings', label: 'Meetings it opens', kind: 'choices', options: await meetingOptions(api), hint: 'None chosen: all.' },
    ],
    once: (made) => [
      el('p', {}, 'The password is shown this once.'),
      el('label', {}, 'User name'),
      copyable(made.username),
      el('label', {}, 'Password'),
      copyable(made.password),
    ],
  },
  {
    name: 'trunks',
    title: 'Trunks',
    one: 'trunk',
    path: '/sip/trunks',
    empty: 'There are no trunks.',
    columns: [
      ['Name', (t) => t.name],
      ['State', enabled],
      ['Networks', (t) => (t.cidrs ?? []).join(', ') || 'any, with a credential'],
      ['Profile', (t) => t.profile ?? '–'],
      ['Calls at a time', (t) => String(t.concurrent_calls_max ?? '–')],
      ['Changed', (t) => when(t.updated_at)],
    ],
    fields: async (api) => [
      { key: 'name', label: 'Name', required: true },
      { key: 'cidrs', label: 'Networks', kind: 'list', hint: 'One a line, such as 203.0.113.0/24. None: from anywhere, then with a credential.' },
      { key: 'credential_id', label: 'Credential its calls must bring', kind: 'choice', options: await named(api, '/sip/credentials') },
      { key: 'profile', label: 'SIP profile' },
      { key: 'country_code', label: 'Country calling code', hint: 'Completes numbers dialled with a leading 0.' },
      { key: 'allow_meeting_ids', label: 'May dial a meeting’s id', kind: 'flag' },
      { key: 'concurrent_calls_max', label: 'Calls at a time', kind: 'number' },
      { key: 'calls_per_second_max', label: 'New calls a second', kind: 'number' },
      { key: 'enabled', label: 'On', kind: 'flag', initial: true },
    ],
  },
  {
    name: 'routing',
    title: 'Routing',
    one: 'routing rule',
    path: '/sip/routing-rules',
    empty: 'There are no routing rules: numbers lead nowhere.',
    columns: [
      ['Priority', (r) => String(r.priority)],
      ['Name', (r) => r.name || '–'],
      ['State', enabled],
      ['Fits', fits],
      ['Leads to', (r) => (r.meeting_id ? el('a', { href: `#/meetings/${r.meeting_id}` }, r.meeting_id.slice(0, 8)) : 'the meeting it names')],
      ['PIN', (r) => (r.pin ? 'yes' : 'no')],
    ],
    fields: async (api) => [
      { key: 'name', label: 'Name' },
      { key: 'priority', label: 'Priority', kind: 'number', initial: 100, hint: 'The lowest that fits counts.' },
      { key: 'trunk_id', label: 'Trunk', kind: 'choice', options: await named(api, '/sip/trunks'), hint: 'None: every trunk and credential.' },
      { key: 'number', label: 'Number', hint: 'In E.164, such as +493012345.' },
      { key: 'prefix', label: 'Numbers that begin with' },
      { key: 'header', label: 'Calls with this header' },
      { key: 'uri_parameter', label: 'Calls with this URI parameter' },
      { key: 'value', label: 'Value of the header or parameter' },
      { key: 'meeting_id', label: 'Meeting', kind: 'choice', options: await meetingOptions(api) },
      { key: 'preset_name', label: 'Preset of the callers' },
      { key: 'pin', label: 'PIN' },
      { key: 'enabled', label: 'On', kind: 'flag', initial: true },
    ],
  },
  {
    name: 'webhooks',
    title: 'Webhooks',
    one: 'webhook',
    path: '/webhooks',
    empty: 'There are no webhooks.',
    columns: [
      ['Name', (w) => el('a', { href: `#/webhooks/${w.id}` }, w.name || 'unnamed')],
      ['State', enabled],
      ['Address', (w) => el('code', {}, w.url)],
      ['Events', (w) => (w.events ?? []).join(', ')],
    ],
    fields: async () => [
      { key: 'name', label: 'Name', required: true },
      { key: 'url', label: 'Address', required: true, hint: 'https://…' },
      { key: 'events', label: 'Events', kind: 'list', hint: 'One a line, such as call.ended or meeting.started.' },
      { key: 'enabled', label: 'On', kind: 'flag', initial: true },
    ],
    once: (made) =>
      made.secret
        ? [el('p', {}, 'Deliveries are signed with this secret, shown this once.'), copyable(made.secret)]
        : undefined,
  },
];

function may(media) {
  const { can_produce: can = 'ALLOWED' } = media ?? {};
  const kind = { ALLOWED: 'good', NOT_ALLOWED: 'soft', CAN_REQUEST: 'warn' }[can] ?? 'soft';
  return badge(can.toLowerCase().replaceAll('_', ' '), kind);
}

function fits(rule) {
  const value = rule.value ? ` = ${rule.value}` : '';
  if (rule.number) return rule.number;
  if (rule.prefix) return `${rule.prefix}…`;
  if (rule.header) return `${rule.header}${value}`;
  if (rule.uri_parameter) return `;${rule.uri_parameter}${value}`;
  return 'every call';
}

/** @type {Record<string, number>} the page each list was last looked at */
const pages = {};

/**
 * A list of stored things with what can be done to them.
 *
 * @param {Resource} of
 * @param {import('./api.js').Api} api
 * @param {HTMLElement} node
 * @param {(hash: string) => void} go
 */
export async function resource(of, api, node, go) {
  const page = pages[of.name] ?? 1;
  const { data, paging } = await api.get(`${of.path}?page_no=${page}&per_page=${PER_PAGE}`);
  const again = () => go(`#/${of.name}`);
  const add = button(`New ${of.one}`, () => make(of, api, again), 'small-good');
  add.id = 'new';
  node.append(
    head(of.title, add),
    table(
      of.title,
      [...of.columns.map(([name]) => name), 'Id', ''],
      data.map((item) => [
        ...of.columns.map(([, show]) => show(item)),
        shortId(item.id),
        el(
          'span',
          { class: 'row-actions' },
          ...(of.fixed ? [] : [button('Change', () => change(of, api, item, again))]),
          button('Delete', () => remove(of, api, item, again), 'small-bad'),
        ),
      ]),
      of.empty,
    ),
    pager(paging, page, PER_PAGE, (to) => {
      pages[of.name] = to;
      again();
    }),
  );
}

async function make(of, api, again) {
  const fields = form(await of.fields(api));
  ask({
    title: `New ${of.one}`,
    body: fields.nodes,
    agree: 'Create',
    act: async () => {
      const { data } = await api.post(of.path, fields.read());
      again();
      const once = of.once?.(data);
      if (!once) return true;
      tell(`The ${of.one} is there`, ...once);
      return false;
    },
  });
}

async function change(of, api, item, again) {
  const fields = form(await of.fields(api), item);
  ask({
    title: `Change ${item.name || of.one}`,
    body: fields.nodes,
    agree: 'Save',
    act: async () => {
      await api.patch(`${of.path}/${encodeURIComponent(item.id)}`, fields.read());
      again();
    },
  });
}

function remove(of, api, item, again) {
  ask({
    title: `Delete the ${of.one}?`,
    body: [el('p', {}, `${item.name || item.id} is gone for good.`)],
    agree: 'Delete',
    bad: true,
    act: async () => {
      await api.remove(`${of.path}/${encodeURIComponent(item.id)}`);
      again();
    },
  });
}
