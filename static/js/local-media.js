// What this page sends: its microphone, its camera or screen, and whether they are on.
// One for the whole page. Whoever needs it holds it; when nobody does, the devices rest.

import { Emitter } from "./emitter.js";
import { capture, captureScreen } from "./media-devices.js";

/** @typedef {import("./media-devices.js").Problem} Problem */
/** @typedef {import("./media-devices.js").Chosen} Chosen */
/** @typedef {import("./media-devices.js").Wanted} Wanted */
/** @typedef {import("./messages.js").Media} Media */

const CHOICE = "ringback.devices";

/** @extends {Emitter<{change: LocalMedia}>} */
export class LocalMedia extends Emitter {
  /** @type {MediaStreamTrack | null} */
  audio = null;
  /** @type {MediaStreamTrack | null} */
  camera = null;
  /** @type {MediaStreamTrack | null} */
  screen = null;
  /** @type {Problem[]} */
  problems = [];
  muted = false;
  /** @type {Chosen} */
  chosen;
  #stream = new MediaStream();
  /** @type {Set<string>} */
  #holders = new Set();
  /** @type {Promise<void>} */
  #turn = Promise.resolve();

  /** @param {Pick<Storage, "getItem" | "setItem">} store  remembers the chosen devices */
  constructor(store) {
    super();
    this.store = store;
    this.chosen = JSON.parse(store.getItem(CHOICE) ?? "{}");
  }

  /** The picture that is sent: the screen while it is shared, else the camera. */
  get video() {
    return this.screen ?? this.camera;
  }

  /**
   * The own picture, for showing it here. The same object as long as its tracks are the same.
   * @returns {MediaStream}
   */
  get stream() {
    const shown = this.#stream.getTracks()[0] ?? null;
    if (shown !== this.video) this.#stream = new MediaStream(this.video ? [this.video] : []);
    return this.#stream;
  }

  /**
   * What the other side is told.
   * @returns {Media}
   */
  get sends() {
    return { audio: this.audio !== null && !this.muted, video: this.video !== null };
  }

  /**
   * Start what is wanted and not running yet, on behalf of `holder`. Never rejects for a
   * device's sake: what is missing is in `problems`.
   * @param {string} holder
   * @param {Wanted} wanted
   */
  async open(holder, wanted) {
    this.#holders.add(holder);
    await this.#inTurn(async () => {
      const missing = {
        audio: wanted.audio && !this.audio,
        video: wanted.video && !this.camera,
      };
      const got = await capture(missing, this.chosen);
      if (missing.audio || missing.video) this.#problems(missing, got.problems);
      if (got.audio) this.#take("audio", got.audio);
      if (got.video) this.#take("camera", got.video);
      if (this.#holders.size === 0) this.#rest();
    });
    this.emit("change", this);
  }

  /**
   * The holder needs nothing any more.
   * @param {string} holder
   */
  release(holder) {
    this.#holders.delete(holder);
    if (this.#holders.size > 0) return;
    this.#rest();
    this.emit("change", this);
  }

  /**
   * @param {boolean} muted
   */
  mute(muted) {
    this.muted = muted;
    if (this.audio) this.audio.enabled = !muted;
    this.emit("change", this);
  }

  /**
   * Turn the camera on or off. Off means off: its light goes out.
   * @param {string} holder
   * @param {boolean} on
   */
  async setCamera(holder, on) {
    if (on) return this.open(holder, { audio: false, video: true });
    this.#stop("camera");
    this.problems = this.problems.filter(({ device }) => device !== "camera");
    this.emit("change", this);
  }

  /**
   * Use another device from now on.
   * @param {"audio" | "camera"} kind
   * @param {string} id
   */
  async choose(kind, id) {
    this.chosen = { ...this.chosen, [kind === "audio" ? "audioId" : "videoId"]: id };
    this.store.setItem(CHOICE, JSON.stringify(this.chosen));
    if (!this[kind]) return;
    this.#stop(kind);
    await this.open("choice", { audio: kind === "audio", video: kind === "camera" });
    this.release("choice");
  }

  /** Send the screen instead of the camera; false when the person did not choose one. */
  async share() {
    const track = await captureScreen();
    if (!track) return false;
    if (this.#holders.size === 0) {
      track.stop();
      return false;
    }
    this.#take("screen", track);
    this.emit("change", this);
    return true;
  }

  /** Back from the screen to the camera. */
  unshare() {
    this.#stop("screen");
    this.emit("change", this);
  }

  /**
   * @param {"audio" | "camera" | "screen"} kind
   * @param {MediaStreamTrack} track
   */
  #take(kind, track) {
    this.#stop(kind);
    this[kind] = track;
    if (kind === "audio") track.enabled = !this.muted;
    track.onended = () => {
      if (this[kind] !== track) return;
      this[kind] = null;
      this.emit("change", this);
    };
  }

  /**
   * @param {Wanted} asked
   * @param {Problem[]} found
   */
  #problems(asked, found) {
    const old = this.problems.filter(
      ({ device }) => !(device === "camera" ? asked.video : asked.audio),
    );
    this.problems = [...old, ...found];
  }

  /** @param {"audio" | "camera" | "screen"} kind */
  #stop(kind) {
    this[kind]?.stop();
    this[kind] = null;
  }

  #rest() {
    this.#stop("audio");
    this.#stop("camera");
    this.#stop("screen");
    this.muted = false;
    this.problems = [];
  }

  /**
   * Devices are asked for one request after another, never two at once.
   * @param {() => Promise<void>} work
   */
  #inTurn(work) {
    const turn = this.#turn.then(work);
    this.#turn = turn.catch(() => undefined);
    return turn;
  }
}
