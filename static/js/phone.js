// All calls of this page: placing, ringing, answering, a second caller, two who call each
// other at once, other windows of the same person, and going on after a reload.

import { Call } from "./call.js";
import { Emitter } from "./emitter.js";
import { HOLDER, openMedia, pickUp, place, tellMedia } from "./handshake.js";
import { newId } from "./messages.js";
import { reconcile } from "./reconcile.js";
import { Rings } from "./rings.js";

/** @typedef {import("./call.js").SavedCall} SavedCall */
/** @typedef {import("./local-media.js").LocalMedia} LocalMedia */
/** @typedef {import("./messages.js").ClientMessage} ClientMessage */
/** @typedef {import("./messages.js").Ended} Ended */
/** @typedef {import("./messages.js").Ring} Ring */
/** @typedef {import("./messages.js").Welcome} Welcome */
/** @typedef {import("./wire.js").Wire} Wire */
/** @typedef {import("./reconcile.js").SavedPhone} SavedPhone */
/**
 * `change`: something to show changed. `missed`: a caller gave up, or was answered in
 * another window (`words` says which). `ended`: a call of this page is over.
 * @typedef {{change: Phone, missed: {peer: string, words: string}, ended: Call}} PhoneEvents
 */

/** How long (ms) the call that goes on after a glare may take to ring here. */
const GLARE_WAIT = 5_000;

/** @param {string} peer */
const missedWords = (peer) => `You missed a call from ${peer}.`;

/** @extends {Emitter<PhoneEvents>} */
export class Phone extends Emitter {
  /** The call of this page, also after its end until it is put away. @type {Call | null} */
  current = null;
  /** Calls of this page that somebody else minds. @type {Set<string>} */
  besides = new Set();
  #rings = new Rings();
  #winner = "";
  /** @type {SavedPhone | null} */
  #saved;

  /**
   * @param {object} options
   * @param {Wire} options.wire
   * @param {LocalMedia} options.media
   * @param {SavedPhone | null} options.saved  calls of the page before a reload
   */
  constructor({ wire, media, saved }) {
    super();
    this.wire = wire;
    this.media = media;
    this.#saved = saved;
    media.on("change", () => this.#ownMediaChanged());
    wire.on("opened", ({ welcome, asked }) => this.#reconcile(welcome, asked));
    wire.on("ring", (ring) => this.#ring(ring));
    wire.on("elsewhere", ({ call, reason }) => this.#elsewhere(call, reason));
    wire.on("ended", (ended) => this.#ended(ended));
    wire.on("ringing", ({ call, waiting }) => {
      this.#with(call, (mine) => {
        mine.ringing = true;
        mine.waiting = waiting ?? false;
      });
    });
    wire.on("answered", ({ call, description }) => {
      this.#with(call, (mine) => {
        mine.settle(description);
        tellMedia(mine, this.media);
      });
    });
    wire.on("description", ({ call, description }) => {
      this.#with(call, (mine) => mine.describe(description));
    });
    wire.on("candidate", ({ call, candidate }) => {
      if (this.#rings.candidate(call, candidate)) return;
      this.#with(call, (mine) => mine.candidate(candidate));
    });
    wire.on("media", ({ call, media: theirs }) => {
      this.#with(call, (mine) => {
        mine.theirMedia = theirs;
      });
    });
  }

  /** The call that goes on now, if any. */
  get live() {
    return this.current?.live ? this.current : null;
  }

  /** Who rings and waits for an answer, first come first. @returns {Ring | null} */
  get ring() {
    return this.#rings.first;
  }

  /**
   * Call somebody.
   * @param {string} peer
   * @param {{video: boolean, bot?: boolean, consent?: string}} options  `consent`: the version
   *   of the text that calling the recorder agrees to
   */
  async call(peer, { video, bot = false, consent = "" }) {
    if (this.live) return;
    const call = this.#begin({ id: newId(), peer, bot, outgoing: true });
    call.consent = consent;
    await place(call, { wire: this.wire, media: this.media, video });
  }

  /**
   * Answer who rings; a call that goes on is hung up first.
   * @param {string} id
   * @param {{video: boolean}} options
   */
  async answer(id, { video }) {
    const ringing = this.#rings.take(id);
    if (!ringing) return;
    const { ring, early } = ringing;
    const last = this.live;
    const { from: peer, bot = false } = ring;
    const call = this.#begin({ id, peer, bot, outgoing: false });
    call.theirMedia = ring.media;
    call.ring = ring;
    last?.hangUp("You hung up.");
    await pickUp(call, { wire: this.wire, media: this.media, video, early });
  }

  /**
   * Refuse who rings.
   * @param {string} id
   */
  decline(id) {
    this.#silence(id);
    this.#tell({ type: "decline", call: id });
  }

  /** End the call that goes on. */
  hangUp() {
    const call = this.live;
    if (call) call.hangUp(call.answered ? "You hung up." : "You cancelled the call.");
  }

  /** Put the ended call away. */
  dismiss() {
    if (this.live) return;
    this.current = null;
    this.#changed();
  }

  /** Call the same person once more. */
  again() {
    const last = this.current;
    if (!last || last.live) return;
    void this.call(last.peer, { video: last.video, bot: last.bot });
  }

  /**
   * What the page after a reload needs.
   * @returns {SavedPhone}
   */
  save() {
    const own = { muted: this.media.muted, camera: this.media.camera !== null };
    const unanswered = this.live && !this.live.outgoing && !this.live.answered && this.live.ring;
    const rings = this.#rings.all();
    if (unanswered) return { calls: [], rings: [unanswered, ...rings] };
    return { calls: this.live ? [this.live.save(own)] : [], rings };
  }

  /**
   * @param {{id: string, peer: string, bot: boolean, outgoing: boolean}} options
   * @returns {Call}
   */
  #begin(options) {
    const call = new Call({
      ...options,
      tell: (message) => this.#tell(message),
      iceServers: () => this.wire.welcome?.ice_servers ?? [],
      tracks: () => ({ audio: this.media.audio, video: this.media.video }),
    });
    this.current = call;
    call.on("change", () => this.#changed());
    call.on("ended", () => {
      call.video = this.media.camera !== null;
      if (this.current === call && !this.#winner) this.#rest();
      this.emit("ended", call);
    });
    this.#changed();
    return call;
  }

  /** @param {Ring} ring */
  #ring(ring) {
    if (!this.#rings.add(ring)) return;
    if (ring.call === this.#winner) this.#answerWinner();
    else this.#changed();
  }

  /**
   * @param {string} id
   * @param {"answered" | "declined"} reason
   */
  #elsewhere(id, reason) {
    const words = `You ${reason} this call in another window.`;
    const ring = this.#silence(id);
    if (ring) this.emit("missed", { peer: ring.from, words });
    this.#with(id, (mine) => mine.finish(null, words));
  }

  /** @param {Ended} ended */
  #ended({ call: id, reason, message, winner, voicemail = false }) {
    const ring = this.#silence(id);
    if (ring && reason !== "declined" && reason !== "glare") {
      const missed = reason === "cancelled" || reason === "no_answer";
      const words = missed ? missedWords(ring.from) : message;
      this.emit("missed", { peer: ring.from, words });
    }
    const mine = this.current?.id === id ? this.current : null;
    if (!mine) return;
    mine.voicemail = voicemail;
    if (reason === "glare" && winner && mine.live) this.#lostGlare(mine, winner, message);
    else if (mine.live) mine.finish(reason, message);
    else if (mine.end.reason === null) mine.finish(reason, message);
  }

  /**
   * Both called each other: theirs goes on, and is answered without asking again.
   * @param {Call} mine
   * @param {string} winner
   * @param {string} words
   */
  #lostGlare(mine, winner, words) {
    this.#winner = winner;
    mine.finish("glare", words);
    if (this.#rings.has(winner)) return this.#answerWinner();
    setTimeout(() => {
      if (this.#winner !== winner) return;
      this.#winner = "";
      this.#rest();
      this.#changed();
    }, GLARE_WAIT);
  }

  #answerWinner() {
    const id = this.#winner;
    this.#winner = "";
    void this.answer(id, { video: this.media.camera !== null });
  }

  /** Whether a lost glare is about to go on with the other side's call. */
  get joining() {
    return this.#winner !== "";
  }

  /**
   * After a break: what the exchange does not know any more is over. After a reload: what it
   * still knows goes on here.
   * @param {Welcome} welcome
   * @param {boolean} asked
   */
  #reconcile(welcome, asked) {
    const { live } = this;
    const placed = live !== null && (!live.outgoing || live.ringing || live.answered);
    const rings = this.#rings.all().map(({ call }) => call);
    const answered = live?.answered ?? false;
    const here = { live: live && { id: live.id, placed, answered }, rings };
    const plan = reconcile(welcome, asked, here, this.#saved);
    this.#saved = null;
    for (const ring of plan.rings) this.#ring(ring);
    for (const id of plan.missed) {
      const peer = this.#silence(id)?.from ?? "";
      this.emit("missed", { peer, words: missedWords(peer) });
    }
    if (live && plan.lost) {
      this.wire.forget((message) => "call" in message && message.call === live.id);
      live.finish("lost", `The connection to ${live.peer} was lost.`);
    }
    if (plan.call) this.#restore(plan.call.saved, plan.call.fate);
    for (const call of plan.hangUp) {
      if (!this.besides.has(call)) this.#tell({ type: "hangup", call });
    }
    this.#changed();
  }

  /**
   * @param {SavedCall} saved
   * @param {"rejoin" | "over" | "bot"} fate
   */
  #restore(saved, fate) {
    const call = this.#begin(saved);
    if (fate === "bot") {
      call.finish("hangup", `Loading the page again ended the call with ${saved.peer}.`);
    } else if (fate === "over") call.finish(null, "The call ended while this page was loading.");
    else {
      call.restore(saved);
      void this.#rejoin(call, saved);
      return;
    }
    call.video = saved.camera;
  }

  /**
   * @param {Call} call
   * @param {SavedCall} saved
   */
  async #rejoin(call, saved) {
    await openMedia(this.media, saved.camera);
    this.media.mute(saved.muted);
    if (!call.live) return;
    if (call.answered) call.rejoin();
    tellMedia(call, this.media);
  }

  #rest() {
    if (this.media.screen) this.media.unshare();
    if (this.media.muted) this.media.mute(false);
    this.media.release(HOLDER);
  }

  #ownMediaChanged() {
    const call = this.live;
    if (call) {
      call.refreshTracks();
      tellMedia(call, this.media);
    }
    this.#changed();
  }

  /**
   * It rings no longer; who it was, if it did.
   * @param {string} id
   */
  #silence(id) {
    const ring = this.#rings.take(id)?.ring ?? null;
    if (ring) this.#changed();
    return ring;
  }

  /**
   * @param {string} id
   * @param {(call: Call) => void} act
   */
  #with(id, act) {
    if (this.live?.id !== id) return;
    act(this.live);
    this.#changed();
  }

  /** @param {ClientMessage} message */
  #tell(message) {
    this.wire.tell(message, { keep: true });
  }

  #changed() {
    this.emit("change", this);
  }
}
