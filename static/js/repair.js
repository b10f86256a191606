// Watches the connection of one call and mends it: 2 s after it broke it looks for a new way
// (ICE restart), every 5 s once more, at most five times, and gives up after half a minute.

import { Timers } from "./timers.js";

/** @typedef {import("./messages.js").Part} Part */
/** @typedef {import("./messages.js").ProgressState} ProgressState */
/** @typedef {import("./link.js").Link} Link */
/**
 * @typedef {object} RepairHearer
 * @property {(state: ProgressState, part?: Part) => void} progress  to be told, once each
 * @property {(state: "connected" | "reconnecting") => void} become
 * @property {(part: Part) => void} fail  it cannot be mended
 */

const RESTART_AFTER = 2_000;
const RESTART_EVERY = 5_000;
const MOST_RESTARTS = 5;
/** A little after the exchange should have given up. */
const GIVE_UP = 32_000;
/** How long setting up may take when the exchange says nothing about it. */
const SET_UP = 25_000;

export class Repair {
  /** ICE restarts in all of the call. */
  restarts = 0;
  /** Whether it was connected before. */
  was = false;
  #broken = false;
  #tries = 0;
  #said = "";
  #timers = new Timers();

  /**
   * @param {object} options
   * @param {boolean} options.canRestart  bots cannot restart ICE; then one can only wait
   * @param {RepairHearer} options.hearer
   */
  constructor({ canRestart, hearer }) {
    this.canRestart = canRestart;
    this.hearer = hearer;
  }

  /** The call was answered: from now on it must get connected. */
  begin() {
    this.#timers.set("set-up", SET_UP, () => this.hearer.fail("signalling"));
  }

  /** The page was loaded again in a connected call. */
  resume() {
    this.was = true;
    this.#lost(null);
  }

  /**
   * The connection's state changed.
   * @param {Link} link
   */
  look(link) {
    const { connectionState } = link.pc;
    if (connectionState === "connected") this.#connected();
    else if (!this.was && connectionState === "failed") this.hearer.fail(link.part);
    else if (!this.was && connectionState === "connecting") this.#say("connecting", link.part);
    else if (this.was && (connectionState === "disconnected" || connectionState === "failed")) {
      this.#lost(link);
    }
  }

  close() {
    this.#timers.close();
  }

  #connected() {
    for (const name of ["set-up", "give-up", "restart"]) this.#timers.cancel(name);
    this.was = true;
    this.#broken = false;
    this.#tries = 0;
    this.#say("connected");
    this.hearer.become("connected");
  }

  /** @param {Link | null} link */
  #lost(link) {
    if (this.#broken) return;
    this.#broken = true;
    this.#say("reconnecting");
    this.hearer.become("reconnecting");
    this.#timers.set("give-up", GIVE_UP, () => this.hearer.fail("ice"));
    if (link && this.canRestart) {
      this.#timers.set("restart", RESTART_AFTER, () => this.#restart(link));
    }
  }

  /** @param {Link} link */
  #restart(link) {
    this.#tries += 1;
    this.restarts += 1;
    link.restart();
    if (this.#tries < MOST_RESTARTS) {
      this.#timers.set("restart", RESTART_EVERY, () => this.#restart(link));
    }
  }

  /**
   * @param {ProgressState} state
   * @param {Part} [part]
   */
  #say(state, part) {
    const said = `${state} ${part ?? ""}`;
    if (said === this.#said) return;
    this.#said = said;
    this.hearer.progress(state, part);
  }
}
