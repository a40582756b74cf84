import { Emitter } from './emitter.js';
import { RingbridgeError } from './errors.js';

/** Messages kept; as many as the server tells a late comer, and what a person may scroll back. */
const MESSAGES_MAX = 500;
/** UTF-8 bytes of one message; the server refuses more. */
const TEXT_BYTES_MAX = 4096;

/**
 * One chat message, in the shape Dyte's users know.
 *
 * @typedef {object} ChatMessage
 * @property {string} id
 * @property {'text'} type
 * @property {string} userId who wrote it
 * @property {string} displayName as they were called then
 * @property {string} message
 * @property {Date} time
 * @property {boolean} isEdited always false: messages cannot be edited
 * @property {string[]} [targetUserIds] only these and the writer see it; without, everyone
 */

/**
 * The meeting's chat.
 *
 * Events: `chatUpdate` ({action: 'add', message, messages}), for each message, one's own included;
 * `chatCleared` when the history is replaced by the server's after a (re)join.
 */
export class Chat extends Emitter {
  /** @type {ChatMessage[]} oldest first */
  messages = [];
  #send;
  #permissions;

  /**
   * @param {(message: object) => void} send
   * @param {import('./permissions.js').Permissions} permissions
   */
  constructor(send, permissions) {
    super();
    this.#send = send;
    this.#permissions = permissions;
  }

  /**
   * @param {string} message
   * @param {string[]} [participantIds] only to these; to everyone without
   * @throws {RingbridgeError} `not_permitted`, `message_too_long`, `not_joined`
   */
  sendTextMessage(message, participantIds) {
    const text = message.trim();
    if (!text) return;
    const permissions = this.#permissions;
    const { canSend } = participantIds?.length ? permissions.chatPrivate : permissions.chatPublic;
    if (!canSend) throw new RingbridgeError('not_permitted', 'chat: the preset does not allow it');
    if (new TextEncoder().encode(text).length > TEXT_BYTES_MAX) {
      throw new RingbridgeError('message_too_long', `chat: more than ${TEXT_BYTES_MAX} bytes`);
    }
    this.#send({ type: 'chat_send', text, ...(participantIds?.length ? { to: participantIds } : {}) });
  }

  /**
   * Same as {@link Chat#sendTextMessage}, as Dyte's newer form has it.
   *
   * @param {{ type: 'text', message: string }} message
   * @param {string[]} [participantIds]
   */
  sendMessage(message, participantIds) {
    if (message.type !== 'text') {
      throw new RingbridgeError('not_permitted', `chat: ${message.type} messages are not supported`);
    }
    this.sendTextMessage(message.message, participantIds);
  }

  /** @param {string} userId @returns {ChatMessage[]} what one person wrote */
  getMessagesByUser(userId) {
    return this.messages.filter((message) => message.userId === userId);
  }

  /** For the client: one message from the server. */
  add(told) {
    const message = fromWire(told);
    if (this.messages.some(({ id }) => id === message.id)) return;
    this.messages.push(message);
    if (this.messages.length > MESSAGES_MAX) this.messages.shift();
    this.emit('chatUpdate', { action: 'add', message, messages: this.messages });
  }

  /**
   * For the client: the public history as the server tells it at a (re)join. Private messages of
   * before are kept: the server does not repeat them.
   */
  replaceAll(history) {
    const known = new Set(history.map(({ id }) => id));
    const kept = this.messages.filter((message) => message.targetUserIds && !known.has(message.id));
    this.messages = [...kept, ...history.map(fromWire)].sort((a, b) => a.time - b.time);
    this.emit('chatCleared');
    for (const message of this.messages) {
      this.emit('chatUpdate', { action: 'add', message, messages: this.messages });
    }
  }
}

/** @returns {ChatMessage} */
function fromWire(told) {
  return {
    id: told.id,
    type: 'text',
    userId: told.participant_id,
    displayName: told.name,
    message: told.text,
    time: new Date(told.sent_at),
    isEdited: false,
    ...(told.to?.length ? { targetUserIds: told.to } : {}),
  };
}
