// Marks in pictures: whose a picture is, which one, and when it was taken. The twin of
// bots/calltest/marks.py, which tells what a mark is; tests/vectors/marks.json holds both to it.

const ROWS = 16;
const COLUMNS = 32;
const MAGIC = 0b1011;
/** The first 64 binary digits of pi after the point, in two halves. */
const WHITE = [0x243f6a88, 0x85a308d3];
/** How far the bottom strip is moved, in cells. */
const MOVED = 27;
const LEAST_WIDTH = 64;
const LEAST_HEIGHT = 32;
const CONTRAST = 64;
const DOUBT = 4;
const SAMPLES = 4;
/** The rows of cells of both strips. */
const STRIPS = [0, 1, ROWS - 2, ROWS - 1];

/** @typedef {{stream: number, sequence: number, stamp: number}} Mark */
/**
 * `mark` null is an erasure. `torn`: both strips are readable and say different things.
 * @typedef {{mark: Mark | null, top: Mark | null, bottom: Mark | null, torn: boolean}} Reading
 */

/** @returns {Reading} */
const erasure = () => ({ mark: null, top: null, bottom: null, torn: false });

/**
 * Paint both strips over a picture. Cells are black and white, which the coded picture's range
 * makes 16 and 235.
 * @param {Pick<CanvasRenderingContext2D, "fillStyle" | "fillRect">} context
 * @param {number} width  of the picture, in pixels
 * @param {number} height
 * @param {Mark} mark  throws `RangeError` when a field does not fit or the picture is too small
 */
export function paint(context, width, height, mark) {
  if (width < LEAST_WIDTH || height < LEAST_HEIGHT) {
    throw new RangeError(`A marked picture is at least ${LEAST_WIDTH}x${LEAST_HEIGHT}.`);
  }
  const halves = word(mark).map((half, place) => half ^ WHITE[place]);
  STRIPS.forEach((row, number) => {
    const [top, bottom] = [edge(row, ROWS, height), edge(row + 1, ROWS, height)];
    for (let column = 0; column < COLUMNS; column += 1) {
      const [left, right] = [edge(column, COLUMNS, width), edge(column + 1, COLUMNS, width)];
      const place = (number % 2 * COLUMNS + column + (number < 2 ? 0 : MOVED)) % 64;
      const bit = halves[place >> 5] >>> (31 - place % 32) & 1;
      context.fillStyle = bit === (number < 2 ? 1 : 0) ? "#fff" : "#000";
      context.fillRect(left, top, right - left, bottom - top);
    }
  });
}

/**
 * Read a picture.
 * @param {Pick<ImageData, "data" | "width" | "height">} image  red, green, blue and alpha
 * @returns {Reading}
 */
export function read({ data, width, height }) {
  if (width < LEAST_WIDTH / 2 || height < LEAST_HEIGHT / 2) return erasure();
  const cells = brightness(data, width, height);
  const top = decide(cells.subarray(0, 64), 0, 0);
  const bottom = decide(cells.subarray(64), MOVED, -1);
  if (!top || !bottom) return { ...erasure(), top, bottom };
  const same = top.stream === bottom.stream && top.sequence === bottom.sequence
    && top.stamp === bottom.stamp;
  return { mark: same ? top : null, top, bottom, torn: !same };
}

/**
 * A mark's 64 bits in two halves, not whitened.
 * @param {Mark} mark
 */
export function word({ stream, sequence, stamp }) {
  for (const [value, bits] of [[stream, 12], [sequence, 16], [stamp, 16]]) {
    if (!(value >= 0 && value < 1 << bits)) {
      throw new RangeError(`${value} does not fit into ${bits} bits of a mark.`);
    }
  }
  const high = MAGIC << 28 | stream << 16 | sequence ^ sequence >> 1;
  return [high >>> 0, (stamp << 16 | crc(high, stamp)) >>> 0];
}

/**
 * CRC-16/IBM-3740 of what stands before it in a mark.
 * @param {number} high  32 bits
 * @param {number} stamp  16 bits
 */
function crc(high, stamp) {
  let remainder = 0xffff;
  for (const octet of [high >>> 24, high >>> 16, high >>> 8, high, stamp >>> 8, stamp]) {
    remainder ^= (octet & 0xff) << 8;
    for (let bit = 0; bit < 8; bit += 1) {
      remainder = (remainder << 1 ^ (remainder & 0x8000 ? 0x1021 : 0)) & 0xffff;
    }
  }
  return remainder;
}

/**
 * The first pixel whose middle is in a cell or after it.
 * @param {number} cell
 * @param {number} cells  how many there are
 * @param {number} pixels
 */
function edge(cell, cells, pixels) {
  return Math.max(0, Math.ceil((cell * pixels * 2 - cells) / (2 * cells)));
}

/**
 * 16 times the mean brightness of each cell, top strip first.
 * @param {ArrayLike<number>} data
 * @param {number} width
 * @param {number} height
 */
function brightness(data, width, height) {
  const cells = new Int32Array(4 * COLUMNS);
  for (let at = 0; at < 4 * SAMPLES; at += 1) {
    const row = STRIPS[Math.floor(at / SAMPLES)];
    const y = point(row, at % SAMPLES, ROWS, height);
    for (let column = 0; column < COLUMNS; column += 1) {
      for (let n = 0; n < SAMPLES; n += 1) {
        const pixel = 4 * (y * width + point(column, n, COLUMNS, width));
        // ITU-R BT.601, in parts of 256.
        const luma = 77 * data[pixel] + 150 * data[pixel + 1] + 29 * data[pixel + 2] >> 8;
        cells[Math.floor(at / SAMPLES) * COLUMNS + column] += luma;
      }
    }
  }
  return cells;
}

/**
 * The `n`th pixel that is looked at in a cell: all are in the middle half of it.
 * @param {number} cell
 * @param {number} n
 * @param {number} cells
 * @param {number} pixels
 */
function point(cell, n, cells, pixels) {
  const step = 4 * SAMPLES;
  return Math.floor((step * cell + SAMPLES + 2 * n + 1) * pixels / (step * cells));
}

/**
 * What a strip says, null when it is not to be believed.
 * @param {Int32Array} cells
 * @param {number} moved  by how many cells
 * @param {number} inverse  -1 for the bottom strip
 * @returns {Mark | null}
 */
function decide(cells, moved, inverse) {
  const [low, high] = [Math.min(...cells), Math.max(...cells)];
  if (high - low < CONTRAST * SAMPLES ** 2) return null;
  const halves = WHITE.map((half) => half ^ inverse);
  for (const [at, cell] of cells.entries()) {
    const [place, off] = [(at + moved) % 64, 2 * cell - low - high];
    if (DOUBT * Math.abs(off) < high - low) return null;
    if (off > 0) halves[place >> 5] ^= 1 << (31 - place % 32);
  }
  const [first, second] = halves;
  const stamp = second >>> 16;
  if (first >>> 28 !== MAGIC || crc(first, stamp) !== (second & 0xffff)) return null;
  let sequence = first & 0xffff;
  for (const shift of [8, 4, 2, 1]) sequence ^= sequence >> shift;
  return { stream: first >>> 16 & 0xfff, sequence, stamp };
}
