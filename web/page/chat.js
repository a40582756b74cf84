import { announce, byId, el, hue } from './dom.js';

/** Within this of the end one is taken to follow the conversation. */
const NEAR_END_PX = 80;

/** The conversation in writing. */
export class ChatPanel {
  #meeting;
  #panels;
  #unread = 0;
  #onError;

  /**
   * @param {import('../sdk/client.js').RingbridgeClient} meeting
   * @param {import('./panels.js').Panels} panels
   * @param {(words: import('./words.js').Words) => void} onError
   */
  constructor(meeting, panels, onError) {
    this.#meeting = meeting;
    this.#panels = panels;
    this.#onError = onError;
    const { chat, participants } = meeting;
    chat.on('chatCleared', () => byId('messages').replaceChildren());
    chat.on('chatUpdate', ({ message }) => this.#add(message));
    participants.joined.on('participantsUpdate', () => this.#listPeople());
    participants.joined.on('participantUpdate', () => this.#listPeople());
    panels.onChange((open) => {
      if (open !== 'chat') return;
      this.#setUnread(0);
      byId('chat-body').scrollTop = byId('chat-body').scrollHeight;
    });
    byId('composer').addEventListener('submit', (event) => {
      event.preventDefault();
      this.#send();
    });
    const text = byId('chat-text');
    text.addEventListener('keydown', (event) => {
      // While an input method composes, Enter belongs to it.
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.#send();
    });
    text.addEventListener('input', () => fitHeight(text));
    this.#listPeople();
  }

  /** Shows or hides what the preset allows. */
  showPermissions() {
    const { chatPublic, chatPrivate } = this.#meeting.permissions;
    const may = chatPublic.canSend || chatPrivate.canSend;
    const hidden = !may && this.#meeting.chat.messages.length === 0;
    byId('chat').hidden = hidden;
    if (hidden && this.#panels.open === 'chat') this.#panels.close();
    byId('composer').hidden = !may;
    this.#listPeople();
  }

  #send() {
    const text = byId('chat-text');
    const to = byId('chat-to').value;
    try {
      this.#meeting.chat.sendTextMessage(text.value, to ? [to] : undefined);
      text.value = '';
      fitHeight(text);
    } catch (error) {
      this.#onError({ title: 'The message was not sent', text: error.code === 'not_joined' ? 'The connection is being restored. Try again in a moment.' : error.message });
    }
  }

  #add(message) {
    const { self } = this.#meeting;
    const mine = message.userId === self.id;
    const body = byId('chat-body');
    const follows = body.scrollHeight - body.scrollTop - body.clientHeight < NEAR_END_PX;
    const name = mine ? 'You' : message.displayName || 'Guest';
    const time = message.time.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
    const head = el(
      'p',
      { class: 'message-head' },
      el('strong', {}, name),
      el('time', { datetime: message.time.toISOString() }, time),
      message.targetUserIds ? el('span', { class: 'private' }, this.#privateText(message, mine)) : '',
    );
    head.style.setProperty('--hue', String(hue(message.displayName)));
    const item = el('li', { class: `message${mine ? ' message-mine' : ''}`, 'data-message': message.id }, head, el('p', { class: 'message-text' }, ...linked(message.message)));
    byId('messages').append(item);
    byId('chat-empty').hidden = true;
    if (follows || mine) body.scrollTop = body.scrollHeight;
    this.showPermissions();
    if (mine || this.#panels.open === 'chat') return;
    this.#setUnread(this.#unread + 1);
    announce(`${name} wrote: ${message.message}`);
  }

  #privateText(message, mine) {
    if (!mine) return 'to you alone';
    const names = message.targetUserIds
      .filter((id) => id !== this.#meeting.self.id)
      .map((id) => this.#meeting.participants.joined.get(id)?.name ?? 'someone');
    return `to ${names.join(', ')} alone`;
  }

  #setUnread(count) {
    this.#unread = count;
    const badge = byId('chat-badge');
    badge.hidden = count === 0;
    badge.textContent = count > 99 ? '99+' : String(count);
    badge.setAttribute('aria-label', `${count} unread`);
  }

  #listPeople() {
    const select = byId('chat-to');
    const chosen = select.value;
    const { chatPublic, chatPrivate } = this.#meeting.permissions;
    // A phone cannot read.
    const others = this.#meeting.participants.joined.toArray().filter((p) => !p.isPhone);
    const readers = chatPrivate.canSend ? others : [];
    select.replaceChildren(
      ...(chatPublic.canSend ? [el('option', { value: '' }, 'Everyone')] : []),
      ...readers.map((p) => el('option', { value: p.id }, p.name || 'Guest')),
    );
    if (readers.some(({ id }) => id === chosen)) select.value = chosen;
  }
}

/** Text with its web addresses made into links; nothing else of it is ever markup. */
function linked(text) {
  const parts = [];
  let from = 0;
  for (const match of text.matchAll(/https?:\/\/[^\s<>"']+[^\s<>"'.,;:!?)\]]/g)) {
    parts.push(text.slice(from, match.index));
    parts.push(el('a', { href: match[0], target: '_blank', rel: 'noopener noreferrer' }, match[0]));
    from = match.index + match[0].length;
  }
  parts.push(text.slice(from));
  return parts;
}

function fitHeight(text) {
  text.style.height = 'auto';
  text.style.height = `${Math.min(text.scrollHeight, 140)}px`;
}
