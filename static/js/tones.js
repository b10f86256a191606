// Telephone tones, made with Web Audio: no files, no delay.

/** @typedef {"ringback" | "ring" | "waiting" | "ended"} Tone */
/**
 * Frequencies (Hz) that sound together, and when within one round: starts and lengths in s.
 * @typedef {{tones: number[], at: [start: number, length: number][], round: number,
 *   gain: number, repeat: boolean}} Score
 */

/** @type {Record<Tone, Score>} */
const SCORES = {
  // Precise tone plan of North America (ITU-T E.180 supplement 2): 2 s on, 4 s off.
  ringback: { tones: [440, 480], at: [[0, 2]], round: 6, gain: 0.06, repeat: true },
  ring: {
    tones: [659, 831],
    at: [[0, 0.22], [0.3, 0.22], [0.6, 0.22], [1.2, 0.22], [1.5, 0.22], [1.8, 0.22]],
    round: 4,
    gain: 0.12,
    repeat: true,
  },
  waiting: { tones: [440], at: [[0, 0.18], [0.35, 0.18]], round: 5, gain: 0.03, repeat: true },
  ended: {
    tones: [480, 620], at: [[0, 0.2], [0.4, 0.2], [0.8, 0.2]], round: 2, gain: 0.04, repeat: false,
  },
};

/** Sounds start and stop within this time (s), or they would click. */
const EDGE = 0.02;

export class Tones {
  /** @type {AudioContext | null} */
  #context = null;
  /** @type {GainNode | null} */
  #out = null;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #rounds;
  /** @type {Tone | null} */
  playing = null;

  /**
   * Play a tone until another one or silence is asked for.
   * @param {Tone | null} tone
   */
  play(tone) {
    if (tone === this.playing) return;
    this.#stop();
    this.playing = tone;
    if (tone === null) return;
    const score = SCORES[tone];
    this.#context ??= new AudioContext();
    const out = this.#context.createGain();
    out.connect(this.#context.destination);
    this.#out = out;
    const { state } = this.#context;
    const sound = () => {
      if (this.#out === out && out.context.state === "running") this.#sound(score, out);
    };
    // Until somebody has touched the page a browser may keep it silent.
    if (state === "running") sound();
    else void this.#context.resume().then(sound);
    if (score.repeat) this.#rounds = setInterval(sound, score.round * 1000);
  }

  /** Somebody touched the page: what could not sound so far may sound now. */
  unlock() {
    if (this.#context?.state === "suspended") void this.#context.resume();
  }

  #stop() {
    clearInterval(this.#rounds);
    const { currentTime } = this.#context ?? { currentTime: 0 };
    this.#out?.gain.setTargetAtTime(0, currentTime, EDGE);
    this.#out = null;
  }

  /**
   * @param {Score} score
   * @param {GainNode} out
   */
  #sound({ tones, at, gain }, out) {
    const context = out.context;
    const now = context.currentTime + 0.03;
    for (const [start, length] of at) {
      const envelope = context.createGain();
      envelope.connect(out);
      const begin = now + start;
      envelope.gain.setValueAtTime(0, begin);
      envelope.gain.linearRampToValueAtTime(gain, begin + EDGE);
      envelope.gain.setValueAtTime(gain, begin + length - EDGE);
      envelope.gain.linearRampToValueAtTime(0, begin + length);
      for (const frequency of tones) {
        const source = context.createOscillator();
        source.frequency.value = frequency;
        source.connect(envelope);
        source.start(begin);
        source.stop(begin + length);
      }
    }
  }
}
