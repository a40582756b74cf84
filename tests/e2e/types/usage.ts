// The SDK as its documentation uses it, in TypeScript.
import { LevelMeter, RingbridgeClient, RingbridgeError, type Participant } from '../../../web/sdk/index';

export async function start(authToken: string): Promise<void> {
  const meeting = await RingbridgeClient.init({ authToken, name: 'Ada', defaults: { audio: true } });
  const meters = new Map<string, LevelMeter>();

  meeting.self.on('roomJoined', ({ reconnected }) => console.log(reconnected ? 'back' : 'in'));
  meeting.self.on('roomLeft', ({ state, error }) => {
    if (state === 'rejected') console.log(error?.serverCode);
  });
  meeting.self.on('mediaScoreUpdate', ({ score, scoreStats }) => console.log(score, scoreStats.lossInPercent));
  meeting.participants.joined.on('participantJoined', (p: Participant) => {
    p.on('audioUpdate', ({ audioTrack }) => {
      if (audioTrack) meters.set(p.id, new LevelMeter(audioTrack));
    });
  });
  meeting.participants.joined.on('videoUpdate', (p, { videoEnabled }) => console.log(p.name, videoEnabled));
  meeting.participants.on('dtmf', ({ participant, digit }) => console.log(participant.name, digit));
  meeting.participants.waitlisted.on('participantJoined', ({ id }) => {
    if (meeting.permissions.acceptWaitingRequests) meeting.participants.acceptWaitingRoomRequest(id);
  });
  meeting.chat.on('chatUpdate', ({ message }) => console.log(message.displayName, message.message));
  meeting.meta.on('mediaConnectionUpdate', ({ state }) => console.log(state));

  try {
    await meeting.join();
    meeting.chat.sendTextMessage('Hello');
  } catch (error) {
    if (error instanceof RingbridgeError && error.code === 'server_refused') console.log(error.serverCode);
    throw error;
  }
  for (const [id, participant] of meeting.participants.joined) console.log(id, participant.isPhone);

  // @ts-expect-error there is no such event
  meeting.self.on('roomjoined', () => {});
  // @ts-expect-error a token is needed
  await RingbridgeClient.init({ name: 'nobody' });
}
