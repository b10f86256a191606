// The one row of controls under a recording: play, position, volume.

import { announce } from "./announce.js";
import { duration, durationInWords, icon, make } from "./dom.js";

/** @typedef {import("./playback.js").Playback} Playback */

/** What the arrow keys move (s), and the keys for pages. */
const STEP = 5;
const PAGE = 30;
/** @type {Record<string, number>} */
const KEYS = {
  ArrowLeft: -STEP, ArrowDown: -STEP, ArrowRight: STEP, ArrowUp: STEP,
  PageDown: -PAGE, PageUp: PAGE,
};

export class PlayerControls {
  #toggle = make("button", { type: "button", class: "secondary play" });
  #seek = make("input", {
    type: "range", class: "seek", min: "0", step: "any", value: "0", "aria-label": "Position",
  });
  #time = make("span", { class: "time" });
  #mute = make("button", { type: "button", class: "quiet round" });
  #volume = make("input", {
    type: "range", class: "volume", min: "0", max: "100", step: "5", value: "100",
    "aria-label": "Volume",
  });
  #shown = "";
  #dragging = false;

  /** @param {Playback} playback */
  constructor(playback) {
    this.playback = playback;
    this.element = make("div", { class: "player-controls", role: "group", "aria-label": "Player" });
    this.element.append(this.#toggle, this.#seek, this.#time, this.#mute, this.#volume);
    this.#seek.max = String(playback.length);
    this.#toggle.addEventListener("click", () => this.#press());
    this.#mute.addEventListener("click", () => void (playback.muted = !playback.muted));
    this.#seek.addEventListener("input", () => {
      this.#dragging = true;
      this.#label(Number(this.#seek.value));
    });
    this.#seek.addEventListener("change", () => {
      this.#dragging = false;
      playback.seek(Number(this.#seek.value));
    });
    this.#seek.addEventListener("keydown", (event) => this.#key(event));
    this.#volume.addEventListener("input", () => {
      const volume = Number(this.#volume.value) / 100;
      playback.volume = volume;
      playback.muted = volume === 0;
    });
    playback.on("change", () => this.#show());
    this.#show();
  }

  #press() {
    const { playback } = this;
    if (playback.playing) playback.pause();
    else playback.play();
    announce(playback.playing ? "Playing" : "Paused");
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const { playback } = this;
    const step = KEYS[event.key];
    if (event.key === " ") this.#press();
    else if (event.key === "Home") playback.seek(0);
    else if (event.key === "End") playback.seek(playback.length);
    else if (step !== undefined) playback.seek(playback.at + step);
    else return;
    event.preventDefault();
  }

  #show() {
    const { playing, muted, waiting, at, volume } = this.playback;
    const shown = `${playing} ${muted}`;
    if (shown !== this.#shown) {
      this.#shown = shown;
      this.#toggle.replaceChildren(icon(playing ? "pause" : "play"), playing ? "Pause" : "Play");
      this.#mute.replaceChildren(icon(muted ? "volume-off" : "volume"));
      this.#mute.setAttribute("aria-label", muted ? "Sound on" : "Sound off");
    }
    this.element.classList.toggle("waiting", waiting);
    this.#volume.value = String(muted ? 0 : Math.round(volume * 100));
    if (this.#dragging) return;
    this.#seek.value = String(at);
    this.#label(at);
  }

  /** @param {number} at */
  #label(at) {
    const { length } = this.playback;
    const second = Math.floor(at + 0.05);
    const words = `${duration(second * 1000)} / ${duration(length * 1000)}`;
    if (this.#time.textContent === words) return;
    this.#time.textContent = words;
    const spoken = `${durationInWords(second * 1000)} of ${durationInWords(length * 1000)}`;
    this.#seek.setAttribute("aria-valuetext", spoken);
  }
}
