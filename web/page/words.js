/**
 * What happened, in words for people: what it means and what to do about it.
 *
 * @typedef {{ title: string, text: string, action?: string, bad?: boolean }} Words
 */

const HOST = location.host;

/** What to say when a microphone, camera or screen could not be opened. @returns {Words} */
export function deviceWords(error, kind) {
  const thing = { audio: 'microphone', video: 'camera', screenshare: 'screen' }[kind];
  const without = {
    audio: 'You can still join and listen.',
    video: 'You can still join without it.',
    screenshare: 'The meeting goes on without it.',
  }[kind];
  switch (error.code) {
    case 'insecure_context':
      return {
        title: `No ${thing} on an insecure page`,
        text: `Browsers share the ${thing} only with https pages. Open this link with https://, or on the server itself with http://localhost. ${without}`,
      };
    case 'browser_unsupported':
      return { title: `This browser cannot share a ${thing}`, text: `Try a current Chrome, Edge, Firefox or Safari. ${without}` };
    case 'not_allowed':
      return { title: `Your invitation does not allow a ${thing}`, text: 'Ask the person who invited you.' };
    case 'device_missing':
      return { title: `No ${thing} found`, text: `Plug one in and turn it on again. ${without}` };
    case 'device_denied':
      return {
        title: kind === 'screenshare' ? 'Screen sharing was not allowed' : `The ${thing} is blocked for this page`,
        text: kind === 'screenshare' ? without : `Allow it in the browser's address bar, then turn it on again. ${without}`,
      };
    case 'device_busy':
      return { title: `The ${thing} is in use elsewhere`, text: `Close the other program that uses it, then turn it on again. ${without}` };
    case 'device_lost':
      return { title: `The ${thing} was disconnected`, text: `Plug it in again or choose another one. ${kind === 'audio' ? 'Nobody hears you meanwhile.' : ''}` };
    default:
      return { title: `The ${thing} did not start`, text: `Try again, or choose another one. ${without}` };
  }
}

/** Somebody turned one's source off. @returns {Words} */
export function disabledWords(source, name) {
  const done = {
    microphone: 'muted you',
    camera: 'turned your camera off',
    screen: 'stopped your screen',
  }[source];
  return { title: `${name} ${done}`, text: 'You may turn it on again when it is your turn.' };
}

/** While the page tries to get back in by itself. @returns {Words} */
export function lossWords(reason) {
  if (reason === 'media') {
    return {
      title: 'Sound and video do not get through',
      text: `${HOST} answers, but its media does not arrive. Trying again. If this goes on, a firewall may block UDP between you and the server.`,
    };
  }
  return {
    title: 'The connection to the server was lost',
    text: 'Trying to get back in. You do not have to do anything.',
  };
}

/** What the server did not do. @returns {Words} */
export function serverWords({ code, message }) {
  switch (code) {
    case 'not_allowed':
      return { title: 'You may not do that here', text: 'Ask the person who runs this meeting.' };
    case 'too_fast':
    case 'too_many_messages':
      return { title: 'Too much at once', text: 'Wait a moment, then try again.' };
    case 'unknown_participant':
      return { title: 'They are no longer there', text: 'Whoever you meant has left, or cannot read private messages.' };
    default:
      return { title: 'The server refused something', text: message };
  }
}

/** Why one could not get in, or is no longer in. @returns {Words} */
export function endWords(state, error) {
  switch (state) {
    case 'left':
      return { title: 'You left the meeting', text: 'Your microphone and camera are off.', action: 'Join again' };
    case 'kicked':
      return { title: 'You were removed from the meeting', text: 'Someone who runs this meeting removed you. Ask them before you join again.', action: 'Join again' };
    case 'ended':
      return { title: 'The meeting has ended', text: 'It was ended for everyone.', action: 'Join again' };
    case 'replaced':
      return { title: 'You joined somewhere else', text: 'The same link was opened in another window or on another device, and your place moved there.', action: 'Move it back here' };
    case 'disconnected':
      return { title: 'The connection is gone', text: `${HOST} could not be reached for several minutes. Check your network, then try again.`, action: 'Try again' };
    case 'failed':
      return { title: 'The server is not answering', text: `${HOST} could not be reached. Check your network; if it works elsewhere, the server may be restarting.`, action: 'Try again' };
    default:
      return refusalWords(error);
  }
}

/** Why the token or the server says no. @returns {Words} */
export function refusalWords(error) {
  const code = error?.code === 'server_refused' ? error.serverCode : error?.code;
  switch (code) {
    case 'token_missing':
      return { title: 'This link is incomplete', text: 'The part after “#token=” is missing. Open the whole link from your invitation.', bad: true };
    case 'token_malformed':
    case 'token_invalid':
    case 'unknown_preset':
      return { title: 'This link is not valid', text: 'It may have been cut off when it was copied, or belong to another server. Ask for a new invitation.', bad: true };
    case 'token_expired':
      return { title: 'This link has expired', text: 'Invitations are valid for a limited time. Ask for a new one.', bad: true };
    case 'unknown_meeting':
      return { title: 'This meeting no longer exists', text: 'Ask the person who invited you for a new link.', bad: true };
    case 'meeting_inactive':
      return { title: 'This meeting is closed', text: 'It is not open for joining at the moment.', bad: true };
    case 'meeting_full':
      return { title: 'The meeting is full', text: 'Wait until someone leaves, then try again.', action: 'Try again', bad: true };
    case 'denied':
      return { title: 'You were not let in', text: 'Someone in the meeting sent you away. Ask them before you try again.', action: 'Try again', bad: true };
    case 'participant_removed':
      return { title: 'Your invitation was withdrawn', text: 'Ask the person who invited you for a new one.', bad: true };
    case 'overloaded':
    case 'draining':
      return { title: 'The server is busy', text: 'It takes no new people right now. Try again in a moment.', action: 'Try again', bad: true };
    case 'browser_unsupported':
      return { title: 'This browser cannot join', text: 'It has no WebRTC. Use a current Chrome, Edge, Firefox or Safari.', bad: true };
    default:
      return { title: 'Joining did not work', text: error?.message ? `The server says: ${error.message}` : 'Please try again.', action: 'Try again', bad: true };
  }
}
