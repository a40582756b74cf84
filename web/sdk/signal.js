import { Emitter } from './emitter.js';
import { RingbridgeError } from './errors.js';

/** How long the server may take to answer `join`, in milliseconds. */
const JOIN_TIMEOUT_MS = 10_000;
/** How often we say we are there. */
const PING_INTERVAL_MS = 10_000;
/** Two unanswered pings and some grace: then the connection is taken for dead. */
const SILENCE_MAX_MS = 25_000;

/**
 * One signalling WebSocket, from `join` to its close. A reconnect makes a new one.
 *
 * Events: `waiting` (the server has us in its waiting room; the seat may come much later),
 * `message` (every server message after `joined`, in order) and `close` (once; not after our own
 * {@link SignalSocket#close}).
 */
export class SignalSocket extends Emitter {
  #socket;
  #pingTimer = 0;
  #heardAt = 0;
  #closed = false;
  #refuseJoin = () => {};

  /** @param {string} url `ws:` or `wss:` address of `/v2/signal` */
  constructor(url) {
    super();
    this.url = url;
  }

  /**
   * Opens the socket, says who we are, and waits for the seat.
   *
   * @param {string} token
   * @param {string | undefined} name
   * @returns {Promise<any>} the server's `joined` message
   */
  join(token, name) {
    return new Promise((resolve, reject) => {
      let joined = false;
      const fail = (error) => {
        if (joined) return;
        clearTimeout(deadline);
        reject(error);
        this.close();
      };
      this.#refuseJoin = fail;
      const deadline = setTimeout(
        () => fail(new RingbridgeError('server_unreachable', 'the server did not answer in time')),
        JOIN_TIMEOUT_MS,
      );
      try {
        this.#socket = new WebSocket(this.url);
      } catch (cause) {
        fail(new RingbridgeError('server_unreachable', 'the address is not usable', { cause }));
        return;
      }
      this.#socket.onopen = () => this.send({ type: 'join', token, ...(name ? { name } : {}) });
      this.#socket.onmessage = ({ data }) => {
        const message = parse(data);
        if (!message) return;
        this.#heardAt = Date.now();
        if (joined) {
          if (message.type !== 'pong') this.emit('message', message);
        } else if (message.type === 'joined') {
          joined = true;
          clearTimeout(deadline);
          this.#startPinging();
          resolve(message);
        } else if (message.type === 'waiting') {
          clearTimeout(deadline);
          this.#startPinging();
          this.emit('waiting', message);
        } else if (message.type === 'error') {
          fail(new RingbridgeError('server_refused', message.message, { serverCode: message.code }));
        } else if (message.type === 'bye') {
          fail(new RingbridgeError('server_refused', message.reason, { serverCode: message.reason }));
        }
      };
      this.#socket.onclose = () => {
        fail(new RingbridgeError('server_unreachable', 'the connection could not be opened'));
        this.#ended();
      };
    });
  }

  /**
   * Sends one message; silently nothing while the socket is not open, since what is lost with a
   * connection is said again after the next `join`.
   *
   * @param {object} message
   */
  send(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  /** Closes without a `close` event; a `join` still waiting is rejected. */
  close() {
    if (this.#closed) return;
    this.#closed = true;
    this.#refuseJoin(new RingbridgeError('connection_lost', 'closed by this side'));
    clearInterval(this.#pingTimer);
    this.#socket?.close();
  }

  /** Closes as if the network had done it. */
  abandon() {
    this.#refuseJoin(new RingbridgeError('server_unreachable', 'the server fell silent'));
    this.#ended();
    this.#socket?.close();
  }

  #startPinging() {
    clearInterval(this.#pingTimer);
    this.#pingTimer = setInterval(() => this.#ping(), PING_INTERVAL_MS);
  }

  #ping() {
    if (Date.now() - this.#heardAt > SILENCE_MAX_MS) this.abandon();
    else this.send({ type: 'ping' });
  }

  #ended() {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#pingTimer);
    this.emit('close');
  }
}

function parse(data) {
  try {
    const message = JSON.parse(data);
    return typeof message?.type === 'string' ? message : undefined;
  } catch {
    return undefined;
  }
}
