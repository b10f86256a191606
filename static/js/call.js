// One call of this page: its peer connection, how far it is, and how it comes back when the
// connection breaks. Knows the wire, but neither the page nor the other calls.

import { Emitter } from "./emitter.js";
import { Link, fingerprint } from "./link.js";
import { Quality } from "./quality.js";
import { Repair } from "./repair.js";

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
/** Candidates that may wait until this side has answered. */
const MOST_EARLY = 64;

/** @extends {Emitter<{change: Call, ended: Call}>} */
export class Call extends Emitter {
  /** @type {CallState} */
  state;
  ringing = false;
  /** The other side is in another call; their telephone rings softly. */
  waiting = false;
  /** @type {Media} */
  theirMedia = { audio: true, video: true };
  /** @type {number | null} ms since 1970 */
  connectedAt = null;
  /** @type {number | null} */
  endedAt = null;
  /** @type {End} */
  end = { reason: null, words: "" };
  /** Whether the other side answered, or this side did. */
  answered = false;
  quality = new Quality();
  /** @type {Link | null} */
  link = null;
  /** The ring that was answered. @type {import("./messages.js").Ring | null} */
  ring = null;
  /** What the other side was told last of this side's sound and picture. */
  saidMedia = "";
  /** Whether the own camera was on at the end. */
  video = true;
  #knownTheirs = "";
  #rejoining = false;
  #begun = 0;
  #reported = false;
  /** @type {number | null} */
  #firstMedia = null;
  /** @type {Candidate[]} */
  #early = [];
  /** @type {Promise<void>} */
  #turn = Promise.resolve();
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #measuring;
  #repair;

  /**
   * @param {object} options
   * @param {string} options.id
   * @param {string} options.peer
   * @param {boolean} options.bot
   * @param {boolean} options.outgoing
   * @param {(message: ClientMessage) => void} options.tell
   * @param {() => IceServer[]} options.iceServers
   * @param {() => Tracks} options.tracks
   */
  constructor({ id, peer, bot, outgoing, tell, iceServers, tracks }) {
    super();
    this.id = id;
    this.peer = peer;
    this.bot = bot;
    this.outgoing = outgoing;
    this.tell = tell;
    this.iceServers = iceServers;
    this.tracks = tracks;
    this.state = outgoing ? "calling" : "connecting";
    this.#repair = new Repair({
      canRestart: !bot,
      hearer: {
        progress: (state, part) =>
          this.tell({ type: "progress", call: this.id, state, ...(part ? { part } : {}) }),
        become: (state) => (state === "connected" ? this.#connected() : this.#become(state)),
        fail: (part) => this.fail(part),
      },
    });
  }

  get live() {
    return this.state !== "ended";
  }

  get remote() {
    return this.link?.remote ?? null;
  }

  /** The caller's first offer. */
  offer() {
    return this.#newLink().offer();
  }

  /** The offer is on its way: candidates may follow. */
  offered() {
    this.link?.release();
  }

  /**
   * The callee's answer to the caller's offer.
   * @param {Description} offer
   */
  accept(offer) {
    return this.#newLink().accept(offer);
  }

  /**
   * The answer is on its way: candidates may follow.
   * @param {Candidate[]} early  of the other side, from while it rang
   */
  accepted(early) {
    this.answered = true;
    this.#connecting();
    if (this.link) this.#repair.look(this.link);
    this.link?.release();
    for (const candidate of [...early, ...this.#early.splice(0)]) this.candidate(candidate);
  }

  /**
   * They answered. After a reload there is nothing here that could take it: then a new offer
   * goes out instead.
   * @param {Description} description
   */
  settle(description) {
    this.answered = true;
    this.#connecting();
    if (!this.link) return this.rejoin();
    this.#inTurn(async () => this.link?.hear(description));
  }

  /** Build the connection anew with a fresh offer, in a call answered long ago. */
  rejoin() {
    this.#rejoining = true;
    this.#inTurn(async () => {
      const link = this.#newLink();
      const description = await link.offer();
      if (this.link !== link || !this.live) return;
      this.tell({ type: "description", call: this.id, description });
      link.release();
    });
  }

  /**
   * The other side negotiates.
   * @param {Description} description
   */
  describe(description) {
    this.#inTurn(async () => {
      const theirs = fingerprint(description.sdp);
      if (description.type === "answer") {
        if (this.link?.fresh) this.#rejoining = false;
        this.#knownTheirs = theirs;
        await this.link?.hear(description);
        return;
      }
      const anew = theirs !== (this.link?.theirs || this.#knownTheirs);
      if (this.#rejoining && (!anew || this.outgoing)) return;
      this.#knownTheirs = theirs;
      if (!anew && this.link) await this.link.hear(description);
      else await this.#replaceLink(description);
    });
  }

  /** @param {Candidate | null} candidate */
  candidate(candidate) {
    if (!this.answered && !this.outgoing) {
      if (candidate && this.#early.length < MOST_EARLY) this.#early.push(candidate);
    } else this.#inTurn(async () => this.link?.candidate(candidate));
  }

  /** Send the page's tracks as they are now. */
  refreshTracks() {
    const { audio, video } = this.tracks();
    this.#inTurn(async () => {
      await this.link?.send("audio", audio);
      await this.link?.send("video", video);
    });
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
    const was = this.connectedAt !== null;
    this.finish(
      was ? "lost" : "failed",
      was
        ? `The connection to ${this.peer} was lost.`
        : `The call to ${this.peer} could not be connected.`,
    );
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
      this.link?.close();
      this.link = null;
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
    const theirs = this.link?.theirs || this.#knownTheirs;
    return { id, peer, bot, outgoing, answered, connectedAt, theirs, theirMedia, muted, camera };
  }

  /** @param {SavedCall} saved */
  restore(saved) {
    this.answered = saved.answered;
    this.connectedAt = saved.connectedAt;
    this.theirMedia = saved.theirMedia;
    this.#knownTheirs = saved.theirs;
    if (!saved.answered) return;
    if (saved.connectedAt === null) this.#connecting();
    else this.#repair.resume();
  }

  /** @returns {Link} */
  #newLink() {
    this.link?.close();
    const link = new Link({
      iceServers: this.iceServers(),
      polite: !this.outgoing,
      tracks: this.tracks(),
      hearer: {
        describe: (description) => this.tell({ type: "description", call: this.id, description }),
        candidate: (candidate) => this.tell({ type: "candidate", call: this.id, candidate }),
        state: (from) => {
          if (from === this.link && this.answered) this.#repair.look(from);
        },
        track: (from) => from === this.link && this.emit("change", this),
        media: (from) => from === this.link && this.#media(),
      },
    });
    this.link = link;
    return link;
  }

  /** @param {Description} offer */
  async #replaceLink(offer) {
    this.#rejoining = false;
    const link = this.#newLink();
    const description = await link.accept(offer);
    if (this.link !== link || !this.live) return;
    this.tell({ type: "description", call: this.id, description });
    link.release();
    this.emit("change", this);
  }

  #connecting() {
    this.#begun = performance.now();
    this.ringing = false;
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

  /** @param {CallState} state */
  #become(state) {
    if (this.state === state || !this.live) return;
    this.state = state;
    this.emit("change", this);
  }

  /**
   * What is said about the connection is done one by one, in the order it was said.
   * @param {() => Promise<void>} work
   */
  #inTurn(work) {
    this.#turn = this.#turn.then(work).catch((error) => {
      if (!this.live) return;
      console.warn(`Call with ${this.peer}:`, error);
      if (this.connectedAt === null) this.fail("signalling");
    });
  }
}
