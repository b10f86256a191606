// One's own picture in a corner of the stage; it can be dragged or sent to another corner.

import { find } from "./dom.js";

/** @typedef {import("./local-media.js").LocalMedia} LocalMedia */

const CORNERS = ["bottom-right", "bottom-left", "top-left", "top-right"];
const CLICK = 6;

export class OwnView {
  #box = find("#own", HTMLElement);
  #video = find("#local-video", HTMLVideoElement);
  #muted = find("#own-muted", HTMLElement);
  #move = find("#own-move", HTMLButtonElement);
  #dragged = false;

  /** @param {LocalMedia} media */
  constructor(media) {
    this.media = media;
    this.#move.addEventListener("click", () => {
      if (!this.#dragged) this.#next();
      this.#dragged = false;
    });
    this.#move.addEventListener("pointerdown", (event) => this.#drag(event));
  }

  /** @param {boolean} inCall */
  show(inCall) {
    const { stream, video, screen, muted } = this.media;
    const shown = inCall && video !== null;
    this.#box.hidden = !shown;
    this.#box.classList.toggle("mirrored", shown && screen === null);
    this.#muted.hidden = !muted;
    const source = shown ? stream : null;
    if (this.#video.srcObject === source) return;
    this.#video.srcObject = source;
    this.play();
  }

  play() {
    if (!this.#video.srcObject) return;
    this.#video.play().catch((error) => console.info("Own picture:", error));
  }

  #next() {
    const now = CORNERS.indexOf(this.#box.dataset["corner"] ?? "");
    this.#box.dataset["corner"] = CORNERS[(now + 1) % CORNERS.length];
  }

  /** @param {PointerEvent} down */
  #drag(down) {
    const { clientX: x, clientY: y } = down;
    this.#dragged = false;
    this.#move.setPointerCapture(down.pointerId);
    const move = (/** @type {PointerEvent} */ event) => {
      const [dx, dy] = [event.clientX - x, event.clientY - y];
      if (Math.hypot(dx, dy) > CLICK) this.#dragged = true;
      if (this.#dragged) this.#box.style.translate = `${dx}px ${dy}px`;
    };
    const up = () => {
      this.#move.removeEventListener("pointermove", move);
      if (this.#dragged) this.#land();
      this.#box.style.translate = "";
    };
    this.#move.addEventListener("pointermove", move);
    this.#move.addEventListener("pointerup", up, { once: true });
    this.#move.addEventListener("pointercancel", up, { once: true });
  }

  /** It goes to the corner it was let go nearest to. */
  #land() {
    const stage = this.#box.parentElement?.getBoundingClientRect();
    if (!stage) return;
    const box = this.#box.getBoundingClientRect();
    const left = box.x + box.width / 2 < stage.x + stage.width / 2;
    const top = box.y + box.height / 2 < stage.y + stage.height / 2;
    this.#box.dataset["corner"] = `${top ? "top" : "bottom"}-${left ? "left" : "right"}`;
  }
}
