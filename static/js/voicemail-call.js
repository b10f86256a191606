// A call that leaves a message, or records one's greeting: a call to the bot `voicemail` beside
// the telephone, with sound alone and a channel on which the two agree what happens next.

import { Call } from "./call.js";
import { Emitter } from "./emitter.js";
import { RequestError, newId } from "./messages.js";

/** @typedef {import("./local-media.js").LocalMedia} LocalMedia */
/** @typedef {import("./messages.js").Ended} Ended */
/** @typedef {import("./phone.js").Phone} Phone */
/** @typedef {import("./wire.js").Wire} Wire */
/** @typedef {"stop" | "listen" | "redo" | "send" | "discard"} Do */
/** @typedef {"greeting" | "recording" | "recorded" | "too_short" | "playing" | "sent" |
 *   "discarded" | "failed"} BotState */
/** @typedef {"idle" | "connecting" | BotState | "over"} VoicemailState */
/** @typedef {{state: BotState, seconds: number, most: number}} Told */

/** The bot that takes messages, and the label of the channel to it. */
export const VOICEMAIL = "voicemail";

/** In whose name it holds the microphone. */
const HOLDER = "voicemail";
const OFFLINE = "You are not connected to the server. Try again in a moment.";
const NO_MICROPHONE =
  "There is no microphone that this page may use. Connect one, or allow it with the sign beside " +
  "the address of this page, then try again.";
const STATES = new Set([
  "greeting", "recording", "recorded", "too_short", "playing", "sent", "discarded", "failed",
]);
/** Seconds below which nothing is kept. */
const LEAST = 1;
/** States after which nothing more happens. */
const DONE = new Set(["sent", "discarded", "failed"]);

/**
 * What the bot says; null for what this version does not know.
 * @param {unknown} data
 * @returns {Told | null}
 */
function decode(data) {
  if (typeof data !== "string") return null;
  try {
    const { state, seconds = 0, most = 0 } = JSON.parse(data);
    return STATES.has(state) ? { state, seconds: Number(seconds), most: Number(most) } : null;
  } catch (error) {
    console.warn("Voicemail said something that is not JSON.", error);
    return null;
  }
}

/** @extends {Emitter<{change: VoicemailCall, ended: VoicemailCall}>} */
export class VoicemailCall extends Emitter {
  /** @type {VoicemailState} */
  state = "idle";
  /** Whose voicemail it is; empty for one's own greeting. */
  peer = "";
  /** How much sound (s) the bot has, and how much there may be. */
  seconds = 0;
  most = 0;
  /** When the state began (ms since 1970). */
  since = 0;
  /** Why it went wrong, in words. */
  problem = "";
  /** Whether it could be placed once more. */
  retry = false;
  /** The call that was not answered; empty for a greeting. */
  #after = "";
  /** @type {Call | null} */
  #call = null;
  /** @type {RTCDataChannel | null} */
  #channel = null;

  /**
   * @param {object} options
   * @param {Wire} options.wire
   * @param {Phone} options.phone
   * @param {LocalMedia} options.media
   */
  constructor({ wire, phone, media }) {
    super();
    this.wire = wire;
    this.phone = phone;
    this.media = media;
    wire.on("answered", ({ call: id, description }) => {
      this.#with(id, (call) => call.settle(description));
    });
    wire.on("description", ({ call: id, description }) => {
      this.#with(id, (call) => call.describe(description));
    });
    wire.on("candidate", ({ call: id, candidate }) => {
      this.#with(id, (call) => call.candidate(candidate));
    });
    wire.on("ended", ({ call: id, reason, message }) => {
      this.#with(id, (call) => call.finish(reason, message));
    });
    wire.on("opened", ({ welcome }) => {
      const known = welcome.calls.some(({ call }) => call === this.#call?.id);
      if (!welcome.resumed && this.#call?.answered && !known) this.#call.finish("lost", "");
    });
    // Who answers somebody meanwhile leaves what they have said.
    phone.on("change", () => {
      if (phone.live && this.state !== "idle") this.dismiss();
    });
  }

  /** Whether there is enough to be kept. */
  get said() {
    return this.seconds >= LEAST;
  }

  /** Whether it goes on. */
  get live() {
    return this.#call?.live ?? false;
  }

  /** What the bot plays. */
  get remote() {
    return this.#call?.remote ?? null;
  }

  /**
   * Leave a message for somebody.
   * @param {string} peer
   * @param {string} after  the call that they did not answer
   */
  leave(peer, after) {
    void this.#place(peer, after);
  }

  /** Record one's own greeting. */
  greet() {
    void this.#place("", "");
  }

  /** The same once more, after it went wrong. */
  again() {
    void this.#place(this.peer, this.#after);
  }

  /** @param {Do} what */
  say(what) {
    if (this.#channel?.readyState === "open") this.#channel.send(JSON.stringify({ do: what }));
    else if (what === "discard") this.hangUp();
  }

  /** End it: what was said is sent. */
  hangUp() {
    if (this.live) this.#call?.hangUp("");
  }

  /** It has been seen how it ended. */
  dismiss() {
    this.hangUp();
    this.#become("idle");
  }

  /**
   * @param {string} peer
   * @param {string} after
   */
  async #place(peer, after) {
    if (this.live || this.phone.live) return;
    Object.assign(this, { peer, seconds: 0, most: 0, problem: "", retry: false });
    this.#after = after;
    const call = new Call({
      id: newId(),
      peer: VOICEMAIL,
      bot: true,
      outgoing: true,
      channel: VOICEMAIL,
      tell: (message) => this.wire.tell(message, { keep: true }),
      iceServers: () => this.wire.welcome?.ice_servers ?? [],
      tracks: () => ({ audio: this.media.audio, video: null }),
    });
    this.#call = call;
    this.phone.besides.add(call.id);
    call.on("change", () => this.emit("change", this));
    call.on("ended", () => this.#over(call));
    this.#become("connecting");
    await this.media.open(HOLDER, { audio: true, video: false });
    if (!call.live) return;
    if (this.media.audio) await this.#offer(call);
    else this.#fail(call, NO_MICROPHONE);
  }

  /** @param {Call} call */
  async #offer(call) {
    if (this.wire.state !== "open") return this.#fail(call, OFFLINE);
    try {
      const description = await call.offer();
      if (!call.live) return;
      const channel = call.link?.channel ?? null;
      if (channel) this.#listen(channel);
      const what = this.#after ? { after: this.#after } : { greeting: true };
      const media = { audio: true, video: false };
      const placed = this.wire.request(
        { type: "call", call: call.id, to: VOICEMAIL, media, description, ...what },
        { keep: true },
      );
      call.offered();
      await placed;
    } catch (error) {
      const known = error instanceof RequestError;
      // Said again after a break, it was placed already.
      if (!call.live || (known && error.code === "call_exists")) return;
      if (!known) console.warn("Voicemail could not be called.", error);
      this.#fail(call, known && error.code !== "offline" ? error.message : OFFLINE);
    }
  }

  /** @param {RTCDataChannel} channel */
  #listen(channel) {
    this.#channel = channel;
    channel.onmessage = ({ data }) => {
      const told = decode(data);
      if (!told || channel !== this.#channel || DONE.has(this.state)) return;
      this.seconds = told.seconds;
      this.most = told.most;
      if (told.state === this.state) this.emit("change", this);
      else this.#become(told.state);
    };
  }

  /**
   * @param {Call} call
   * @param {string} words
   */
  #fail(call, words) {
    this.problem = words;
    this.retry = true;
    call.finish("failed", words);
  }

  /** @param {Call} call */
  #over(call) {
    this.phone.besides.delete(call.id);
    if (call !== this.#call) return;
    this.media.release(HOLDER);
    this.#channel = null;
    if (this.state !== "idle" && !DONE.has(this.state)) {
      const { reason, words } = call.end;
      if (reason !== "hangup" && reason !== "cancelled" && !this.problem) {
        this.problem = words || "The connection to voicemail was lost.";
      }
      // Where nothing was said there is nothing to lose by trying again.
      this.retry = !this.said;
      this.#become("over");
    }
    this.emit("ended", this);
  }

  /** @param {VoicemailState} state */
  #become(state) {
    this.state = state;
    this.since = Date.now();
    this.emit("change", this);
  }

  /**
   * @param {string} id
   * @param {(call: Call) => void} act
   */
  #with(id, act) {
    if (this.#call?.id === id && this.#call.live) act(this.#call);
  }
}
