// Marks in pictures: painted and read as the vectors say, which Python's are held to, too.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { paint, read, word } from "../../static/js/marks.js";

const VECTORS = JSON.parse(readFileSync(new URL("../vectors/marks.json", import.meta.url)));
const named = ([stream, sequence, stamp]) => ({ stream, sequence, stamp });
const listed = (mark) => mark && [mark.stream, mark.sequence, mark.stamp];

function adler32(bytes) {
  let [low, high] = [1, 0];
  for (const byte of bytes) {
    low = (low + byte) % 65_521;
    high = (high + low) % 65_521;
  }
  return high * 65_536 + low;
}

/** A grey picture that can be painted like a canvas; black and white become 16 and 235. */
class Picture {
  constructor(width, height) {
    Object.assign(this, { width, height, fillStyle: "", luma: Buffer.alloc(width * height, 128) });
  }

  fillRect(left, top, width, height) {
    const value = { "#000": 16, "#fff": 235 }[this.fillStyle];
    for (let y = top; y < top + height; y += 1) {
      this.luma.fill(value, y * this.width + left, y * this.width + left + width);
    }
  }

  image() {
    const { width, height } = this;
    const data = new Uint8ClampedArray(4 * width * height).fill(255);
    this.luma.forEach((value, at) => data.fill(value, 4 * at, 4 * at + 3));
    return { data, width, height };
  }
}

function painted(width, height, mark) {
  const picture = new Picture(width, height);
  paint(picture, width, height, mark);
  return picture;
}

/** Damage a picture as a vector says: a box of one shade, then noise on every pixel. */
function damage(luma, { width, box, noise, seed }) {
  if (box) {
    const [left, top, wide, high, value] = box;
    for (let y = top; y < top + high; y += 1) {
      luma.fill(value, y * width + left, y * width + left + wide);
    }
  }
  let state = seed;
  luma.forEach((value, at) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const off = (state >>> 16) % (2 * noise + 1) - noise;
    luma[at] = Math.min(255, Math.max(0, value + off));
  });
}

test("words are as in the vectors", () => {
  assert.ok(VECTORS.words.length >= 10);
  for (const { mark, word: expected } of VECTORS.words) {
    const said = word(named(mark)).map((half) => half.toString(16).padStart(8, "0")).join("");
    assert.equal(said, expected);
  }
});

test("pictures are painted and read as in the vectors", () => {
  for (const vector of VECTORS.pictures) {
    const picture = painted(vector.width, vector.height, named(vector.mark));
    assert.equal(adler32(picture.luma), vector.painted);
    damage(picture.luma, vector);
    const { mark, top, bottom, torn } = read(picture.image());
    const found = { mark: listed(mark), top: listed(top), bottom: listed(bottom), torn };
    assert.deepEqual(found, vector.read);
  }
});

test("parts of two pictures are torn", () => {
  const [first, second] = [1, 2].map((sequence) =>
    painted(160, 120, { stream: 7, sequence, stamp: 40 * sequence }));
  second.luma.copy(first.luma, 160 * 60, 160 * 60);
  const { mark, top, bottom, torn } = read(first.image());
  assert.equal(mark, null);
  assert.equal(torn, true);
  assert.deepEqual([top?.sequence, bottom?.sequence], [1, 2]);
});

test("what carries no mark is an erasure", () => {
  for (const [width, height] of [[320, 240], [31, 16], [1, 1]]) {
    const reading = read(new Picture(width, height).image());
    assert.deepEqual(reading, { mark: null, top: null, bottom: null, torn: false });
  }
});

test("what cannot be painted is refused", () => {
  const mark = { stream: 1, sequence: 2, stamp: 3 };
  assert.throws(() => painted(63, 48, mark), RangeError);
  assert.throws(() => painted(64, 31, mark), RangeError);
  for (const wrong of [{ stream: 4096 }, { sequence: -1 }, { stamp: 65_536 }, { stamp: NaN }]) {
    assert.throws(() => painted(64, 32, { ...mark, ...wrong }), RangeError);
  }
});
