// Shows /openapi.json as forms that can be sent. Everything is put in as text, never as markup.

const byId = (id) => document.getElementById(id);

/** @param {string} name @param {Record<string, string>} [attributes] @param {...(Node | string)} children */
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** Follows a `$ref`. */
function resolve(api, schema) {
  let found = schema;
  while (found?.$ref) {
    found = found.$ref.slice(2).split('/').reduce((at, key) => at?.[key], api);
  }
  return found ?? {};
}

/** What a value of a schema may look like, for somebody to start from. */
function sample(api, raw, depth = 0) {
  const schema = resolve(api, raw);
  if ('const' in schema) return schema.const;
  if (schema.enum) return schema.enum[0];
  const type = Array.isArray(schema.type) ? schema.type[0] : schema.type;
  if (type === 'object' && depth < 4) {
    const required = new Set(schema.required ?? Object.keys(schema.properties ?? {}));
    const wanted = Object.entries(schema.properties ?? {}).filter(([name]) => required.has(name));
    return Object.fromEntries(wanted.map(([name, of]) => [name, sample(api, of, depth + 1)]));
  }
  if (type === 'array') return [];
  return { string: '', integer: 0, number: 0, boolean: false, object: {} }[type] ?? null;
}

function headers() {
  const [user, key] = [byId('organization').value.trim(), byId('key').value.trim()];
  return user || key ? { Authorization: `Basic ${btoa(`${user}:${key}`)}` } : {};
}

/** Sends one operation and shows what came back. */
async function send(operation, form, output) {
  const value = (name) => form.elements.namedItem(name)?.value.trim() ?? '';
  const path = operation.path.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(value(name)));
  const query = new URLSearchParams();
  for (const { name, in: place } of operation.parameters) {
    if (place === 'query' && value(name)) query.set(name, value(name));
  }
  const body = value('request-body');
  const request = { method: operation.method.toUpperCase(), headers: headers(), cache: 'no-store' };
  if (operation.body) {
    request.body = body;
    request.headers['Content-Type'] = 'application/json';
  }
  output.hidden = false;
  output.textContent = 'Sending…';
  const began = performance.now();
  try {
    const response = await fetch(`${path}${query.size ? `?${query}` : ''}`, request);
    const text = await response.text();
    let shown = text;
    try {
      shown = JSON.stringify(JSON.parse(text), null, 2);
    } catch {
      // Not JSON: as it came.
    }
    const took = Math.round(performance.now() - began);
    output.textContent = `${response.status} ${response.statusText} · ${took} ms\n\n${shown}`;
  } catch (error) {
    output.textContent = `Nothing came back: ${error.message}`;
  }
}

function operationView(api, operation) {
  const fields = element('div', { class: 'fields' });
  for (const parameter of operation.parameters) {
    const optional = parameter.required ? '' : ' (optional)';
    const input = element('input', { name: parameter.name, spellcheck: 'false' });
    fields.append(element('label', {}, `${parameter.name}${optional}`, input));
  }
  const form = element('form', { autocomplete: 'off' }, fields);
  if (operation.body) {
    const area = element('textarea', { name: 'request-body', spellcheck: 'false' });
    area.value = JSON.stringify(sample(api, operation.body), null, 2);
    form.append(element('label', {}, 'Body', area));
    const shape = JSON.stringify(resolve(api, operation.body), null, 2);
    form.append(element('details', {}, element('summary', {}, 'Its schema'), element('pre', {}, shape)));
  }
  const output = element('pre', { hidden: '', tabindex: '0', 'aria-label': 'Reply' });
  form.append(element('button', { type: 'submit' }, 'Send'));
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    send(operation, form, output);
  });
  const summary = element(
    'summary',
    {},
    element('span', { class: 'method' }, operation.method.toUpperCase()),
    element('span', { class: 'path' }, operation.path),
    element('span', { class: 'says' }, operation.summary ?? ''),
  );
  return element('details', { id: operation.id, 'data-words': operation.words }, summary, form, output);
}

function operations(api) {
  const methods = ['get', 'post', 'put', 'patch', 'delete'];
  return Object.entries(api.paths).flatMap(([path, item]) =>
    methods.filter((method) => item[method]).map((method) => {
      const found = item[method];
      const content = found.requestBody?.content?.['application/json'];
      return {
        method,
        path,
        id: found.operationId,
        tag: found.tags?.[0] ?? 'other',
        summary: found.summary,
        parameters: [...(item.parameters ?? []), ...(found.parameters ?? [])],
        body: content?.schema,
        words: `${method} ${path} ${found.summary} ${found.operationId}`.toLowerCase(),
      };
    }),
  );
}

function filter(words) {
  for (const view of document.querySelectorAll('details[data-words]')) {
    view.hidden = !words.every((word) => view.dataset.words.includes(word));
  }
}

async function main() {
  const response = await fetch('/openapi.json');
  const api = await response.json();
  const list = byId('operations');
  const all = operations(api);
  for (const tag of new Set(all.map((operation) => operation.tag))) {
    list.append(element('h2', {}, tag));
    list.append(...all.filter((one) => one.tag === tag).map((one) => operationView(api, one)));
  }
  byId('about').replaceChildren(
    `${api.info.title} ${api.info.version}, ${all.length} operations, from `,
    element('a', { href: '/openapi.json' }, '/openapi.json'),
  );
  byId('login').addEventListener('submit', (event) => event.preventDefault());
  byId('filter').addEventListener('input', (event) => {
    filter(event.target.value.toLowerCase().split(/\s+/).filter(Boolean));
  });
}

main().catch((error) => {
  byId('about').textContent = `The API's description could not be read: ${error.message}`;
});
