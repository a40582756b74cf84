import { el } from './parts.js';

/**
 * A field of a form.
 *
 * @typedef {object} Field
 * @property {string} key of the body
 * @property {string} label
 * @property {'text' | 'number' | 'flag' | 'list' | 'json' | 'choice' | 'choices'} [kind] text without;
 *   `list`: one a line
 * @property {string} [hint]
 * @property {boolean} [required]
 * @property {[string, string][]} [options] of a choice: value, text
 * @property {unknown} [initial]
 */

/**
 * Inputs for these fields, and a way to read them back as a body.
 *
 * @param {Field[]} fields
 * @param {Record<string, any>} [values] what is there already
 * @returns {{ nodes: Node[], read: () => Record<string, any> }} `read` throws an Error that says
 *   which field is wrong
 */
export function form(fields, values = {}) {
  const inputs = fields.map((field) => [field, input(field, values[field.key] ?? field.initial)]);
  return {
    nodes: inputs.map(([field, node]) => labelled(field, node)),
    read: () => {
      const body = {};
      for (const [field, node] of inputs) {
        const value = read(field, node);
        const before = values[field.key] ?? undefined;
        if (value === undefined && before === undefined) {
          if (field.required) throw new Error(`${field.label} is missing.`);
          continue;
        }
        // Emptied: null takes it away.
        body[field.key] = value ?? null;
      }
      return body;
    },
  };
}

function labelled(field, node) {
  const hint = field.hint ? [el('small', { class: 'soft' }, field.hint)] : [];
  const label = el('label', { for: node.id }, field.label);
  return field.kind === 'flag'
    ? el('p', { class: 'field field-flag' }, node, label, ...hint)
    : el('p', { class: 'field' }, label, node, ...hint);
}

function input(field, value) {
  const id = `field-${field.key}`;
  switch (field.kind) {
    case 'flag': {
      const node = el('input', { id, type: 'checkbox' });
      node.checked = Boolean(value);
      return node;
    }
    case 'list':
      return area(id, 3, (value ?? []).join('\n'));
    case 'json':
      return area(id, 14, value === undefined ? '' : JSON.stringify(value, null, 2));
    case 'choice':
    case 'choices': {
      const many = field.kind === 'choices';
      const options = many ? field.options : [['', '–'], ...field.options];
      const node = el('select', { id, ...(many ? { multiple: '', size: Math.min(8, options.length) } : {}) });
      const chosen = new Set(many ? value ?? [] : [value ?? '']);
      node.append(
        ...options.map(([of, text]) => {
          const option = el('option', { value: of }, text);
          option.selected = chosen.has(of);
          return option;
        }),
      );
      return node;
    }
    default: {
      const node = el('input', { id, type: field.kind === 'number' ? 'number' : 'text', spellcheck: 'false', autocomplete: 'off' });
      node.value = value ?? '';
      return node;
    }
  }
}

function area(id, rows, text) {
  const node = el('textarea', { id, rows, spellcheck: 'false' });
  node.value = text;
  return node;
}

function read(field, node) {
  switch (field.kind) {
    case 'flag':
      return node.checked;
    case 'number':
      if (node.value.trim() === '') return undefined;
      if (!Number.isFinite(Number(node.value))) throw new Error(`${field.label} is no number.`);
      return Number(node.value);
    case 'list': {
      const lines = node.value.split('\n').map((line) => line.trim()).filter(Boolean);
      return lines;
    }
    case 'choices': {
      const chosen = [...node.selectedOptions].map(({ value }) => value);
      return chosen.length ? chosen : undefined;
    }
    case 'json':
      if (node.value.trim() === '') return undefined;
      try {
        return JSON.parse(node.value);
      } catch (error) {
        throw new Error(`${field.label} is not JSON: ${error.message}`);
      }
    default:
      return node.value.trim() || undefined;
  }
}
