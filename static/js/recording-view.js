// What a call shows of its recording: the question, the mark that never goes out of sight, and
// a panel with who is in the call and what one can do.

import { announce } from "./announce.js";
import { find } from "./dom.js";

/** @typedef {import("./call-recording.js").CallRecording} CallRecording */

/** Words about a recording stay this long (ms) over the stage. */
const NEWS_STAY = 10_000;
/** What the mark says; always in words beside its colour. */
const MARKS = { off: "", asked: "Asking…", starting: "Recording soon", on: "Recording", paused: "Paused" };

/** @param {string} id */
const part = (id) => find(`#${id}`, HTMLElement);
/** @param {string} id */
const button = (id) => find(`#${id}`, HTMLButtonElement);

export class RecordingView {
  #mark = button("recording-mark");
  #panel = part("recording-panel");
  #question = part("recording-question");
  #record = button("record");
  #asking = part("record-asking");
  #news = part("recording-news");
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #fade;

  /**
   * @param {CallRecording} recording
   * @param {() => void} closeMenus  close what else is open above the stage
   */
  constructor(recording, closeMenus) {
    this.recording = recording;
    const { phone } = recording;
    /** @type {(id: string, act: () => unknown) => void} */
    const press = (id, act) => part(id).addEventListener("click", () => void act());
    press("recording-mark", () => this.#toggle(this.#panel.hidden === true));
    press("record", () => {
      closeMenus();
      this.#asking.hidden = false;
      part("record-ask").focus();
    });
    press("record-ask", () => {
      this.#closeAsking();
      return recording.ask();
    });
    press("record-not", () => this.#closeAsking());
    press("recording-agree", () => recording.agree(true));
    press("recording-decline", () => recording.agree(false));
    press("recording-look", () => find("#grow", HTMLElement).click());
    press("recording-pause", () => {
      return recording.state === "paused" ? recording.resume() : recording.pause();
    });
    press("recording-stop", () => recording.stop());
    press("recording-withdraw", () => recording.agree(false));
    recording.on("news", (words) => this.#tell(words));
    recording.on("change", () => this.show());
    phone.on("change", () => this.show());
  }

  /** Close what is open; false when nothing was. */
  close() {
    if (!this.#asking.hidden) {
      this.#closeAsking();
      return true;
    }
    if (this.#panel.hidden) return false;
    this.#toggle(false);
    return true;
  }

  show() {
    const { recording } = this;
    const { state, question, running, asking, words, phone } = recording;
    const live = phone.live !== null;
    const shown = live && (running || asking);
    this.#mark.hidden = !shown;
    this.#mark.dataset["state"] = state;
    const mark = part("recording-mark-text");
    if (mark.textContent !== MARKS[state]) mark.textContent = MARKS[state];
    if (!shown) this.#toggle(false);
    if (!recording.possible || state !== "off") this.#asking.hidden = true;
    this.#record.hidden = !recording.possible || state !== "off";
    const peer = phone.live?.peer ?? "";
    for (const place of this.#panel.ownerDocument.querySelectorAll("[data-recording-peer]")) {
      if (place.textContent !== peer) place.textContent = peer;
    }
    part("recording-people").hidden = !running;
    part("recording-third").hidden = !running || phone.live?.bot === true;
    part("recording-words").textContent = words;
    part("recording-pause").hidden = !running;
    part("recording-pause-text").textContent = state === "paused" ? "Go on" : "Pause";
    part("recording-withdraw").hidden = !running || phone.live?.bot === true;
    part("recording-stop-text").textContent = asking ? "Ask no longer" : "Stop";
    this.#ask(live ? question : null);
    part("recorded").hidden = live || !phone.current || !recording.was(phone.current.id);
  }

  /** @param {import("./call-recording.js").Question | null} question */
  #ask(question) {
    this.#question.hidden = question === null;
    if (!question) return;
    part("recording-asker").textContent = question.from;
    part("recording-text").textContent = question.text;
  }

  #closeAsking() {
    this.#asking.hidden = true;
    find("#more", HTMLElement).focus();
  }

  /** @param {boolean} open */
  #toggle(open) {
    if (this.#panel.hidden === !open) return;
    const inside = this.#panel.contains(document.activeElement);
    this.#panel.hidden = !open;
    this.#mark.setAttribute("aria-expanded", String(open));
    if (!open && inside && !this.#mark.hidden) this.#mark.focus();
  }

  /** @param {string} words */
  #tell(words) {
    announce(words);
    this.#news.textContent = words;
    this.#news.hidden = this.recording.question !== null;
    clearTimeout(this.#fade);
    this.#fade = setTimeout(() => void (this.#news.hidden = true), NEWS_STAY);
  }
}
