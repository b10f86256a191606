// Marks in sound are made as the vectors say, which Python's are held to, too.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Chirps } from "../../static/js/chirps.js";

const VECTORS = JSON.parse(readFileSync(new URL("../vectors/chirps.json", import.meta.url)));

test("sounds are as in the vectors", () => {
  assert.ok(VECTORS.sounds.length >= 8);
  for (const { stream, start, samples } of VECTORS.sounds) {
    const made = new Chirps(stream).pcm(start, samples.length);
    // Sines differ in their last digit from one library to another.
    samples.forEach((sample, at) => assert.ok(Math.abs(sample - made[at]) <= 1, `${start + at}`));
  }
});

test("sound can be made from anywhere", () => {
  const whole = new Chirps(9).pcm(0, 100_000);
  for (const [start, count] of [[0, 1], [23_999, 2], [24_100, 960], [50_000, 30_000], [5, 0]]) {
    assert.deepEqual(new Chirps(9).pcm(start, count), whole.subarray(start, start + count));
  }
});

test("what cannot be made is refused", () => {
  assert.throws(() => new Chirps(4096), RangeError);
  assert.throws(() => new Chirps(-1), RangeError);
  assert.throws(() => new Chirps(1).pcm(-1, 10), RangeError);
});
