import { announce, byId, el } from './dom.js';

/** Offered, and said to screen readers by these names. */
const REACTIONS = [
  ['👍', 'thumbs up'],
  ['👏', 'applause'],
  ['❤️', 'heart'],
  ['😂', 'laughter'],
  ['😮', 'surprise'],
  ['🎉', 'party'],
];
const SHOWN_MS = 4000;
/** More at a time would hide the stage. */
const AT_A_TIME_MAX = 30;

/** Short signs that fly over the stage. */
export class Reactions {
  #meeting;

  /** @param {import('../sdk/client.js').RingbridgeClient} meeting */
  constructor(meeting) {
    this.#meeting = meeting;
    const menu = byId('reaction-menu');
    for (const [emoji, name] of REACTIONS) {
      const button = el('button', { type: 'button', 'aria-label': name, 'data-reaction': emoji }, emoji);
      button.addEventListener('click', () => {
        meeting.participants.sendReaction(emoji);
        this.toggle(false);
      });
      menu.append(button);
    }
    byId('react').addEventListener('click', () => this.toggle());
    meeting.participants.on('reaction', ({ participantId, participant, emoji }) => {
      const mine = participantId === meeting.self.id;
      this.#fly(emoji, mine ? 'You' : participant?.name || 'Someone');
    });
  }

  /** @param {boolean} [open] */
  toggle(open = byId('reaction-menu').hidden) {
    const menu = byId('reaction-menu');
    const inside = menu.contains(document.activeElement);
    menu.hidden = !open;
    byId('react').setAttribute('aria-expanded', String(open));
    if (open) menu.querySelector('button').focus();
    else if (inside) byId('react').focus();
  }

  /** Whoever may write may react. */
  showPermissions() {
    byId('react').hidden = !this.#meeting.permissions.chatPublic.canSend;
  }

  #fly(emoji, name) {
    const box = byId('reactions');
    if (box.childElementCount >= AT_A_TIME_MAX) box.firstElementChild.remove();
    // What came over the network is shown as text, whatever it says.
    const flying = el('div', { class: 'reaction' }, el('span', { class: 'reaction-sign' }, emoji), name);
    flying.style.setProperty('--at', `${8 + Math.random() * 84}%`);
    box.append(flying);
    setTimeout(() => flying.remove(), SHOWN_MS);
    const known = REACTIONS.find(([sign]) => sign === emoji);
    announce(`${name} reacted with ${known?.[1] ?? emoji}`);
  }
}
