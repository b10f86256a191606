// Who rings at this page, oldest first, with the candidates that came while it rang.

/** @typedef {import("./messages.js").Candidate} Candidate */
/** @typedef {import("./messages.js").Ring} Ring */
/** @typedef {{ring: Ring, early: (Candidate | null)[]}} Ringing */

const MOST = 8;
const MOST_EARLY = 64;

export class Rings {
  /** @type {Map<string, Ringing>} */
  #rings = new Map();

  /** First come, first shown. @returns {Ring | null} */
  get first() {
    return this.#rings.values().next().value?.ring ?? null;
  }

  /** @returns {Ring[]} */
  all() {
    return [...this.#rings.values()].map(({ ring }) => ring);
  }

  /** @param {string} id */
  has(id) {
    return this.#rings.has(id);
  }

  /**
   * False when it rings already, or too many do.
   * @param {Ring} ring
   */
  add(ring) {
    if (this.#rings.size >= MOST || this.#rings.has(ring.call)) return false;
    this.#rings.set(ring.call, { ring, early: [] });
    return true;
  }

  /**
   * Take one out, to answer it or because it is over.
   * @param {string} id
   * @returns {Ringing | null}
   */
  take(id) {
    const ringing = this.#rings.get(id) ?? null;
    this.#rings.delete(id);
    return ringing;
  }

  /**
   * Keep a candidate of a call that rings; false when none of this id does.
   * @param {string} id
   * @param {Candidate | null} candidate
   */
  candidate(id, candidate) {
    const ringing = this.#rings.get(id);
    if (ringing && ringing.early.length < MOST_EARLY) ringing.early.push(candidate);
    return ringing !== undefined;
  }
}
