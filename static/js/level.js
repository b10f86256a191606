// How loud a track is, as a bar.

const LISTEN_EVERY = 100;

export class Level {
  /** @type {MediaStreamTrack | null} */
  #heard = null;
  /** @type {AudioContext | null} */
  #context = null;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #listening;

  /** @param {HTMLElement} bar  gets `--level`, 0 to 1; hidden while there is no track */
  constructor(bar) {
    this.bar = bar;
  }

  /** @param {MediaStreamTrack | null} track */
  listen(track) {
    if (track === this.#heard) return;
    this.#heard = track;
    clearInterval(this.#listening);
    void this.#context?.close();
    this.#context = null;
    this.bar.hidden = track === null;
    if (!track) return;
    const context = new AudioContext();
    const analyser = context.createAnalyser();
    // About as long as the pause between two looks: no short sound falls between them.
    analyser.fftSize = 4096;
    context.createMediaStreamSource(new MediaStream([track])).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    this.#context = context;
    this.#listening = setInterval(() => {
      if (document.hidden) return;
      analyser.getFloatTimeDomainData(samples);
      const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
      const level = Math.min(1, Math.sqrt(Math.sqrt(power)));
      this.bar.style.setProperty("--level", level.toFixed(2));
    }, LISTEN_EVERY);
  }
}
