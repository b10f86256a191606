// Leaving a message, or recording one's greeting, as people see it. Everything shown follows
// from the state of the call to voicemail, in `#show`.

import { announce } from "./announce.js";
import { duration, durationInWords, find } from "./dom.js";
import { Level } from "./level.js";

/** @typedef {import("./phone.js").Phone} Phone */
/** @typedef {import("./voicemail-call.js").Do} Do */
/** @typedef {import("./voicemail-call.js").VoicemailCall} VoicemailCall */
/** @typedef {import("./voicemail-call.js").VoicemailState} VoicemailState */

/** What can be done in which state, the first of it with the focus. */
/** @type {Partial<Record<VoicemailState, Do[]>>} */
const ACTS = {
  connecting: ["discard"],
  greeting: ["stop", "discard"],
  recording: ["stop", "discard"],
  recorded: ["send", "listen", "redo", "discard"],
  too_short: ["redo", "discard"],
  playing: ["stop", "send", "redo", "discard"],
};
const OVER = new Set(["sent", "discarded", "failed", "over"]);
const TIMED = new Set(["recording", "recorded", "playing"]);

/** @param {string} id */
const part = (id) => find(`#${id}`, HTMLElement);

export class VoicemailView {
  #dialogue = find("#voicemail", HTMLDialogElement);
  #progress = find("#voicemail-progress", HTMLProgressElement);
  #audio = find("#voicemail-audio", HTMLAudioElement);
  #time = part("voicemail-time");
  #level = new Level(part("voicemail-level"));
  /** @type {VoicemailState} */
  #shown = "idle";

  /**
   * @param {VoicemailCall} call
   * @param {Phone} phone
   */
  constructor(call, phone) {
    this.call = call;
    call.on("change", () => this.#show());
    setInterval(() => this.#tick(), 250);
    part("leave-message").addEventListener("click", () => {
      const missed = phone.current;
      if (!missed || missed.live) return;
      phone.dismiss();
      call.leave(missed.peer, missed.id);
    });
    for (const button of this.#dialogue.querySelectorAll("[data-do]")) {
      const what = /** @type {Do} */ (button.getAttribute("data-do"));
      button.addEventListener("click", () => call.say(what));
    }
    part("voicemail-again").addEventListener("click", () => call.again());
    part("voicemail-back").addEventListener("click", () => call.dismiss());
    this.#dialogue.addEventListener("cancel", (event) => {
      event.preventDefault();
      this.#escape();
    });
  }

  /** Escape never sends or throws away anything. */
  #escape() {
    const { state } = this.call;
    if (OVER.has(state)) this.call.dismiss();
    else if (state === "recording" || state === "playing") this.call.say("stop");
  }

  #show() {
    const { state, remote, problem, retry } = this.call;
    if (this.#audio.srcObject !== remote) this.#audio.srcObject = remote;
    this.#tick();
    this.#level.listen(state === "recording" ? this.call.media.audio : null);
    if (state === this.#shown) return;
    this.#shown = state;
    this.#dialogue.dataset["voicemailState"] = state;
    if (state === "idle") return this.#dialogue.close();
    if (!this.#dialogue.open) this.#dialogue.showModal();
    const { peer } = this.call;
    part("voicemail-title").textContent = peer ? `A message for ${peer}` : "Your greeting";
    const words = this.#words();
    part("voicemail-status").textContent = words;
    part("voicemail-problem").textContent = problem;
    part("voicemail-problem").hidden = problem === "";
    this.#buttons(state);
    part("voicemail-again").hidden = !(OVER.has(state) && retry);
    part("voicemail-back").hidden = !OVER.has(state);
    this.#focus(state);
    // Words in the microphone's way are as bad as noise: what is said there is short.
    announce([problem, words].filter(Boolean).join(" "));
  }

  /** @returns {string} */
  #words() {
    const { state, peer, seconds, problem } = this.call;
    const long = durationInWords(Math.floor(seconds) * 1000);
    switch (state) {
      case "connecting":
        return "Connecting…";
      case "greeting":
        return `This is the greeting of ${peer}. Speak after the tone.`;
      case "recording":
        return "Speak now.";
      case "recorded":
        return `Recorded, ${long}.`;
      case "too_short":
        return `That was too short to be a ${peer ? "message" : "greeting"}.`;
      case "playing":
        return peer ? "This is your message." : "This is your greeting.";
      case "sent":
        return peer ? `Your message is sent to ${peer}.` : "Your greeting is saved.";
      case "discarded":
        return peer ? "Nothing was sent." : "Nothing was saved.";
      case "failed":
        return "It could not be kept. Try again later.";
      default:
        if (problem) return "";
        if (!this.call.said) return `The call to voicemail is over. Nothing was ${peer ? "sent" : "saved"}.`;
        return "The call to voicemail is over. What you said until then is kept.";
    }
  }

  /** @param {VoicemailState} state */
  #buttons(state) {
    const acts = ACTS[state] ?? [];
    for (const button of this.#dialogue.querySelectorAll("[data-do]")) {
      const what = /** @type {Do} */ (button.getAttribute("data-do"));
      if (button instanceof HTMLElement) button.hidden = !acts.includes(what);
    }
    const text = (/** @type {Do} */ what) => find(`[data-do=${what}] span`, HTMLElement, this.#dialogue);
    const stop = find("[data-do=stop]", HTMLElement, this.#dialogue);
    stop.classList.toggle("hang-red", state !== "greeting");
    text("stop").textContent = state === "greeting" ? "Skip to the tone" : "Stop";
    text("send").textContent = this.call.peer ? "Send" : "Save";
    text("discard").textContent = state === "connecting" ? "Cancel" : "Discard";
  }

  /** @param {VoicemailState} state */
  #focus(state) {
    const first = ACTS[state]?.[0];
    const place = first ? `[data-do=${first}]` : "#voicemail-back";
    find(place, HTMLElement, this.#dialogue).focus();
  }

  #tick() {
    const { state, seconds, most, since } = this.call;
    const timed = TIMED.has(state);
    this.#time.hidden = this.#progress.hidden = !timed;
    if (!timed) return;
    // What is recorded is what the bot has, however long one has spoken.
    const playing = state === "playing";
    const now = playing ? Math.min((Date.now() - since) / 1000, seconds) : seconds;
    const of = playing ? seconds : most;
    this.#progress.max = Math.max(1, of);
    this.#progress.value = now;
    this.#time.textContent = `${duration(now * 1000)} of ${duration(of * 1000)}`;
  }
}
