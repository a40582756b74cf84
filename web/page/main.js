import { RingbridgeClient } from '../sdk/ringbridge.js';
import { byId } from './dom.js';
import { Lobby } from './lobby.js';
import { Room } from './room.js';
import { endWords, refusalWords } from './words.js';

/** Which of the views is shown: before, at the door of, in, and after the meeting. */
async function start() {
  const token = new URLSearchParams(location.hash.slice(1)).get('token') ?? '';
  let meeting;
  try {
    meeting = await RingbridgeClient.init({ authToken: token, defaults: { audio: true } });
  } catch (error) {
    showEnded(refusalWords(error));
    return;
  }

  const room = new Room(meeting);
  const lobby = new Lobby(meeting, (name) => {
    meeting.self.setName(name);
    lobby.busy(true);
    meeting.join().catch(() => {});
  });

  meeting.self.on('waitlisted', () => {
    lobby.busy(false);
    lobby.hide();
    room.hide();
    byId('waiting').hidden = false;
    byId('waiting-title').focus();
  });
  byId('waiting-leave').addEventListener('click', () => meeting.leave());
  meeting.self.on('roomJoined', () => {
    lobby.busy(false);
    lobby.hide();
    byId('waiting').hidden = true;
    byId('ended').hidden = true;
    room.show();
  });
  meeting.self.on('roomLeft', ({ state, error }) => {
    lobby.busy(false);
    room.hide();
    byId('waiting').hidden = true;
    if (state !== 'failed' && state !== 'rejected') meeting.self.releaseMedia();
    if (state === 'failed' && !byId('lobby').hidden) {
      // Nothing is lost yet: say it beside the button that tries again.
      lobby.notice({ ...endWords(state, error), bad: true });
      return;
    }
    lobby.hide();
    showEnded(endWords(state, error));
  });
  byId('again').addEventListener('click', () => {
    byId('ended').hidden = true;
    lobby.show();
    meeting.self.enableAudio().catch(() => {});
    byId('join').focus();
  });
}

/** @param {import('./words.js').Words} words */
function showEnded({ title, text, action }) {
  byId('lobby').hidden = true;
  byId('ended').hidden = false;
  byId('ended-title').textContent = title;
  byId('ended-text').textContent = text;
  byId('again').hidden = !action;
  byId('again').textContent = action ?? '';
  document.title = `${title} · Ringbridge`;
  byId('ended-title').focus();
}

// Another link pasted into the same window is another meeting.
addEventListener('hashchange', () => location.reload());
start();
