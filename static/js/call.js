// One call of this page: how far it is, what was measured, and how it ends. Knows the wire,
// but neither the page nor the other calls.

import { Emitter } from "./emitter.js";
import { Quality } from "./quality.js";
import { Repair } from "./repair.js";
import { Signalling } from "./signalling.js";

/** @typedef {import("./messages.js").Candidate} Candidate */
/** @typedef {import("./messages.js").ClientMessage} ClientMessage */
/** @typedef {import("./messages.js").Description} Description */
/** @typedef {import("./messages.js").IceServer} IceServer */
/** @typedef {import("./messages.js").Media} Media */
/** @typedef {import("./messages.js").Part} Part */
/** @typedef {import("./messages.js").Reason} Reason */
/** @typedef {import("./link.js").Tracks} Tracks */
/** @typedef {"calling" | "connecting" | "connected" | "reconnecting" | "ended"} CallState */
/** @typedef {{reason: Reason | null, words: string}} End */
/**
 * What survives a reload of the page.
 * @typedef {object} SavedCall
 * @property {string} id
 * @property {string} peer
 * @property {boolean} bot
 * @property {boolean} outgoing
 * @property {boolean} answered
 * @property {number | null} connectedAt
 * @property {string} theirs  the other side's fingerprint
 * @property {Media} theirMedia
 * @property {boolean} muted
 * @property {boolean} camera
 */

/** How often (ms) the quality is measured. */
const MEASURE_EVERY = 2_000;

/** @extends {Emitter<{change: Call, ended: Call}>} */
export class Call extends Emitter {
  /** @type {CallState} */
  state;
  ringing = false;
  /** The other side is in another call; their telephone rings softly. */
  waiting = false;
  /** @type {Media} */
  theirMedia = { audio: true, video: true };
  /** What the other side was told last of this side's sound and picture. */
  saidMedia = "";
  /** The ring that was answered. @type {import("./messages.js").Ring | null} */
  ring = null;
  /** Whether the other side answered, or this side did. */
  answered = false;
  /** @type {number | null} ms since 1970 */
  connectedAt = null;
  /** @type {number | null} */
  endedAt = null;
  /** @type {End} */
  end = { reason: null, words: "" };
  /** Whether the caller may leave a message, now that nobody answered. */
  voicemail = false;
  /** The version of the text that calling the recorder agrees to. */
  consent = "";
  /** Whether the own camera was on at the end. */
  video = true;
  quality = new Quality();
  #signalling;
  #repair;
  /** When it was answered, by a steady clock. */
  #begun = 0;
  /** @type {number | null} */
  #firstMedia = null;
  #reported = false;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #measuring;

  /**
   * @param {object} options
   * @param {string} options.id
   * @param {string} options.peer
   * @param {boolean} options.bot
   * @param {boolean} options.outgoing
   * @param {(message: ClientMessage) => void} options.tell
   * @param {() => IceServer[]} options.iceServers
   * @param {() => Tracks} options.tracks
   * @param {string} [options.channel]  sound alone, and a data channel of this label
   */
  constructor({ id, peer, bot, outgoing, tell, iceServers, tracks, channel = "" }) {
    super();
    this.id = id;
    this.peer = peer;
    this.bot = bot;
    this.outgoing = outgoing;
    this.tell = tell;
    this.state = outgoing ? "calling" : "connecting";
    this.#repair = new Repair({
      canRestart: !bot,
      hearer: {
        progress: (state, part) =>
          this.tell({ type: "progress", call: id, state, ...(part ? { part } : {}) }),
        become: (state) => (state === "connected" ? this.#connected() : this.#become(state)),
        fail: (part) => this.fail(part),
      },
    });
    this.#signalling = new Signalling({
      outgoing,
      iceServers,
      tracks,
      channel,
      hearer: {
        describe: (description) => this.tell({ type: "description", call: id, description }),
        candidate: (candidate) => this.tell({ type: "candidate", call: id, candidate }),
        state: (link) => {
          if (this.answered) this.#repair.look(link);
        },
        track: () => this.emit("change", this),
        media: () => this.#media(),
        failed: (error) => this.#misunderstood(error),
      },
    });
  }

  get live() {
    return this.state !== "ended";
  }

  /** The peer connection there is now, if any. */
  get link() {
    return this.#signalling.link;
  }

  /** The other side's sound and picture. */
  get remote() {
    return this.link?.remote ?? null;
  }

  /** The caller's first offer. */
  offer() {
    return this.#signalling.offer();
  }

  /** The offer is on its way: candidates may follow. */
  offered() {
    this.#signalling.release();
  }

  /**
   * The callee's answer to the caller's offer.
   * @param {Description} offer
   */
  accept(offer) {
    return this.#signalling.accept(offer);
  }

  /**
   * The answer is on its way: candidates may follow.
   * @param {(Candidate | null)[]} early  of the other side, from while it rang
   */
  accepted(early) {
    this.#begin();
    if (this.link) this.#repair.look(this.link);
    this.#signalling.release(early);
  }

  /**
   * They answered.
   * @param {Description} description
   */
  settle(description) {
    this.#begin();
    this.#signalling.settle(description);
  }

  /** Build the connection anew, after a reload in an answered call. */
  rejoin() {
    this.#signalling.rejoin();
  }

  /** @param {Description} description */
  describe(description) {
    this.#signalling.describe(description);
  }

  /** @param {Candidate | null} candidate */
  candidate(candidate) {
    this.#signalling.candidate(candidate);
  }

  /** Send the page's tracks as they are now. */
  refreshTracks() {
    this.#signalling.refreshTracks();
  }

  /** What was measured so far, for the record of the call; the last report counts. */
  report() {
    if (!this.answered || !this.live) return;
    const { loss, roundTrip, pair } = this.quality;
    this.tell({
      type: "report",
      call: this.id,
      restarts: this.#repair.restarts,
      ...(this.#firstMedia === null ? {} : { first_media_ms: Math.round(this.#firstMedia) }),
      ...(pair === null ? {} : { pair }),
      ...(loss === null ? {} : { loss: Math.min(1, loss) }),
      ...(roundTrip === null ? {} : { round_trip_ms: roundTrip }),
    });
  }

  /**
   * End it by oneself.
   * @param {string} words  for the person here
   */
  hangUp(words) {
    if (!this.live) return;
    this.report();
    this.tell({ type: "hangup", call: this.id });
    this.finish(this.answered ? "hangup" : "cancelled", words);
  }

  /**
   * It cannot go on because `part` failed.
   * @param {Part} part
   */
  fail(part) {
    if (!this.live) return;
    this.report();
    this.tell({ type: "hangup", call: this.id, reason: "failed", part });
    if (this.connectedAt === null) {
      this.finish("failed", `The call to ${this.peer} could not be connected.`);
    } else this.finish("lost", `The connection to ${this.peer} was lost.`);
  }

  /**
   * It is over, for whatever reason; everything it holds is freed. May be called again with
   * better words.
   * @param {Reason | null} reason
   * @param {string} words
   */
  finish(reason, words) {
    this.end = { reason, words };
    if (this.live) {
      this.state = "ended";
      this.endedAt = Date.now();
      clearInterval(this.#measuring);
      this.#repair.close();
      this.#signalling.close();
      this.emit("ended", this);
    }
    this.emit("change", this);
  }

  /**
   * @param {Pick<SavedCall, "muted" | "camera">} own
   * @returns {SavedCall}
   */
  save({ muted, camera }) {
    const { id, peer, bot, outgoing, answered, connectedAt, theirMedia } = this;
    const { theirs } = this.#signalling;
    return { id, peer, bot, outgoing, answered, connectedAt, theirs, theirMedia, muted, camera };
  }

  /** @param {SavedCall} saved */
  restore(saved) {
    this.answered = saved.answered;
    this.connectedAt = saved.connectedAt;
    this.theirMedia = saved.theirMedia;
    this.#signalling.knownTheirs = saved.theirs;
    if (!saved.answered) return;
    if (saved.connectedAt === null) this.#begin();
    else this.#repair.resume();
  }

  #begin() {
    this.answered = true;
    this.ringing = false;
    this.#begun = performance.now();
    if (this.connectedAt === null) this.#become("connecting");
    this.#repair.begin();
  }

  #media() {
    this.#firstMedia ??= performance.now() - this.#begun;
    this.emit("change", this);
  }

  #connected() {
    this.connectedAt ??= Date.now();
    this.#become("connected");
    this.#measuring ??= setInterval(() => void this.#measure(), MEASURE_EVERY);
  }

  async #measure() {
    if (!this.link) return;
    await this.quality.measure(this.link.pc);
    if (!this.live) return;
    if (!this.#reported && this.quality.pair !== null) {
      // When the other side hangs up it is too late to say anything.
      this.#reported = true;
      this.report();
    }
    this.emit("change", this);
  }

  /** @param {unknown} error */
  #misunderstood(error) {
    console.warn(`Call with ${this.peer}:`, error);
    if (this.connectedAt === null) this.fail("signalling");
  }

  /** @param {CallState} state */
  #become(state) {
    if (this.state === state || !this.live) return;
    this.state = state;
    this.emit("change", this);
  }
}
