// Tones for what the telephone does, and who calls in the title of the page.

import { Tones } from "./tones.js";

/** @typedef {import("./phone.js").Phone} Phone */
/** @typedef {import("./tones.js").Tone} Tone */

export class CallSounds {
  #tones = new Tones();
  #title = "";
  /** The call whose ringing the person has silenced. */
  #quiet = "";

  /** @param {Phone} phone */
  constructor(phone) {
    this.phone = phone;
    phone.on("change", () => this.#sound());
    phone.on("ended", (call) => {
      const { reason } = call.end;
      if (call.answered && reason !== "glare") this.#end();
    });
    for (const event of ["pointerdown", "keydown"]) {
      document.addEventListener(event, () => this.#tones.unlock(), { capture: true });
    }
    document.addEventListener("ringback:silence", () => {
      this.#quiet = phone.ring?.call ?? "";
      this.#sound();
    });
  }

  #sound() {
    const { ring, live } = this.phone;
    const rings = ring && ring.call !== this.#quiet;
    /** @type {Tone | null} */
    let tone = null;
    if (rings) tone = live ? "waiting" : "ring";
    else if (live?.state === "calling" && live.ringing) tone = "ringback";
    if (tone !== null || this.#tones.playing !== "ended") this.#tones.play(tone);
    this.#entitle(ring ? `${ring.from} is calling` : "");
  }

  #end() {
    this.#tones.play("ended");
    setTimeout(() => {
      if (this.#tones.playing === "ended") this.#tones.play(null);
    }, 1500);
  }

  /** @param {string} words */
  #entitle(words) {
    if (words === this.#title) return;
    this.#title = words;
    document.dispatchEvent(new CustomEvent("ringback:title", { detail: words }));
  }
}
