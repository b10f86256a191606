// Every message of the wire, as types, and what can be known of them without a connection.
// `docs/protocol.md` says what each one means; times are ms since 1970 unless said otherwise.

/**
 * @typedef {{type: "offer" | "answer", sdp: string}} Description
 * @typedef {{candidate: string, sdpMid: string | null, sdpMLineIndex: number | null,
 *   usernameFragment: string | null}} Candidate
 * @typedef {{audio: boolean, video: boolean}} Media
 * @typedef {{epoch: string, seq: number}} RoomMark
 * @typedef {{session: string, key: string, n: number,
 *   rooms?: Record<string, RoomMark>}} Resume
 * @typedef {"signalling" | "ice" | "dtls" | "media"} Part
 * @typedef {"hangup" | "cancelled" | "declined" | "no_answer" | "unavailable" | "busy" |
 *   "glare" | "lost" | "failed"} Reason
 * @typedef {"connecting" | "connected" | "reconnecting"} ProgressState
 * @typedef {"asked" | "starting" | "on" | "paused" | "off"} RecordingState
 * @typedef {"stopped" | "withdrawn" | "declined" | "no_answer" | "cancelled" | "call_ended" |
 *   "too_long" | "too_large" | "disk_full" | "stopping" | "failed"} RecordingEnd
 */

/**
 * What a client says. A message with an `id` is answered with `ok`, `error` or a reply of its
 * own type that carries the id as `re`.
 *
 * @typedef {{type: "hello", id?: string, v: number, name?: string, token?: string,
 *   resume?: Resume, about?: string}} Hello
 * @typedef {{type: "join", id?: string, room: string, unlisted?: boolean}} Join
 * @typedef {{type: "leave", id?: string, room: string}} Leave
 * @typedef {{type: "chat", id?: string, room: string, text: string, cid: string}} Chat
 * @typedef {{type: "typing", id?: string, room: string, on: boolean}} Typing
 * @typedef {{type: "rooms", id?: string, watch?: boolean}} Rooms
 * @typedef {{type: "contacts", id?: string, watch?: boolean}} Contacts
 * @typedef {{type: "settings", id?: string, call_waiting?: boolean,
 *   voicemail?: boolean}} Settings
 * @typedef {{type: "capacity", id?: string, max_calls: number, accepting?: boolean}} Capacity
 * @typedef {{type: "records", id?: string, before?: number, limit?: number}} Records
 * @typedef {{type: "call", id?: string, call: string, to: string, media: Media,
 *   description: Description, recording?: string, consent?: string, after?: string,
 *   greeting?: boolean}} PlaceCall
 * @typedef {{type: "answer", id?: string, call: string, description: Description}} Answer
 * @typedef {{type: "decline", id?: string, call: string,
 *   reason?: "declined" | "busy"}} Decline
 * @typedef {{type: "hangup", id?: string, call: string, reason?: "hangup" | "failed",
 *   part?: Part}} Hangup
 * @typedef {{type: "description", id?: string, call: string,
 *   description: Description}} SendDescription
 * @typedef {{type: "candidate", id?: string, call: string,
 *   candidate: Candidate | null}} SendCandidate
 * @typedef {{type: "media", id?: string, call: string, media: Media}} SendMedia
 * @typedef {{type: "progress", id?: string, call: string, state: ProgressState,
 *   part?: Part}} Progress
 * @typedef {{type: "report", id?: string, call: string, first_media_ms?: number,
 *   pair?: string, restarts?: number, loss?: number, round_trip_ms?: number}} Report
 * @typedef {{type: "record", id?: string, call: string,
 *   do: "start" | "pause" | "resume" | "stop", version?: string}} ControlRecording
 * @typedef {{type: "consent", id?: string, call: string, yes: boolean,
 *   version: string}} GiveConsent
 * @typedef {{type: "recording", id?: string, recording: string, state: "on" | "off",
 *   reason?: "stopped" | "too_long" | "too_large" | "disk_full" | "stopping" | "failed"}} TellRecording
 * @typedef {{type: "message", id?: string, message: string, state: "left" | "discarded",
 *   seconds?: number, cut?: boolean}} TellMessage
 * @typedef {Hello | Join | Leave | Chat | Typing | Rooms | Contacts | Settings | Capacity |
 *   Records | PlaceCall | Answer | Decline | Hangup | SendDescription | SendCandidate | SendMedia |
 *   Progress | Report | ControlRecording | GiveConsent | TellRecording |
 *   TellMessage} ClientMessage
 */

/**
 * What the server says is made of these.
 *
 * @typedef {{name: string, bot: boolean}} Member
 * @typedef {"available" | "in_call" | "away"} Status
 * @typedef {{name: string, bot: boolean, about: string, status: Status}} Contact
 * @typedef {{room: string, people: number}} RoomInfo
 * @typedef {{state: RecordingState, message: string, from: string, version: string,
 *   text: string, recording?: string}} RecordingInfo
 * @typedef {{call: string, peer: string, state: string, outgoing: boolean, leg?: boolean,
 *   recording?: RecordingInfo}} CallInfo
 * @typedef {{name: string, time: number, version: string}} Consent
 * @typedef {{id: string, call: string, name: string, participants: Consent[],
 *   paused?: boolean}} RecordingOrder
 * @typedef {{id: string, kind: "message" | "greeting", to: string, most: number,
 *   greeting?: string}} MessageOrder
 * @typedef {{call: string, peer: string, outgoing: boolean, reason: Reason, placed: number,
 *   ended: number, answered?: number, connected?: number, video?: boolean,
 *   first_media_ms?: number, pair?: string, restarts?: number, loss?: number,
 *   round_trip_ms?: number}} CallRecord
 * @typedef {{urls: string[], username?: string, credential?: string}} IceServer
 * @typedef {{message: number, text: number, sdp: number, candidate: number,
 *   candidates: number, messages_per_second: number, messages_burst: number,
 *   chats_per_second: number, chats_burst: number, calls_per_minute: number, rooms: number,
 *   sockets_per_address: number, outbox_messages: number, outbox_bytes: number,
 *   outbox_age: number, mailbox: number, history: number, people: number, errors: number,
 *   errors_window: number, hello: number, on: boolean}} Limits
 */

/**
 * What the server says. Directed messages (those with `n`) are numbered for one session;
 * fields that have their usual value are left out.
 *
 * @typedef {{type: "welcome", session: string, key: string, name: string | null,
 *   resumed: boolean, calls: CallInfo[], ice_servers: IceServer[], limits: Limits,
 *   ping: number, time: number, v: number, re?: string}} Welcome
 * @typedef {{type: "drain", after_ms: number}} Drain
 * @typedef {{type: "resync", room?: string, last?: number}} Resync
 * @typedef {{type: "ok", re: string}} Ok
 * @typedef {{type: "error", code: string, message: string, re?: string}} ErrorMessage
 * @typedef {{type: "chat", room: string, seq: number, from: string, text: string,
 *   time: number, cid: string}} ChatMessage
 * @typedef {{type: "joined", room: string, members: Member[], history: ChatMessage[],
 *   seq: number, epoch: string, resumed?: boolean, more?: number, re?: string}} Joined
 * @typedef {{type: "presence", room: string, name: string, here: boolean,
 *   bot?: boolean}} Presence
 * @typedef {{type: "typing", room: string, from: string, on: boolean}} TypingNow
 * @typedef {{type: "rooms", rooms: RoomInfo[], re?: string}} RoomList
 * @typedef {{type: "contacts", people: Contact[], more?: number, re?: string}} ContactList
 * @typedef {{type: "contact", person: Contact, online: boolean}} ContactChange
 * @typedef {{type: "records", records: CallRecord[], re?: string}} RecordList
 * @typedef {{type: "ring", n?: number, call: string, from: string, media: Media,
 *   description: Description, bot?: boolean, waiting?: boolean,
 *   recording?: RecordingOrder, voicemail?: MessageOrder}} Ring
 * @typedef {{type: "ringing", n?: number, call: string, waiting?: boolean}} Ringing
 * @typedef {{type: "answered", n?: number, call: string, description: Description}} Answered
 * @typedef {{type: "elsewhere", n?: number, call: string,
 *   reason: "answered" | "declined"}} Elsewhere
 * @typedef {{type: "ended", n?: number, call: string, reason: Reason, message: string,
 *   part?: Part, winner?: string, voicemail?: boolean}} Ended
 * @typedef {{type: "description", n?: number, call: string,
 *   description: Description}} RelayedDescription
 * @typedef {{type: "candidate", n?: number, call: string,
 *   candidate: Candidate | null}} RelayedCandidate
 * @typedef {{type: "media", n?: number, call: string, media: Media}} RelayedMedia
 * @typedef {{type: "record_asked", n?: number, call: string, from: string, version: string,
 *   text: string}} RecordAsked
 * @typedef {{type: "recording", n?: number, call: string, state: RecordingState,
 *   message: string, recording?: string, reason?: RecordingEnd}} RecordingChange
 * @typedef {{type: "voicemail", n?: number, unheard: number, total: number,
 *   nearly_full?: boolean}} VoicemailChange
 * @typedef {Ring | Ringing | Answered | Elsewhere | Ended | RelayedDescription |
 *   RelayedCandidate | RelayedMedia | RecordAsked | RecordingChange |
 *   VoicemailChange} DirectedMessage
 * @typedef {Welcome | Drain | Resync | Ok | ErrorMessage | ChatMessage | Joined | Presence |
 *   TypingNow | RoomList | ContactList | ContactChange | RecordList |
 *   DirectedMessage} ServerMessage
 */

/**
 * The server's messages by their type, as events of the wire.
 * @typedef {{[M in ServerMessage as M["type"]]: M}} ServerEvents
 */

export const VERSION = 1;

/** @type {readonly ClientMessage["type"][]} */
export const CLIENT_TYPES = [
  "hello", "join", "leave", "chat", "typing", "rooms", "contacts", "settings", "capacity",
  "records", "call", "answer", "decline", "hangup", "description", "candidate", "media", "progress",
  "report", "record", "consent", "recording", "message",
];

/** @type {readonly ServerMessage["type"][]} */
export const SERVER_TYPES = [
  "welcome", "drain", "resync", "ok", "error", "chat", "joined", "presence", "typing", "rooms",
  "contacts", "contact", "records", "ring", "ringing", "answered", "elsewhere", "ended",
  "description", "candidate", "media", "record_asked", "recording", "voicemail",
];

/** Close codes after which the same hello would be refused again. */
/** Close code: this session was taken up by another socket. */
export const CLOSE_REPLACED = 4409;

/** Hello was refused for good: the name or the client must change first. */
export const FATAL_CODES = new Set([
  "bad_version", "bad_token", "bad_name", "name_taken", "name_reserved",
]);

/**
 * A message of the server out of a text frame; null for what this version does not know.
 * @param {unknown} data
 * @returns {ServerMessage | null}
 */
export function decode(data) {
  if (typeof data !== "string") return null;
  let value;
  try {
    value = JSON.parse(data);
  } catch (error) {
    console.warn("The server sent something that is not JSON.", error);
    return null;
  }
  if (typeof value !== "object" || value === null) return null;
  if (!SERVER_TYPES.includes(value.type)) return null;
  return /** @type {ServerMessage} */ (value);
}

/**
 * A random id that nobody can guess. Works on insecure pages too, unlike `randomUUID`.
 * @returns {string}
 */
export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** A request that was refused, or could not be made. `code` is an error code or "offline". */
export class RequestError extends Error {
  /**
   * @param {string} code
   * @param {string} message
   */
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}
