// The recording of the call that goes on: who asked, how it is, and one's own leg of it.

import { Emitter } from "./emitter.js";
import { RequestError } from "./messages.js";
import { RecorderLeg } from "./recorder-leg.js";

/** @typedef {import("./local-media.js").LocalMedia} LocalMedia */
/** @typedef {import("./messages.js").RecordingInfo} RecordingInfo */
/** @typedef {import("./messages.js").RecordingState} RecordingState */
/** @typedef {import("./messages.js").Welcome} Welcome */
/** @typedef {import("./phone.js").Phone} Phone */
/** @typedef {import("./wire.js").Wire} Wire */
/**
 * What the other side asks one to agree to.
 * @typedef {{from: string, version: string, text: string}} Question
 */
/**
 * `change`: something to show changed. `news`: something came about, in words.
 * @typedef {{change: CallRecording, news: string}} RecordingEvents
 */

const RUNNING = new Set(["starting", "on", "paused"]);

/** @extends {Emitter<RecordingEvents>} */
export class CallRecording extends Emitter {
  /** @type {RecordingState} */
  state = "off";
  /** The same in words. */
  words = "";
  /** @type {Question | null} */
  question = null;
  /** The call it is of. */
  #call = "";
  /** The call that was recorded last, whether or not it goes on. */
  #recorded = "";
  /** @type {RecorderLeg | null} */
  #leg = null;

  /**
   * @param {object} options
   * @param {Wire} options.wire
   * @param {Phone} options.phone
   * @param {LocalMedia} options.media
   * @param {string} options.version  of the text one agrees to by asking
   */
  constructor({ wire, phone, media, version }) {
    super();
    this.wire = wire;
    this.phone = phone;
    this.media = media;
    this.version = version;
    wire.on("record_asked", ({ call, from, version: theirs, text }) => {
      if (this.phone.live?.id !== call) return;
      this.#begin(call);
      this.question = { from, version: theirs, text };
      this.emit("news", `${from} asks to record this call. Agree or decline.`);
      this.emit("change", this);
    });
    wire.on("recording", ({ call, state, message, recording }) => {
      if (this.phone.live?.id === call || this.#call === call) {
        this.#become(call, state, message, recording ?? null);
      }
    });
    // After the telephone, which takes the call of the page before up again.
    wire.on("opened", ({ welcome }) => this.#reconcile(welcome));
    phone.on("ended", ({ id }) => {
      if (id === this.#call) this.#end("");
    });
  }

  /** Whether it is being recorded now, be it paused. */
  get running() {
    return RUNNING.has(this.state);
  }

  /** Whether one waits for the other side to agree. */
  get asking() {
    return this.state === "asked" && this.question === null;
  }

  /** Whether the call that goes on could be recorded: it is answered, and with a person. */
  get possible() {
    const { live } = this.phone;
    return live !== null && live.answered && !live.bot;
  }

  /**
   * Whether something of a call was recorded.
   * @param {string} call
   */
  was(call) {
    return this.#recorded === call;
  }

  /** Ask the other side, and agree oneself. */
  ask() {
    return this.#say({ do: "start", version: this.version });
  }

  pause() {
    return this.#say({ do: "pause" });
  }

  resume() {
    return this.#say({ do: "resume" });
  }

  /** End it, or ask no longer. */
  stop() {
    return this.#say({ do: "stop" });
  }

  /**
   * Answer the question, or take back what was answered.
   * @param {boolean} yes
   */
  async agree(yes) {
    const call = this.phone.live?.id ?? "";
    const version = this.question?.version ?? this.version;
    if (this.question) this.state = yes ? "starting" : "off";
    this.question = null;
    this.emit("change", this);
    await this.#request({ type: "consent", call, yes, version });
  }

  /** @param {{do: "start" | "pause" | "resume" | "stop", version?: string}} what */
  #say(what) {
    const call = this.phone.live?.id ?? "";
    return this.#request({ type: "record", call, ...what });
  }

  /** @param {import("./messages.js").ClientMessage} message */
  async #request(message) {
    try {
      await this.wire.request(message, { keep: message.type === "consent" });
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      this.emit("news", error.message);
    }
  }

  /** @param {string} call */
  #begin(call) {
    this.#call = call;
    this.state = "asked";
    this.words = "";
  }

  /**
   * @param {string} call
   * @param {RecordingState} state
   * @param {string} words
   * @param {string | null} recording
   */
  #become(call, state, words, recording) {
    const before = this.state;
    if (state === "off") {
      this.#end(words);
      return;
    }
    this.#call = call;
    this.state = state;
    this.words = words;
    this.question = null;
    if (state === "on") this.#recorded = call;
    // Alone with the recorder the call itself is the leg.
    if (recording !== null && !this.phone.live?.bot && this.#leg?.recording !== recording) {
      this.#leg?.close();
      this.#leg = new RecorderLeg({ wire: this.wire, media: this.media, recording });
    }
    if (before !== state) this.emit("news", words);
    this.emit("change", this);
  }

  /** @param {string} words */
  #end(words) {
    const known = this.#call !== "";
    this.#leg?.close();
    this.#leg = null;
    this.#call = "";
    this.state = "off";
    this.words = "";
    this.question = null;
    if (words && known) this.emit("news", words);
    this.emit("change", this);
  }

  /** @param {Welcome} welcome */
  #reconcile(welcome) {
    const { live } = this.phone;
    const info = welcome.calls.find(({ call }) => call === live?.id)?.recording ?? null;
    this.#leg?.reconcile(new Set(welcome.calls.map(({ call }) => call)));
    if (live === null || info === null) {
      if (this.#call !== "") this.#end("");
    } else if (info.state === "asked") this.#asked(live.id, info);
    else this.#become(live.id, info.state, info.message, info.recording ?? null);
  }

  /**
   * @param {string} call
   * @param {RecordingInfo} info
   */
  #asked(call, { from, version, text, message }) {
    this.#begin(call);
    this.words = message;
    this.question = from === this.wire.welcome?.name ? null : { from, version, text };
    this.emit("change", this);
  }
}
