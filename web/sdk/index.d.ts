/**
 * Types of Ringbridge's browser SDK. Written by hand, held to the code by a test that compiles both.
 */

export type ErrorCode =
  | 'insecure_context' | 'browser_unsupported'
  | 'token_missing' | 'token_malformed' | 'token_expired'
  | 'server_unreachable' | 'server_refused' | 'connection_lost'
  | 'device_missing' | 'device_denied' | 'device_busy' | 'device_lost' | 'device_failed'
  | 'not_permitted' | 'not_joined' | 'message_too_long';

/** The only kind of error the SDK throws or emits. */
export class RingbridgeError extends Error {
  constructor(code: ErrorCode, message: string, more?: { serverCode?: string; cause?: unknown });
  code: ErrorCode;
  /** The server's own stable code, when it was the server that refused. */
  serverCode: string | undefined;
}

/** An emitter whose events are a map from name to the listener's arguments. */
export interface Events<Map extends Record<string, unknown[]>> {
  on<Name extends keyof Map & string>(event: Name, listener: (...args: Map[Name]) => void): this;
  addListener<Name extends keyof Map & string>(event: Name, listener: (...args: Map[Name]) => void): this;
  once<Name extends keyof Map & string>(event: Name, listener: (...args: Map[Name]) => void): this;
  off<Name extends keyof Map & string>(event: Name, listener: (...args: Map[Name]) => void): this;
  removeListener<Name extends keyof Map & string>(event: Name, listener: (...args: Map[Name]) => void): this;
  removeAllListeners(event?: keyof Map & string): this;
}

export type Source = 'microphone' | 'camera' | 'screen';
export type CanProduce = 'ALLOWED' | 'NOT_ALLOWED' | 'CAN_REQUEST';

/**
 * `waitlisted`: in the waiting room. From `left` on the meeting is over for oneself; only after
 * `failed` and `disconnected` is joining again likely to help.
 */
export type RoomState =
  | 'init' | 'connecting' | 'waitlisted' | 'joined' | 'reconnecting'
  | 'left' | 'kicked' | 'ended' | 'replaced' | 'rejected' | 'failed' | 'disconnected';

export interface AudioUpdate { audioEnabled: boolean; audioTrack: MediaStreamTrack | undefined }
export interface VideoUpdate { videoEnabled: boolean; videoTrack: MediaStreamTrack | undefined }
export interface ScreenShareUpdate { screenShareEnabled: boolean; screenShareTracks: { video?: MediaStreamTrack } }

/** What a connection was like over the last two seconds. */
export interface ScoreStats {
  roundTripTimeMs: number | undefined;
  jitterMs: number;
  lossInPercent: number;
  lossOutPercent: number | undefined;
  /** bit/s */
  bitrateIn: number;
  /** bit/s */
  bitrateOut: number;
  /** bit/s */
  availableOutgoingBitrate: number | undefined;
}

export interface ChatPermission { canSend: boolean; text: boolean; files: boolean }

/** What the preset of oneself allows. The server enforces all of it. */
export interface Permissions extends Events<{ permissionsUpdate: [Permissions] }> {
  readonly canProduceAudio: CanProduce;
  readonly canProduceVideo: CanProduce;
  readonly canProduceScreenshare: CanProduce;
  readonly requestProduceAudio: boolean;
  readonly requestProduceVideo: boolean;
  readonly requestProduceScreenshare: boolean;
  readonly chatPublic: ChatPermission;
  readonly chatPrivate: ChatPermission;
  readonly kickParticipant: boolean;
  readonly disableParticipantAudio: boolean;
  readonly disableParticipantVideo: boolean;
  readonly acceptWaitingRequests: boolean;
  readonly acceptStageRequests: boolean;
  readonly showParticipantList: boolean;
  of(source: Source): CanProduce;
}

/** Oneself. Usable before joining (a preview) and after leaving. */
export interface Self extends Events<{
  roomJoined: [{ reconnected: boolean }];
  roomLeft: [{ state: RoomState; error?: RingbridgeError }];
  waitlisted: [];
  audioUpdate: [AudioUpdate];
  videoUpdate: [VideoUpdate];
  screenShareUpdate: [ScreenShareUpdate];
  mediaPermissionError: [{ kind: 'audio' | 'video' | 'screenshare'; error: RingbridgeError }];
  deviceUpdate: [{ device: MediaDeviceInfo }];
  deviceListUpdate: [];
  /** Score: 0 (unusable) to 10 (perfect), every two seconds. */
  mediaScoreUpdate: [{ kind: 'audio'; isScreenshare: boolean; score: number; scoreStats: ScoreStats }];
  /** Another participant turned our source off; we may turn it on again. */
  disabledBy: [{ source: Source; by: string }];
  /** The server's API muted us, or no longer does: only there it can be undone. */
  mutedByServer: [{ muted: boolean }];
}> {
  readonly id: string | undefined;
  readonly userId: string | undefined;
  readonly name: string;
  readonly picture: string | undefined;
  readonly customParticipantId: string | undefined;
  readonly roomState: RoomState;
  readonly roomJoined: boolean;
  readonly waitlistStatus: 'none' | 'waiting' | 'accepted' | 'rejected';
  readonly permissions: Permissions;
  readonly mutedByServer: boolean;
  readonly mediaScore: number | undefined;
  readonly audioEnabled: boolean;
  readonly videoEnabled: boolean;
  readonly screenShareEnabled: boolean;
  readonly audioTrack: MediaStreamTrack | undefined;
  readonly videoTrack: MediaStreamTrack | undefined;
  readonly screenShareTracks: { video?: MediaStreamTrack };
  /** Takes effect at the next join. */
  setName(name: string): void;
  enableAudio(): Promise<void>;
  disableAudio(): Promise<void>;
  enableVideo(): Promise<void>;
  disableVideo(): Promise<void>;
  enableScreenShare(): Promise<void>;
  disableScreenShare(): Promise<void>;
  getAllDevices(): Promise<MediaDeviceInfo[]>;
  getAudioDevices(): Promise<MediaDeviceInfo[]>;
  getVideoDevices(): Promise<MediaDeviceInfo[]>;
  getSpeakerDevices(): Promise<MediaDeviceInfo[]>;
  getCurrentDevices(): Promise<{ audio?: MediaDeviceInfo; video?: MediaDeviceInfo; speaker?: MediaDeviceInfo }>;
  setDevice(device: MediaDeviceInfo): Promise<void>;
  releaseMedia(): void;
}

/** Someone else: a person at a browser, or a phone. */
export interface Participant extends Events<{
  audioUpdate: [AudioUpdate];
  videoUpdate: [VideoUpdate];
  screenShareUpdate: [ScreenShareUpdate];
  participantUpdate: [Participant];
  pinned: [Participant];
  unpinned: [Participant];
}> {
  readonly id: string;
  readonly userId: string;
  readonly name: string;
  readonly picture: string | undefined;
  readonly customParticipantId: string | undefined;
  readonly presetName: string | undefined;
  readonly kind: 'browser' | 'robo';
  /** They dialled in. */
  readonly isPhone: boolean;
  /** The phone put the meeting on hold. */
  readonly onHold: boolean;
  /** Facts from the phone's side. */
  readonly attributes: Record<string, string>;
  readonly audioEnabled: boolean;
  readonly videoEnabled: boolean;
  readonly screenShareEnabled: boolean;
  readonly audioTrack: MediaStreamTrack | undefined;
  readonly videoTrack: MediaStreamTrack | undefined;
  readonly screenShareTracks: { video?: MediaStreamTrack };
  /** 0 (silence) to 1. */
  readonly audioLevel: number;
  readonly isPinned: boolean;
  pin(): void;
  unpin(): void;
  /**
   * How their video is shown here: the server sends the layer that fits the width (in pixels of the
   * screen), or nothing. Without a word it sends the largest.
   */
  setVideoView(view: { width?: number; visible: boolean }, source?: 'camera' | 'screen'): void;
  kick(): void;
  disableAudio(): void;
  /** Lifts a phone's mute; nobody turns on somebody else's microphone. */
  enableAudio(): void;
  disableVideo(): void;
}

/** Participants by id, in the order they came; read it like a `Map`. */
export interface ParticipantMap extends Events<{
  participantJoined: [Participant];
  participantLeft: [Participant];
  participantsUpdate: [];
  participantsCleared: [];
  participantUpdate: [Participant];
  audioUpdate: [Participant, AudioUpdate];
  videoUpdate: [Participant, VideoUpdate];
  screenShareUpdate: [Participant, ScreenShareUpdate];
  pinned: [Participant];
  unpinned: [Participant];
}>, Iterable<[string, Participant]> {
  readonly size: number;
  get(id: string): Participant | undefined;
  has(id: string): boolean;
  keys(): IterableIterator<string>;
  values(): IterableIterator<Participant>;
  entries(): IterableIterator<[string, Participant]>;
  forEach(visit: (participant: Participant, id: string) => void): void;
  toArray(): Participant[];
}

/** Everyone but oneself. */
export interface Participants extends Events<{
  activeSpeaker: [{ peerId: string; volume: number }];
  dtmf: [{ participant: Participant; digit: string }];
  reaction: [{ participantId: string; participant: Participant | undefined; emoji: string }];
  broadcastedMessage: [{ type: string; payload: unknown; participantId: string; timestamp: number }];
}> {
  readonly joined: ParticipantMap;
  /** Known only to those who may let them in. */
  readonly waitlisted: ParticipantMap;
  /** The latest speakers, at most `maxActiveParticipantsCount`. */
  readonly active: ParticipantMap;
  /** Pinned by oneself. */
  readonly pinned: ParticipantMap;
  readonly count: number;
  readonly lastActiveSpeaker: string | undefined;
  readonly maxActiveParticipantsCount: number;
  setMaxActiveParticipantsCount(limit: number): void;
  acceptWaitingRoomRequest(id: string): void;
  acceptAllWaitingRoomRequest(ids?: string[]): void;
  rejectWaitingRoomRequest(id: string): void;
  kick(id: string): void;
  kickAll(): void;
  disableAudio(id: string): void;
  disableVideo(id: string): void;
  disableAllAudio(): void;
  /** `payload`: at most 4 KiB as JSON. */
  broadcastMessage(type: string, payload: unknown): void;
  sendReaction(emoji: string): void;
}

export interface ChatMessage {
  id: string;
  type: 'text';
  userId: string;
  displayName: string;
  message: string;
  time: Date;
  isEdited: boolean;
  /** Only these and the writer see it; without, everyone. */
  targetUserIds?: string[];
}

export interface Chat extends Events<{
  chatUpdate: [{ action: 'add'; message: ChatMessage; messages: ChatMessage[] }];
  chatCleared: [];
}> {
  readonly messages: ChatMessage[];
  sendTextMessage(message: string, participantIds?: string[]): void;
  sendMessage(message: { type: 'text'; message: string }, participantIds?: string[]): void;
  getMessagesByUser(userId: string): ChatMessage[];
}

export interface StageRequest { participantId: string; name: string; source: Source }

/** Asking to speak, and granting it. */
export interface Stage extends Events<{
  stageStatusUpdate: ['ON_STAGE' | 'OFF_STAGE' | 'REQUESTED_TO_JOIN_STAGE'];
  stageRequestApproved: [Source];
  stageRequestRejected: [Source];
  stageAccessRequestUpdate: [StageRequest[]];
}> {
  readonly status: 'ON_STAGE' | 'OFF_STAGE' | 'REQUESTED_TO_JOIN_STAGE';
  readonly requests: StageRequest[];
  hasAsked(source: Source): boolean;
  requestAccess(source?: Source): void;
  grantAccess(participantId: string, source?: Source): void;
  denyAccess(participantId: string, source?: Source): void;
}

export interface DialIn { sipUri: string | undefined; numbers: string[]; pin: string | undefined }

export interface Meta extends Events<{
  socketConnectionUpdate: [{
    state: 'connecting' | 'connected' | 'reconnecting' | 'disconnected';
    reconnectionAttempt: number;
    reason?: 'signalling' | 'media' | 'negotiation' | 'server';
  }];
  mediaConnectionUpdate: [{ state: RTCPeerConnectionState }];
  serverError: [{ code: string; message: string }];
}> {
  readonly meetingId: string | undefined;
  readonly sessionId: string | undefined;
  readonly meetingTitle: string;
  readonly joinedAt: Date | undefined;
  readonly dialIn: DialIn;
  readonly sipUri: string | undefined;
  readonly socketState: 'connecting' | 'connected' | 'reconnecting' | 'disconnected';
  readonly mediaState: RTCPeerConnectionState;
}

export interface InitOptions {
  /** The participant's or the meeting's join token. */
  authToken: string;
  /** Display name; wins over the token's when not empty. */
  name?: string;
  /** Origin of the server; the page's own by default. */
  baseURI?: string;
  /** What to turn on at once. */
  defaults?: { audio?: boolean; video?: boolean };
}

/** A meeting as one participant sees it. */
export class RingbridgeClient {
  static init(options: InitOptions): Promise<RingbridgeClient>;
  constructor(options: InitOptions);
  readonly self: Self;
  readonly participants: Participants;
  readonly chat: Chat;
  readonly stage: Stage;
  readonly meta: Meta;
  readonly permissions: Permissions;
  readonly roomState: RoomState;
  join(): Promise<void>;
  joinRoom(): Promise<void>;
  leave(): void;
  leaveRoom(): void;
  getStats(): Promise<RTCStatsReport | undefined>;
}

/** How loud one track is right now. */
export class LevelMeter {
  constructor(track: MediaStreamTrack);
  readonly track: MediaStreamTrack;
  /** 0 (silence) to 1. */
  read(): number;
  stop(): void;
}

/** Call it from a click or key handler: some browsers start sound only then. */
export function resumeMeters(): Promise<void>;

/** The readable part of a join token; only the server can verify it. */
export function readToken(token: string): { meetingId?: string; participantId?: string; expiresAt?: Date };
