import { resumeMeters } from '../sdk/ringbridge.js';
import { ChatPanel } from './chat.js';
import { Controls } from './controls.js';
import { DevicePicker } from './devices.js';
import { announce, byId, el } from './dom.js';
import { Notices } from './notices.js';
import { Panels } from './panels.js';
import { People } from './people.js';
import { Playback } from './playback.js';
import { Quality } from './quality.js';
import { Reactions } from './reactions.js';
import { Stage } from './stage.js';
import { ScreenTile, Tile } from './tile.js';
import { deviceWords, disabledWords, lossWords, serverWords } from './words.js';

/** Meters move this often: smooth to the eye, cheap with fifty tiles. */
const METER_INTERVAL_MS = 50;

/** The view of a meeting one is in. */
export class Room {
  #meeting;
  #stage;
  #panels = new Panels();
  #notices = new Notices();
  #playback = new Playback((blocked) => (byId('hear').hidden = !blocked));
  #people;
  #chat;
  #controls;
  #quality;
  #reactions;
  #meterTimer = 0;
  #mediaState = 'new';

  /** @param {import('../sdk/client.js').RingbridgeClient} meeting */
  constructor(meeting) {
    this.#meeting = meeting;
    this.#stage = new Stage(meeting);
    this.#people = new People(meeting);
    this.#chat = new ChatPanel(meeting, this.#panels, (words) => this.#notices.show(words));
    this.#quality = new Quality(meeting.self);
    this.#reactions = new Reactions(meeting);
    this.#controls = new Controls(meeting, {
      panels: this.#panels,
      stage: this.#stage,
      quality: this.#quality,
      reactions: this.#reactions,
      notices: this.#notices,
    });
    new DevicePicker(meeting.self, byId('room-devices'), (named) => {
      byId('room-devices-none').hidden = named;
    });
    this.#wire();
  }

  /** Called when the seat is taken; again after a reconnect. */
  show() {
    const { meta, self } = this.#meeting;
    byId('room').hidden = false;
    byId('room-title').textContent = meta.meetingTitle || 'Meeting';
    document.title = `${meta.meetingTitle || 'Meeting'} · Ringbridge`;
    showDialIn(meta.dialIn);
    let tile = this.#stage.tile('self');
    if (!tile) {
      tile = new Tile(self, { isSelf: true });
      this.#stage.add('self', tile);
      byId('room-title').focus();
    }
    tile.node.dataset.participantId = self.id;
    tile.update();
    clearInterval(this.#meterTimer);
    this.#meterTimer = setInterval(() => this.#stage.tick(), METER_INTERVAL_MS);
    this.#showPermissions();
    this.#people.refresh();
    this.#showCount();
  }

  hide() {
    clearInterval(this.#meterTimer);
    byId('room').hidden = true;
    byId('hear').hidden = true;
    this.#panels.close();
    this.#quality.toggle(false);
    this.#quality.reset();
    this.#reactions.toggle(false);
    this.#notices.show(undefined);
    this.#stage.clear();
    this.#playback.clear();
  }

  #wire() {
    const { self, participants, meta, permissions, stage } = this.#meeting;
    const { joined } = participants;
    byId('hear').addEventListener('click', () => {
      resumeMeters();
      this.#playback.unlock();
    });
    for (const event of ['audioUpdate', 'videoUpdate', 'screenShareUpdate']) {
      self.on(event, () => {
        this.#stage.tile('self')?.update();
        this.#controls.refresh();
      });
    }
    self.on('deviceUpdate', ({ device }) => {
      if (device.kind === 'audiooutput') this.#playback.setSpeaker(device.deviceId);
    });
    self.on('mediaPermissionError', ({ kind, error }) => {
      if (!byId('room').hidden) this.#notices.show(deviceWords(error, kind));
    });
    self.on('mutedByServer', ({ muted }) => this.#mutedByServer(muted));
    self.on('disabledBy', ({ source, by }) => {
      const name = joined.get(by)?.name || 'Someone';
      this.#notices.show(disabledWords(source, name));
    });
    permissions.on('permissionsUpdate', () => this.#showPermissions());
    stage.on('stageStatusUpdate', () => this.#controls.refresh());
    stage.on('stageRequestApproved', (source) => this.#approved(source));
    stage.on('stageRequestRejected', () => {
      this.#notices.show({ title: 'Not now', text: 'Whoever runs this meeting did not allow it. You may ask again.' });
    });
    joined.on('participantJoined', (p) => this.#add(p));
    joined.on('participantLeft', (p) => this.#remove(p));
    joined.on('participantUpdate', (p) => this.#stage.tile(p.id)?.update());
    joined.on('videoUpdate', (p) => this.#stage.tile(p.id)?.update());
    joined.on('audioUpdate', (p) => {
      this.#stage.tile(p.id)?.update();
      this.#playback.set(p.id, p.audioTrack);
    });
    joined.on('screenShareUpdate', (p) => this.#showScreen(p));
    participants.on('dtmf', ({ participant, digit }) => {
      this.#stage.tile(participant.id)?.showKey(digit);
      announce(`${participant.name} pressed ${digit}`);
    });
    meta.on('socketConnectionUpdate', ({ reason }) => this.#showConnection(reason));
    meta.on('mediaConnectionUpdate', ({ state }) => {
      this.#mediaState = state;
      this.#showConnection();
    });
    meta.on('serverError', (error) => this.#notices.show(serverWords(error)));
  }

  #showPermissions() {
    this.#controls.refresh();
    this.#chat.showPermissions();
    this.#reactions.showPermissions();
    byId('people').hidden = !this.#meeting.permissions.showParticipantList;
  }

  #mutedByServer(muted) {
    this.#stage.tile('self')?.update();
    this.#controls.refresh();
    this.#notices.show(
      muted
        ? {
            title: 'You were muted',
            text: 'Someone who runs this meeting muted you. The others do not hear you until you are unmuted there.',
            lasting: true,
          }
        : undefined,
    );
  }

  #approved(source) {
    const { self } = this.#meeting;
    this.#controls.refresh();
    const thing = { microphone: 'speak', camera: 'show your camera', screen: 'share your screen' }[source];
    this.#notices.show({ title: `You may ${thing} now`, text: 'Turn it on with the buttons below.' });
    // Who asked to speak wants to be heard; a camera or screen is shown with a click of one's own.
    if (source === 'microphone') self.enableAudio().catch(() => {});
  }

  #add(p) {
    this.#stage.add(p.id, new Tile(p));
    announce(p.isPhone ? `${p.name || 'A caller'} joined by phone` : `${p.name || 'Someone'} joined`);
    this.#showCount();
  }

  #remove(p) {
    this.#playback.set(p.id, undefined);
    this.#stage.setScreen(p.id, undefined);
    this.#stage.remove(p.id);
    announce(`${p.name || 'Someone'} left`);
    this.#showCount();
  }

  #showScreen(p) {
    const { video } = p.screenShareTracks;
    if (this.#stage.screen(p.id)?.track === video) return;
    this.#stage.setScreen(p.id, video && new ScreenTile(p.id, p.name, video));
    if (video) announce(`${p.name} shares a screen`);
  }

  /** @param {import('../sdk/client.js').LossReason} [lost] */
  #showConnection(lost) {
    const pill = byId('connection');
    const { roomState } = this.#meeting;
    let text = 'Connected';
    if (roomState === 'reconnecting') text = 'Reconnecting…';
    else if (this.#mediaState === 'disconnected') text = 'Connection is shaky…';
    else if (this.#mediaState !== 'connected') text = 'Connecting sound…';
    pill.dataset.state = text === 'Connected' ? 'fine' : 'waiting';
    if (pill.textContent !== text) pill.textContent = text;
    if (roomState === 'reconnecting') {
      this.#mediaState = 'new';
      this.#quality.reset();
      this.#notices.show({ ...lossWords(lost), lasting: true });
    } else if (text === 'Connected' && this.#notices.lasting && !this.#meeting.self.mutedByServer) {
      this.#notices.show(undefined);
    }
  }

  #showCount() {
    const others = this.#meeting.participants.joined.toArray();
    const phones = others.filter((p) => p.isPhone).length;
    const people = others.length - phones + 1;
    const parts = [people === 1 ? 'Only you' : `${people} people`];
    if (phones) parts.push(phones === 1 ? '1 phone' : `${phones} phones`);
    byId('count').textContent = phones && people === 1 ? `You and ${parts[1]}` : parts.join(' · ');
  }
}

/** @param {import('../sdk/meta.js').DialIn} dialIn */
function showDialIn({ sipUri, numbers, pin }) {
  byId('dial-sip').hidden = !sipUri;
  byId('sip-uri').textContent = sipUri ?? '';
  byId('dial-numbers').hidden = numbers.length === 0;
  byId('dial-number-list').replaceChildren(
    ...numbers.map((number) => el('li', {}, el('a', { href: `tel:${number.replace(/[^+\d]/g, '')}` }, number))),
  );
  byId('dial-pin-row').hidden = !pin;
  byId('dial-pin').textContent = pin ?? '';
}
