// The row of controls in a call: microphone, camera, screen, devices, quality, hang up.

import { announce } from "./announce.js";
import { DeviceChoice } from "./device-choice.js";
import { find, make } from "./dom.js";
import { canShare, explain } from "./media-devices.js";
import { GRADES } from "./quality.js";

/** @typedef {import("./local-media.js").LocalMedia} LocalMedia */
/** @typedef {import("./phone.js").Phone} Phone */

/** Controls go out of sight after this much quiet (ms) of the mouse. */
const FADE_AFTER = 3_000;
/** Words about devices stay this long (ms) over the stage. */
const WORDS_STAY = 15_000;

/** @param {string} id */
const button = (id) => find(`#${id}`, HTMLButtonElement);

export class StageControls {
  #mute = button("mute");
  #camera = button("camera-off");
  #share = button("share");
  #more = button("more");
  #quality = button("quality");
  #menu = find("#more-menu", HTMLElement);
  #words = find("#quality-words", HTMLElement);
  #problems = find("#phone-problems", HTMLElement);
  #stage = find("#stage", HTMLElement);
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #fade;
  #explained = "";
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #unexplain;

  /**
   * @param {Phone} phone
   * @param {LocalMedia} media
   */
  constructor(phone, media) {
    this.phone = phone;
    this.media = media;
    this.#share.hidden = !canShare();
    new DeviceChoice(this.#menu, media);
    this.#mute.addEventListener("click", () => void this.#toggleMute());
    this.#camera.addEventListener("click", () => void this.#toggleCamera());
    this.#share.addEventListener("click", () => void this.#toggleShare());
    this.#more.addEventListener("click", () => this.#toggle(this.#more, this.#menu));
    this.#quality.addEventListener("click", () => this.#toggle(this.#quality, this.#words));
    button("hang-up").addEventListener("click", () => phone.hangUp());
    for (const event of ["pointermove", "pointerdown", "keydown", "focusin"]) {
      this.#stage.addEventListener(event, () => this.#wake());
    }
  }

  /** @param {string} state */
  show(state) {
    const { audio, camera, screen, muted, problems } = this.media;
    const silent = audio === null || muted;
    this.#mute.setAttribute("aria-pressed", String(silent));
    this.#camera.setAttribute("aria-pressed", String(camera === null));
    this.#share.setAttribute("aria-pressed", String(screen !== null));
    const call = this.phone.live;
    this.#quality.hidden = state !== "connected" && state !== "reconnecting";
    if (call) {
      const { grade, words } = call.quality.verdict;
      this.#quality.dataset["grade"] = grade;
      this.#quality.setAttribute("aria-label", `Connection: ${GRADES[grade].toLowerCase()}`);
      this.#quality.title = words;
      if (this.#words.textContent !== words) this.#words.textContent = words;
    } else this.closeMenus();
    this.#explain(call ? explain(problems) : []);
    if (state !== "connected") this.#wake();
  }

  /** Close what is open above the stage; false when nothing was. */
  closeMenus() {
    let open = false;
    for (const [opener, menu] of /** @type {const} */ ([
      [this.#more, this.#menu],
      [this.#quality, this.#words],
    ])) {
      if (menu.hidden) continue;
      open = true;
      this.#toggle(opener, menu);
      if (!opener.hidden) opener.focus();
    }
    return open;
  }

  /**
   * What is wrong with the devices, for a while: then the stage is free again.
   * @param {string[]} words
   */
  #explain(words) {
    if (words.join() === this.#explained) return;
    this.#explained = words.join();
    showProblems(this.#problems, words);
    clearTimeout(this.#unexplain);
    this.#unexplain = setTimeout(() => this.#problems.replaceChildren(), WORDS_STAY);
  }

  async #toggleMute() {
    if (this.media.audio === null) {
      this.media.mute(false);
      await this.media.open("call", { audio: true, video: false });
      if (!this.phone.live) this.media.release("call");
    } else this.media.mute(!this.media.muted);
    announce(this.media.sends.audio ? "Microphone on" : "Microphone off");
  }

  async #toggleCamera() {
    this.#camera.disabled = true;
    await this.media.setCamera("call", this.media.camera === null);
    this.#camera.disabled = false;
    this.#camera.focus();
    if (!this.phone.live) this.media.release("call");
    announce(this.media.camera ? "Camera on" : "Camera off");
  }

  async #toggleShare() {
    if (this.media.screen) this.media.unshare();
    else if (await this.media.share()) announce("Your screen is shared");
  }

  /**
   * @param {HTMLButtonElement} opener
   * @param {HTMLElement} menu
   */
  #toggle(opener, menu) {
    menu.hidden = !menu.hidden;
    opener.setAttribute("aria-expanded", String(!menu.hidden));
  }

  #wake() {
    clearTimeout(this.#fade);
    this.#stage.classList.remove("quiet-stage");
    this.#fade = setTimeout(() => {
      const hovered = matchMedia("(hover: hover)").matches;
      const keyboard = this.#stage.querySelector("button:focus-visible") !== null;
      const busy = !this.#menu.hidden || keyboard || !hovered;
      const picture = this.#stage.classList.contains("with-picture");
      const quiet = this.phone.live?.state === "connected" && picture && !busy;
      this.#stage.classList.toggle("quiet-stage", quiet);
    }, FADE_AFTER);
  }
}

/**
 * @param {HTMLElement} list
 * @param {string[]} words
 */
export function showProblems(list, words) {
  const now = [...list.children].map((item) => item.textContent).join("\n");
  if (now === words.join("\n")) return;
  list.replaceChildren(...words.map((text) => make("li", { class: "problem" }, text)));
}
