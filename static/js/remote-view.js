// The other side on the stage: picture, sound, initials with a level ring, and their states.

import { find } from "./dom.js";

/** @typedef {import("./phone.js").Phone} Phone */

const LISTEN_EVERY = 120;
/** A picture is cut at its edges to fill the stage only up to this fraction. */
const MOST_CUT = 0.35;

/**
 * Let an element play the track of its kind. Sound and picture have an element each: in one
 * with both, Chromium plays no sound before the first picture, and that may never come.
 * @param {HTMLMediaElement} element
 * @param {"audio" | "video"} kind
 * @param {MediaStream | null} remote
 * @returns {boolean} whether it is another track now
 */
function give(element, kind, remote) {
  const track = remote?.getTracks().find((other) => other.kind === kind) ?? null;
  const before = element.srcObject instanceof MediaStream ? element.srcObject : null;
  if (track === (before?.getTracks()[0] ?? null)) return false;
  element.srcObject = track && new MediaStream([track]);
  return track !== null;
}

export class RemoteView {
  #video = find("#remote-video", HTMLVideoElement);
  #audio = find("#remote-audio", HTMLAudioElement);
  #level = find("#remote-level", HTMLElement);
  #muted = find("#remote-muted", HTMLElement);
  #cameraOff = find("#remote-camera-off", HTMLElement);
  #prompt = find("#phone-play", HTMLElement);
  #stage = find("#stage", HTMLElement);
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #listening;

  /** @param {Phone} phone */
  constructor(phone) {
    this.phone = phone;
    this.#prompt.addEventListener("click", () => this.play());
    this.#video.addEventListener("resize", () => {
      this.#fit();
      this.show(this.phone.live?.state ?? "idle");
    });
    new ResizeObserver(() => this.#fit()).observe(this.#stage);
  }

  /** @param {string} state */
  show(state) {
    const call = this.phone.live;
    const remote = call?.remote ?? null;
    const sound = give(this.#audio, "audio", remote);
    const moving = give(this.#video, "video", remote);
    if (sound || moving) this.play();
    const talking = state === "connected" || state === "reconnecting";
    const theirs = call?.theirMedia ?? { audio: true, video: true };
    const flows = call?.quality.picture !== false;
    const picture = talking && theirs.video && flows && this.#video.videoWidth > 0;
    this.#video.hidden = !picture;
    this.#stage.classList.toggle("with-picture", picture);
    this.#muted.hidden = !talking || theirs.audio;
    this.#cameraOff.hidden = !talking || theirs.video;
    if (!call) this.#prompt.hidden = true;
    this.#listen(talking && !picture);
  }

  /** Some browsers want a click before a page that was just loaded may sound. */
  play() {
    if (this.#video.srcObject) {
      this.#video.play().catch((error) => console.info("Their picture:", error));
    }
    if (!this.#audio.srcObject) return;
    this.#audio.play().then(
      () => void (this.#prompt.hidden = true),
      (/** @type {DOMException} */ error) => {
        if (error.name === "NotAllowedError") this.#prompt.hidden = false;
      },
    );
  }

  /** Fill the stage unless too much of the picture would be cut away. */
  #fit() {
    const { videoWidth, videoHeight } = this.#video;
    const { clientWidth, clientHeight } = this.#stage;
    if (!videoWidth || !clientWidth || !clientHeight) return;
    const [theirs, ours] = [videoWidth / videoHeight, clientWidth / clientHeight];
    const cut = 1 - Math.min(theirs, ours) / Math.max(theirs, ours);
    this.#video.classList.toggle("whole", cut > MOST_CUT);
  }

  /** @param {boolean} on */
  #listen(on) {
    if (on === (this.#listening !== undefined)) return;
    clearInterval(this.#listening);
    this.#listening = on ? setInterval(() => this.#hear(), LISTEN_EVERY) : undefined;
    this.#level.style.setProperty("--level", "0");
  }

  #hear() {
    const pc = this.phone.live?.link?.pc;
    const receiver = pc?.getReceivers().find(({ track }) => track.kind === "audio");
    const heard = receiver?.getSynchronizationSources()[0]?.audioLevel ?? 0;
    this.#level.style.setProperty("--level", Math.min(1, Math.sqrt(heard)).toFixed(2));
  }
}
