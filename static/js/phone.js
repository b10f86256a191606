// All calls of this page: placing, ringing, answering, a second caller, two who call each
// other at once, other windows of the same person, and going on after a reload.

import { Call } from "./call.js";
import { Emitter } from "./emitter.js";
import { RequestError, newId } from "./messages.js";

/** @typedef {import("./call.js").SavedCall} SavedCall */
/** @typedef {import("./local-media.js").LocalMedia} LocalMedia */
/** @typedef {import("./messages.js").ClientMessage} ClientMessage */
/** @typedef {import("./messages.js").Ended} Ended */
/** @typedef {import("./messages.js").Ring} Ring */
/** @typedef {import("./messages.js").Welcome} Welcome */
/** @typedef {import("./wire.js").Wire} Wire */
/** @typedef {{calls: SavedCall[], rings: Ring[]}} SavedPhone */
/**
 * `change`: something to show changed. `missed`: a caller gave up, or was answered in
 * another window (`words` says which). `ended`: a call of this page is over.
 * @typedef {{change: Phone, missed: {peer: string, words: string}, ended: Call}} PhoneEvents
 */

const HOLDER = "call";
/** How long (ms) the call that goes on after a glare may take to ring here. */
const GLARE_WAIT = 5_000;
const MOST_RINGS = 8;

/** Words for what the exchange answers to a call that cannot be placed. */
/** @type {Record<string, string>} */
const REFUSED = {
  offline: "You are not connected to the server. Try again in a moment.",
  in_call: "You are in another call. Hang that up first.",
};

/** @param {import("./messages.js").Media} media */
const told = ({ audio, video }) => `${audio} ${video}`;

/** @extends {Emitter<PhoneEvents>} */
export class Phone extends Emitter {
  /** The call of this page, also after its end until it is put away. @type {Call | null} */
  current = null;
  /** Who rings here, oldest first. @type {Map<string, Ring>} */
  rings = new Map();
  /** @type {Map<string, import("./messages.js").Candidate[]>} */
  #early = new Map();
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
        this.#tellMedia(mine);
      });
    });
    wire.on("description", ({ call, description }) => {
      this.#with(call, (mine) => mine.describe(description));
    });
    wire.on("candidate", ({ call, candidate }) => {
      if (this.rings.has(call) && candidate) this.#early.get(call)?.push(candidate);
      else this.#with(call, (mine) => mine.candidate(candidate));
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
    return this.rings.values().next().value ?? null;
  }

  /**
   * Call somebody.
   * @param {string} peer
   * @param {{video: boolean, bot?: boolean}} options
   */
  async call(peer, { video, bot = false }) {
    if (this.live) return;
    const call = this.#begin({ id: newId(), peer, bot, outgoing: true });
    if (this.wire.state !== "open") {
      call.finish("failed", REFUSED["offline"] ?? "");
      return;
    }
    await this.#openMedia(video);
    if (!call.live) return;
    try {
      const description = await call.offer();
      if (!call.live) return;
      const media = this.media.sends;
      call.saidMedia = told(media);
      const placed = this.wire.request(
        { type: "call", call: call.id, to: peer, media, description },
        { keep: true },
      );
      call.offered();
      await placed;
    } catch (error) {
      const code = error instanceof RequestError ? error.code : "";
      if (code === "call_exists") return;
      const words = error instanceof Error ? error.message : "";
      call.finish("failed", REFUSED[code] ?? words);
    }
  }

  /**
   * Answer who rings; a call that goes on is hung up first.
   * @param {string} id
   * @param {{video: boolean}} options
   */
  async answer(id, { video }) {
    const ring = this.rings.get(id);
    if (!ring) return;
    this.rings.delete(id);
    const early = this.#early.get(id) ?? [];
    this.#early.delete(id);
    const last = this.live;
    const { from: peer, bot = false } = ring;
    const call = this.#begin({ id, peer, bot, outgoing: false });
    call.theirMedia = ring.media;
    call.ring = ring;
    last?.hangUp("You hung up.");
    await this.#openMedia(video);
    if (!call.live) return;
    try {
      const description = await call.accept(ring.description);
      if (!call.live) return;
      const answered = this.wire.request({ type: "answer", call: id, description }, { keep: true });
      call.accepted(early);
      this.#tellMedia(call);
      await answered;
    } catch (error) {
      if (!call.live) return;
      const code = error instanceof RequestError ? error.code : "";
      const words = error instanceof Error ? error.message : "";
      if (code === "") call.fail("signalling");
      else call.finish("failed", words);
    }
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
    const rings = [...this.rings.values()];
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
    if (this.rings.size >= MOST_RINGS || this.rings.has(ring.call)) return;
    this.rings.set(ring.call, ring);
    this.#early.set(ring.call, []);
    if (ring.call === this.#winner) this.#answerWinner();
    else this.#changed();
  }

  /**
   * @param {string} id
   * @param {"answered" | "declined"} reason
   */
  #elsewhere(id, reason) {
    const ring = this.rings.get(id);
    const words = `You ${reason} this call in another window.`;
    this.#silence(id);
    if (ring) this.emit("missed", { peer: ring.from, words });
    this.#with(id, (mine) => mine.finish(null, words));
  }

  /** @param {Ended} ended */
  #ended({ call: id, reason, message, winner }) {
    const ring = this.rings.get(id);
    this.#silence(id);
    if (ring && reason !== "declined" && reason !== "glare") {
      const words = reason === "cancelled" || reason === "no_answer"
        ? `You missed a call from ${ring.from}.`
        : message;
      this.emit("missed", { peer: ring.from, words });
    }
    const mine = this.current?.id === id ? this.current : null;
    if (!mine) return;
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
    if (this.rings.has(winner)) return this.#answerWinner();
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
    const known = new Set(welcome.calls.map(({ call }) => call));
    const saved = this.#saved;
    this.#saved = null;
    if (saved && welcome.resumed) this.#restore(saved, known);
    if (asked && !welcome.resumed) this.#reconcileLost(known);
    for (const { call, state, outgoing } of welcome.calls) {
      const here = call === this.current?.id || this.rings.has(call);
      const ringsHere = !outgoing && (state === "ringing" || state === "calling");
      if (!here && !ringsHere) this.#tell({ type: "hangup", call });
    }
    this.#changed();
  }

  /** @param {Set<string>} known */
  #reconcileLost(known) {
    for (const [id, ring] of [...this.rings]) {
      if (known.has(id)) continue;
      this.#silence(id);
      this.emit("missed", { peer: ring.from, words: `You missed a call from ${ring.from}.` });
    }
    const call = this.live;
    if (!call || known.has(call.id) || (call.outgoing && !call.ringing && !call.answered)) return;
    this.wire.forget((message) => "call" in message && message.call === call.id);
    call.finish("lost", `The connection to ${call.peer} was lost.`);
  }

  /**
   * @param {SavedPhone} saved
   * @param {Set<string>} known
   */
  #restore(saved, known) {
    for (const ring of saved.rings) if (known.has(ring.call)) this.#ring(ring);
    const last = saved.calls[0];
    if (!last) return;
    const call = this.#begin(last);
    if (last.bot) {
      if (known.has(last.id)) this.#tell({ type: "hangup", call: last.id });
      call.finish("hangup", `Loading the page again ended the call with ${last.peer}.`);
    } else if (known.has(last.id)) {
      call.restore(last);
      void this.#rejoin(call, last);
    } else call.finish(null, "The call ended while this page was loading.");
  }

  /**
   * @param {Call} call
   * @param {SavedCall} saved
   */
  async #rejoin(call, saved) {
    await this.#openMedia(saved.camera);
    this.media.mute(saved.muted);
    if (!call.live) return;
    if (call.answered) call.rejoin();
    this.#tellMedia(call);
  }

  /** @param {boolean} video  without it the camera goes out, whoever else shows it */
  async #openMedia(video) {
    await this.media.open(HOLDER, { audio: true, video });
    if (!video && this.media.camera) await this.media.setCamera(HOLDER, false);
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
      if (call.answered) this.#tellMedia(call);
    }
    this.#changed();
  }

  /** @param {Call} call */
  #tellMedia(call) {
    const media = this.media.sends;
    if (!call.answered || call.saidMedia === told(media)) return;
    call.saidMedia = told(media);
    this.#tell({ type: "media", call: call.id, media });
  }

  /** @param {string} id */
  #silence(id) {
    this.#early.delete(id);
    if (this.rings.delete(id)) this.#changed();
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
