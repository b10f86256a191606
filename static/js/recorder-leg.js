// One's own leg of a recording: a second call, which carries the page's sound and picture to
// the recorder beside the call that is recorded. It follows what is sent there, and is placed
// again when it breaks, for as long as the recording goes on.

import { Call } from "./call.js";
import { tellMedia } from "./handshake.js";
import { RequestError, newId } from "./messages.js";
import { Timers } from "./timers.js";

/** @typedef {import("./local-media.js").LocalMedia} LocalMedia */
/** @typedef {import("./wire.js").Wire} Wire */

/** The bot that records. */
export const RECORDER = "recorder";

/** How long (ms) a broken leg may take to come back: a bot cannot mend it, only a new one can. */
const REPLACE_AFTER = 3_000;
/** The pauses (ms) before a leg that failed is placed again. */
const AGAIN_FIRST = 1_000;
const AGAIN_MOST = 8_000;
/** Answers after which no leg will ever be taken. */
const OVER = new Set(["no_such_recording", "no_consent", "not_your_call", "old_text"]);

export class RecorderLeg {
  /** @type {Call | null} */
  call = null;
  #timers = new Timers();
  #pause = AGAIN_FIRST;
  /** @type {(() => void)[]} */
  #deaf;

  /**
   * @param {object} options
   * @param {Wire} options.wire
   * @param {LocalMedia} options.media
   * @param {string} options.recording  its id
   */
  constructor({ wire, media, recording }) {
    this.wire = wire;
    this.media = media;
    this.recording = recording;
    this.#deaf = [
      media.on("change", () => this.#follow()),
      wire.on("answered", ({ call: id, description }) => {
        this.#with(id, (call) => {
          call.settle(description);
          tellMedia(call, this.media);
        });
      }),
      wire.on("description", ({ call: id, description }) => {
        this.#with(id, (call) => call.describe(description));
      }),
      wire.on("candidate", ({ call: id, candidate }) => {
        this.#with(id, (call) => call.candidate(candidate));
      }),
      wire.on("ended", ({ call: id, reason, message }) => {
        this.#with(id, (call) => call.finish(reason, message));
      }),
    ];
    void this.#place();
  }

  /** The recording is over. The exchange hangs up. */
  close() {
    for (const stop of this.#deaf) stop();
    this.#timers.close();
    this.#drop();
  }

  /**
   * After a break: what the exchange does not know any more is placed again.
   * @param {Set<string>} known  the live calls
   */
  reconcile(known) {
    const { call } = this;
    if (call?.answered && !known.has(call.id)) call.finish("lost", "");
  }

  async #place() {
    this.#drop();
    const call = new Call({
      id: newId(),
      peer: RECORDER,
      bot: true,
      outgoing: true,
      tell: (message) => this.wire.tell(message, { keep: true }),
      iceServers: () => this.wire.welcome?.ice_servers ?? [],
      tracks: () => ({ audio: this.media.audio, video: this.media.video }),
    });
    this.call = call;
    call.on("change", () => this.#look(call));
    call.on("ended", () => this.#ended(call));
    try {
      const description = await call.offer();
      if (!call.live) return;
      const { sends } = this.media;
      const placed = this.wire.request(
        {
          type: "call", call: call.id, to: RECORDER, recording: this.recording, media: sends,
          description,
        },
        { keep: true },
      );
      call.offered();
      await placed;
    } catch (error) {
      this.#refused(call, error);
    }
  }

  /**
   * @param {Call} call
   * @param {unknown} error
   */
  #refused(call, error) {
    if (call !== this.call || !call.live) return;
    const code = error instanceof RequestError ? error.code : "";
    // Said again after a break, it was placed already.
    if (code === "call_exists") return;
    console.warn("The leg to the recorder could not be placed.", error);
    if (OVER.has(code)) this.close();
    else call.finish("failed", "");
  }

  /** @param {Call} call */
  #look(call) {
    if (call !== this.call) return;
    if (call.state === "connected") {
      this.#pause = AGAIN_FIRST;
      this.#timers.cancel("replace");
    } else if (call.state === "reconnecting" && !this.#timers.has("replace")) {
      this.#timers.set("replace", REPLACE_AFTER, () => void this.#place());
    }
  }

  /** @param {Call} call */
  #ended(call) {
    if (call !== this.call) return;
    this.#timers.cancel("replace");
    this.#timers.set("again", this.#pause, () => void this.#place());
    this.#pause = Math.min(AGAIN_MOST, this.#pause * 2);
  }

  #drop() {
    const { call } = this;
    this.call = null;
    if (!call?.live) return;
    this.wire.forget((message) => "call" in message && message.call === call.id);
    call.finish("hangup", "");
  }

  #follow() {
    const { call } = this;
    if (!call?.live) return;
    call.refreshTracks();
    tellMedia(call, this.media);
  }

  /**
   * @param {string} id
   * @param {(call: Call) => void} act
   */
  #with(id, act) {
    if (this.call?.id === id && this.call.live) act(this.call);
  }
}
