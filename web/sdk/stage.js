import { Emitter } from './emitter.js';

/** @typedef {import('./media.js').Source} Source */
/** @typedef {{ participantId: string, name: string, source: Source }} StageRequest */

/**
 * Asking to speak, and granting it, where a preset says "on request".
 *
 * Events: `stageStatusUpdate` (status), `stageRequestApproved` (source), `stageRequestRejected`
 * (source), `stageAccessRequestUpdate` (StageRequest[], to those who may grant).
 */
export class Stage extends Emitter {
  /** @type {StageRequest[]} who asks, for those who may grant */
  requests = [];
  /** @type {Set<Source>} */
  #asked = new Set();
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

  /** @returns {'ON_STAGE' | 'OFF_STAGE' | 'REQUESTED_TO_JOIN_STAGE'} where one's voice stands */
  get status() {
    if (this.#permissions.canProduceAudio === 'ALLOWED') return 'ON_STAGE';
    return this.#asked.has('microphone') ? 'REQUESTED_TO_JOIN_STAGE' : 'OFF_STAGE';
  }

  /** Whether one waits for an answer about a source. @param {Source} source */
  hasAsked(source) {
    return this.#asked.has(source);
  }

  /** Asks to be allowed a source. @param {Source} [source] */
  requestAccess(source = 'microphone') {
    this.#asked.add(source);
    this.#send({ type: 'request_produce', source });
    this.emit('stageStatusUpdate', this.status);
  }

  /** Lets someone use a source. @param {string} participantId @param {Source} [source] */
  grantAccess(participantId, source = 'microphone') {
    this.#send({ type: 'grant_produce', participant_id: participantId, source, allowed: true });
  }

  /** Says no to a request, or takes the source back. @param {string} participantId @param {Source} [source] */
  denyAccess(participantId, source = 'microphone') {
    this.#send({ type: 'grant_produce', participant_id: participantId, source, allowed: false });
  }

  /**
   * For the client: permissions have been told anew. That is the answer to what was asked: yes, or
   * no if they are as before.
   */
  permissionsChanged() {
    for (const source of this.#asked) {
      this.#asked.delete(source);
      const approved = this.#permissions.of(source) === 'ALLOWED';
      this.emit(approved ? 'stageRequestApproved' : 'stageRequestRejected', source);
    }
    this.emit('stageStatusUpdate', this.status);
  }

  /** For the client. @param {StageRequest[]} requests */
  setRequests(requests) {
    this.requests = requests;
    this.emit('stageAccessRequestUpdate', requests);
  }

  /** For the client: after a (re)join the server remembers no request. */
  reset() {
    this.#asked.clear();
    this.setRequests([]);
  }
}
