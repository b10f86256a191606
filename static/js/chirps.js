// Marks in sound: a chirp to tell the time by, and a word that says whose it is. They are made
// here as bots/calltest/chirps.py makes them, which tells what they are and hears them;
// tests/vectors/chirps.json holds both to it.

export const RATE = 48_000;
export const PERIOD = 0.5;
const PART = 2880;
const LENGTH = 3 * PART;
const LOW = 600;
const HIGH = 3400;
const WORDS = 32;
const LEVEL = 8192;
const EDGE = 240;
const STEP = PERIOD * RATE;

/** The marked sound of one stream: 48,000 samples of 16 bits a second, one channel. */
export class Chirps {
  /** @type {Map<number, Int16Array>} */
  #waves = new Map();

  /** @param {number} stream  12 bits, of which a word says the lowest 5; else `RangeError` */
  constructor(stream) {
    if (!(stream >= 0 && stream < 4096)) throw new RangeError("A stream is a number of 12 bits.");
    this.stream = stream % WORDS;
  }

  /**
   * Any part of the stream, in any order.
   * @param {number} start  a sample, from 0 on
   * @param {number} count
   */
  pcm(start, count) {
    if (!(start >= 0 && count >= 0)) throw new RangeError("Sound has no samples before its first.");
    const made = new Int16Array(count);
    for (let n = 0; n < count; n += 1) {
      const number = Math.floor((start + n) / STEP);
      const place = start + n - number * STEP;
      made[n] = place < LENGTH ? this.#wave(number % WORDS)[place] : NOISE[(start + n) % RATE];
    }
    return made;
  }

  /** @param {number} number */
  #wave(number) {
    let wave = this.#waves.get(number);
    if (!wave) {
      wave = mark(this.stream, number);
      this.#waves.set(number, wave);
    }
    return wave;
  }
}

/**
 * A whole mark.
 * @param {number} stream
 * @param {number} number
 */
function mark(stream, number) {
  const rise = (HIGH - LOW) * RATE / PART;
  const parts = [
    (/** @type {number} */ at) => Math.sin(2 * Math.PI * (LOW + rise * at / 2) * at),
    both(stream, WORDS + number),
    both(WORDS - 1 - number, 2 * WORDS - 1 - stream),
  ];
  const made = new Int16Array(LENGTH);
  for (let n = 0; n < LENGTH; n += 1) {
    const place = n % PART;
    made[n] = Math.round(LEVEL * swell(place) * parts[(n - place) / PART](place / RATE));
  }
  return made;
}

/**
 * Two tones at once.
 * @param {number[]} tones
 * @returns {(at: number) => number}
 */
function both(...tones) {
  const [first, second] = tones.map((tone) => LOW + (HIGH - LOW) * (tone + 0.5) / (2 * WORDS));
  return (at) => (Math.sin(2 * Math.PI * first * at) + Math.sin(2 * Math.PI * second * at)) / 2;
}

/**
 * From silence to full and back, by halves of a cosine.
 * @param {number} place
 */
function swell(place) {
  const near = Math.min(place + 0.5, PART - place - 0.5);
  return 0.5 - 0.5 * Math.cos(Math.PI * Math.min(near / EDGE, 1));
}

/** A second of noise, the same everywhere: a linear congruential generator's. */
const NOISE = new Int16Array(RATE);
let state = 1;
for (let n = 0; n < RATE; n += 1) {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  NOISE[n] = (state >>> 16) % 65 - 32;
}
