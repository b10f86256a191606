// One's own picture and sound before a call, with the choice of devices.

import { DeviceChoice } from "./device-choice.js";
import { find, paintAvatar } from "./dom.js";
import { Level } from "./level.js";
import { explain } from "./media-devices.js";
import { showProblems } from "./stage-controls.js";

/** @typedef {import("./local-media.js").LocalMedia} LocalMedia */

const HOLDER = "preview";
const CAMERA = "ringback.camera";

export class Preview {
  #video = find("#preview-video", HTMLVideoElement);
  #off = find("#preview-off", HTMLElement);
  #level = new Level(find("#preview-level", HTMLElement));
  #start = find("#preview-start", HTMLElement);
  #camera = find("#with-camera", HTMLInputElement);
  #problems = find("#preview-problems", HTMLElement);
  #on = false;

  /**
   * @param {LocalMedia} media
   * @param {string} name
   */
  constructor(media, name) {
    this.media = media;
    this.#camera.checked = localStorage.getItem(CAMERA) !== "no";
    paintAvatar(find("#preview-avatar", HTMLElement), name);
    new DeviceChoice(find(".settings [data-device-choice]", HTMLElement), media);
    find("#preview-on", HTMLElement).addEventListener("click", () => void this.start());
    this.#camera.addEventListener("change", () => {
      localStorage.setItem(CAMERA, this.#camera.checked ? "yes" : "no");
      if (this.#on) void media.setCamera(HOLDER, this.#camera.checked);
    });
    media.on("change", () => this.#show());
    this.#show();
  }

  get video() {
    return this.#camera.checked;
  }

  /** Start without asking where the person has allowed it before. */
  async startIfAllowed() {
    if (!navigator.permissions) return;
    try {
      const names = /** @type {PermissionName[]} */ (["camera", "microphone"]);
      const states = await Promise.all(names.map((name) => navigator.permissions.query({ name })));
      if (states.every(({ state }) => state === "granted")) await this.start();
    } catch (error) {
      // Some browsers do not tell; then it starts by its button.
      console.info("Permissions:", error);
    }
  }

  async start() {
    this.#on = true;
    await this.media.open(HOLDER, { audio: true, video: this.video });
  }

  /** After a call: the camera is as it was before. */
  async resume() {
    if (this.#on && this.media.problems.length === 0) await this.start();
  }

  #show() {
    const { stream, video, audio, problems } = this.media;
    const source = video ? stream : null;
    if (this.#video.srcObject !== source) {
      this.#video.srcObject = source;
      if (source) this.#video.play().catch((error) => console.info("Preview:", error));
    }
    this.#video.hidden = !video;
    this.#off.hidden = Boolean(video);
    this.#start.hidden = Boolean(video || audio);
    showProblems(this.#problems, explain(problems));
    this.#level.listen(audio);
  }
}
