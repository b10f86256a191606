// What the two sides of one call say about their connection, in order: the first offer and
// answer, perfect negotiation after it, and a whole new connection when a page was reloaded.

import { Link, fingerprint } from "./link.js";

/** @typedef {import("./link.js").LinkHearer} LinkHearer */
/** @typedef {import("./link.js").Tracks} Tracks */
/** @typedef {import("./messages.js").Candidate} Candidate */
/** @typedef {import("./messages.js").Description} Description */
/** @typedef {import("./messages.js").IceServer} IceServer */
/**
 * @typedef {object} SignallingHearer
 * @property {(description: Description) => void} describe  to be sent to the other side
 * @property {(candidate: Candidate | null) => void} candidate  to be sent to the other side
 * @property {(link: Link) => void} state  the connection's state changed
 * @property {() => void} track  there is another remote track or stream
 * @property {() => void} media  the first sound or picture arrives
 * @property {(error: unknown) => void} failed  what was said could not be used
 */

/** Candidates that may wait until this side has answered. */
const MOST_EARLY = 64;

export class Signalling {
  /** @type {Link | null} */
  link = null;
  /** The other side's fingerprint from before this page was loaded. */
  knownTheirs = "";
  /** A fresh offer of ours waits for its answer. */
  #rejoining = false;
  /** Until this side has answered, candidates of the caller wait. */
  #waiting;
  /** @type {(Candidate | null)[]} */
  #early = [];
  #closed = false;
  /** @type {Promise<void>} */
  #turn = Promise.resolve();

  /**
   * @param {object} options
   * @param {boolean} options.outgoing  whether this side called; then it does not give way
   * @param {() => IceServer[]} options.iceServers
   * @param {() => Tracks} options.tracks
   * @param {SignallingHearer} options.hearer
   * @param {string} [options.channel]  see `Link`
   */
  constructor({ outgoing, iceServers, tracks, hearer, channel = "" }) {
    this.channel = channel;
    this.outgoing = outgoing;
    this.iceServers = iceServers;
    this.tracks = tracks;
    this.hearer = hearer;
    this.#waiting = !outgoing;
  }

  /** The other side's fingerprint, empty before it said anything. */
  get theirs() {
    return this.link?.theirs || this.knownTheirs;
  }

  /** The caller's first offer. */
  offer() {
    return this.#newLink().offer();
  }

  /**
   * The callee's answer to it.
   * @param {Description} offer
   */
  accept(offer) {
    return this.#newLink().accept(offer);
  }

  /**
   * The offer or answer is on its way: candidates may follow, both ways.
   * @param {(Candidate | null)[]} [early]  of the other side, from while it rang
   */
  release(early = []) {
    this.link?.release();
    this.#waiting = false;
    for (const candidate of [...early, ...this.#early.splice(0)]) this.candidate(candidate);
  }

  /**
   * The answer to the first offer. After a reload there is nothing that could take it: then
   * a new offer goes out instead.
   * @param {Description} answer
   */
  settle(answer) {
    if (!this.link) return this.rejoin();
    this.#inTurn(async () => this.link?.hear(answer));
  }

  /** Build the connection anew with a fresh offer, in a call answered long ago. */
  rejoin() {
    this.#rejoining = true;
    this.#waiting = false;
    this.#inTurn(async () => {
      const link = this.#newLink();
      const description = await link.offer();
      if (this.link !== link) return;
      this.hearer.describe(description);
      link.release();
    });
  }

  /**
   * The other side negotiates. An offer under a new fingerprint means that their page was
   * loaded again. When both were, the caller's offer goes on and the callee's gives way.
   * @param {Description} description
   */
  describe(description) {
    this.#inTurn(async () => {
      const theirs = fingerprint(description.sdp);
      const anew = theirs !== this.theirs;
      if (description.type === "answer") {
        if (this.link?.fresh) this.#rejoining = false;
      } else if (this.#rejoining && (!anew || this.outgoing)) return;
      this.knownTheirs = theirs;
      const replace = description.type === "offer" && (anew || !this.link);
      if (replace) await this.#replaceLink(description);
      else await this.link?.hear(description);
    });
  }

  /** @param {Candidate | null} candidate */
  candidate(candidate) {
    if (this.#waiting) {
      if (this.#early.length < MOST_EARLY) this.#early.push(candidate);
    } else this.#inTurn(async () => this.link?.candidate(candidate));
  }

  /** Send the page's tracks as they are now. */
  refreshTracks() {
    this.#inTurn(async () => {
      const { audio, video } = this.tracks();
      await this.link?.send("audio", audio);
      await this.link?.send("video", video);
    });
  }

  close() {
    this.#closed = true;
    this.link?.close();
    this.link = null;
  }

  /** @param {Description} offer */
  async #replaceLink(offer) {
    this.#rejoining = false;
    const link = this.#newLink();
    const description = await link.accept(offer);
    if (this.link !== link) return;
    this.hearer.describe(description);
    link.release();
    this.hearer.track();
  }

  /** @returns {Link} */
  #newLink() {
    if (this.#closed) throw new Error("The call is over.");
    this.link?.close();
    const { describe, candidate, state, track, media } = this.hearer;
    const link = new Link({
      iceServers: this.iceServers(),
      polite: !this.outgoing,
      tracks: this.tracks(),
      channel: this.channel,
      hearer: {
        describe,
        candidate,
        state: (from) => void (from === this.link && state(from)),
        track: (from) => void (from === this.link && track()),
        media: (from) => void (from === this.link && media()),
      },
    });
    this.link = link;
    return link;
  }

  /**
   * What is said is done one by one, in the order in which it was said.
   * @param {() => Promise<void>} work
   */
  #inTurn(work) {
    this.#turn = this.#turn
      .then(() => (this.#closed ? undefined : work()))
      .catch((error) => {
        if (!this.#closed) this.hearer.failed(error);
      });
  }
}
