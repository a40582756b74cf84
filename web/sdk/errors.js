/**
 * What can go wrong, as stable codes for programs. Words for people are the page's business.
 *
 * @typedef {'insecure_context' | 'browser_unsupported'
 *   | 'token_missing' | 'token_malformed' | 'token_expired'
 *   | 'server_unreachable' | 'server_refused' | 'connection_lost'
 *   | 'device_missing' | 'device_denied' | 'device_busy' | 'device_lost' | 'device_failed'
 *   | 'not_permitted' | 'not_joined' | 'message_too_long'} ErrorCode
 */

/** An error with a code; the only kind the SDK throws or emits. */
export class RingbridgeError extends Error {
  /**
   * @param {ErrorCode} code
   * @param {string} message for the developer's console
   * @param {{ serverCode?: string, cause?: unknown }} [more]
   */
  constructor(code, message, more = {}) {
    super(message, more.cause === undefined ? undefined : { cause: more.cause });
    this.name = 'RingbridgeError';
    /** @type {ErrorCode} */
    this.code = code;
    /** The server's own stable code, when it was the server that refused. */
    this.serverCode = more.serverCode;
  }
}

/**
 * Names the reason why `getUserMedia` or `getDisplayMedia` failed.
 *
 * @param {unknown} error what the browser threw
 * @param {'microphone' | 'camera' | 'screen'} source
 */
export function deviceError(error, source) {
  const name = error instanceof Error || error instanceof DOMException ? error.name : '';
  /** @type {ErrorCode} */
  let code = 'device_failed';
  if (name === 'NotFoundError' || name === 'OverconstrainedError') code = 'device_missing';
  else if (name === 'NotAllowedError' || name === 'SecurityError') code = 'device_denied';
  else if (name === 'NotReadableError' || name === 'AbortError') code = 'device_busy';
  return new RingbridgeError(code, `${source}: ${name || String(error)}`, { cause: error });
}
