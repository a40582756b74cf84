import { Emitter } from './emitter.js';

/**
 * How a phone joins this meeting, as far as the server tells.
 *
 * @typedef {object} DialIn
 * @property {string | undefined} sipUri what a SIP phone or trunk dials
 * @property {string[]} numbers telephone numbers
 * @property {string | undefined} pin to be keyed in after the number
 */

/**
 * Facts about the meeting and the connection to it.
 *
 * Events: `socketConnectionUpdate` ({state, reconnectionAttempt, reason}),
 * `mediaConnectionUpdate` ({state}), `serverError` ({code, message}).
 */
export class Meta extends Emitter {
  /** @type {string | undefined} */
  meetingId;
  /** @type {string | undefined} */
  sessionId;
  meetingTitle = '';
  /** @type {Date | undefined} when oneself joined first */
  joinedAt;
  /** @type {DialIn} */
  dialIn = { sipUri: undefined, numbers: [], pin: undefined };
  /** The signalling connection. @type {'connecting' | 'connected' | 'reconnecting' | 'disconnected'} */
  socketState = 'disconnected';
  /** The media connection. @type {RTCPeerConnectionState} */
  mediaState = 'new';

  /** What a phone dials in, if the server tells. */
  get sipUri() {
    return this.dialIn.sipUri;
  }

  /** For the client: what the server said at the (re)join. */
  update(joined) {
    this.meetingId = joined.meeting_id;
    this.sessionId = joined.session_id;
    this.meetingTitle = joined.title ?? '';
    this.joinedAt ??= new Date();
    this.dialIn = {
      sipUri: joined.sip_uri,
      numbers: joined.phone_numbers ?? [],
      pin: joined.pin,
    };
  }
}
