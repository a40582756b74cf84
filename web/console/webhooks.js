import { badge, button, el, facts, head, section, shortId, table, when } from './parts.js';

const REFRESH_MS = 5000;

const STATES = { delivered: 'good', pending: 'warn', failed: 'bad', abandoned: 'bad' };

/** One webhook with what was sent to it. @type {import('./main.js').View} */
export async function deliveries(api, node, go, id) {
  const path = `/webhooks/${encodeURIComponent(id)}`;
  const { data: hook } = await api.get(path);
  node.append(
    head(hook.name || 'Webhook', badge(hook.enabled === false ? 'off' : 'on', hook.enabled === false ? 'soft' : 'good')),
    facts([
      ['Address', el('code', {}, hook.url)],
      ['Events', (hook.events ?? []).join(', ')],
      ['Made', when(hook.created_at)],
      ['Id', hook.id],
    ]),
  );
  if (!api.has('/webhooks/{webhook}/deliveries')) return undefined;
  const { data } = await api.get(`${path}/deliveries?per_page=50`);
  const replay = (delivery) =>
    button('Send again', async () => {
      await api.post(`${path}/deliveries/${encodeURIComponent(delivery.id)}/replay`);
      go(`#/webhooks/${id}`);
    });
  const rows = data.map((delivery) => {
    const state = String(delivery.status ?? '').toLowerCase();
    return [
      delivery.event,
      badge(state || '–', STATES[state] ?? 'soft'),
      String(delivery.attempts ?? '–'),
      String(delivery.last_status ?? delivery.last_error ?? '–'),
      when(delivery.finished_at),
      when(delivery.created_at),
      shortId(delivery.id),
      replay(delivery),
    ];
  });
  node.append(
    section(
      'Deliveries',
      table('Deliveries', ['Event', 'State', 'Attempts', 'Answer', 'Finished', 'Made', 'Id', ''], rows, 'Nothing has been sent yet.'),
    ),
  );
  return REFRESH_MS;
}
