import { Emitter } from './emitter.js';

/** @typedef {import('./media.js').Source} Source */
/** @typedef {'ALLOWED' | 'NOT_ALLOWED' | 'CAN_REQUEST'} CanProduce */

/**
 * What the preset of oneself allows. The server enforces all of it; this is for a page to show.
 *
 * Events: `permissionsUpdate` (this), also when the server changes them during the meeting.
 */
export class Permissions extends Emitter {
  /** @type {CanProduce} */
  canProduceAudio = 'ALLOWED';
  /** @type {CanProduce} */
  canProduceVideo = 'ALLOWED';
  /** @type {CanProduce} */
  canProduceScreenshare = 'ALLOWED';
  chatPublic = { canSend: false, text: false, files: false };
  chatPrivate = { canSend: false, text: false, files: false };
  kickParticipant = false;
  disableParticipantAudio = false;
  disableParticipantVideo = false;
  acceptWaitingRequests = false;
  /** May answer those who ask to speak, or to be seen. */
  acceptStageRequests = false;
  showParticipantList = true;

  /** May ask for the microphone. */
  get requestProduceAudio() {
    return this.canProduceAudio === 'CAN_REQUEST';
  }

  /** May ask for the camera. */
  get requestProduceVideo() {
    return this.canProduceVideo === 'CAN_REQUEST';
  }

  /** May ask to share the screen. */
  get requestProduceScreenshare() {
    return this.canProduceScreenshare === 'CAN_REQUEST';
  }

  /** @param {Source} source @returns {CanProduce} */
  of(source) {
    if (source === 'microphone') return this.canProduceAudio;
    return source === 'camera' ? this.canProduceVideo : this.canProduceScreenshare;
  }

  /**
   * For the client: takes over what the server says. What an older server does not mention is
   * taken for not allowed, since it could not be done there.
   *
   * @param {any} told the server's `permissions`
   */
  update(told) {
    this.canProduceAudio = told.audio ?? 'ALLOWED';
    this.canProduceVideo = told.video ?? 'ALLOWED';
    this.canProduceScreenshare = told.screenshare ?? 'ALLOWED';
    this.chatPublic = chatPermission(told.chat);
    this.chatPrivate = chatPermission(told.chat_private);
    this.kickParticipant = Boolean(told.kick);
    this.disableParticipantAudio = Boolean(told.mute_others);
    this.disableParticipantVideo = Boolean(told.mute_others_video);
    this.acceptWaitingRequests = Boolean(told.accept_waiting);
    this.acceptStageRequests = Boolean(told.accept_production);
    this.showParticipantList = told.show_participant_list ?? true;
    this.emit('permissionsUpdate', this);
  }

  /** For the client: before and after a meeting nothing is known, so a preview may show all. */
  reset() {
    this.update({});
  }
}

/** @param {boolean | undefined} may */
function chatPermission(may) {
  return { canSend: Boolean(may), text: Boolean(may), files: false };
}
