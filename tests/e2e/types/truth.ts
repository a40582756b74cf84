// The hand-written types against the code they describe: what the code offers must be assignable to
// what is promised. A method that is renamed or missing in either fails here.
import * as code from '../../../web/sdk/ringbridge.js';
import type * as promised from '../../../web/sdk/index';

declare const real: InstanceType<typeof code.RingbridgeClient>;

/** Everything but the emitter's methods, whose names are strings in the code. */
type Facts<T> = Omit<T, keyof promised.Events<Record<string, unknown[]>> | typeof Symbol.iterator>;
type Shallow<T> = { [Key in keyof Facts<T>]: unknown };

// Every name that is promised exists in the code.
export const client: Shallow<promised.RingbridgeClient> = real;
export const self: Shallow<promised.Self> = real.self;
export const participants: Shallow<promised.Participants> = real.participants;
export const joined: Shallow<promised.ParticipantMap> = real.participants.joined;
export const chat: Shallow<promised.Chat> = real.chat;
export const stage: Shallow<promised.Stage> = real.stage;
export const meta: Shallow<promised.Meta> = real.meta;
export const permissions: Shallow<promised.Permissions> = real.permissions;
declare const participant: NonNullable<ReturnType<typeof real.participants.joined.get>>;
export const someone: Shallow<promised.Participant> = participant;

// And where the code says of which type it is, the types agree.
export const sameSelf: Pick<promised.Self, 'roomState' | 'audioTrack' | 'setDevice' | 'getCurrentDevices'> = real.self;
export const sameChat: Facts<promised.Chat> = real.chat;
export const sameStage: Facts<promised.Stage> = real.stage;
export const samePermissions: Facts<promised.Permissions> = real.permissions;
export const sameMeta: Facts<promised.Meta> = real.meta;
export const sameParticipant: Facts<promised.Participant> = participant;
export const sameMeter: typeof promised.LevelMeter = code.LevelMeter;
export const sameError: promised.RingbridgeError = new code.RingbridgeError('not_joined', '');
export const sameToken: typeof promised.readToken = code.readToken;
