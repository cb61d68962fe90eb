"use strict";

/**
 * From a drawing to what the network was trained on: the stages of `digitlib.predict` in JavaScript.
 *
 * With all of them on, the result is that of `digitlib.predict.prepare` for the same picture: a test runs both. Of
 * `find_ink`, only what a clean pad leaves to do is here: paper is exactly 0, and has no shadows and no lines.
 */

const TRAIN_MEAN = Math.fround(0.1307); // of the pixels of the training images, see notebook 3
const TRAIN_STD = Math.fround(0.3081);

/**
 * Take a drawing through the stages.
 *
 * @param {Float32Array} ink    size x size levels, row by row, 0 = paper, 1 = ink
 * @param {number} size
 * @param {Set<string>} [leftOut]    stages to leave out: specks, crop, proportions, average, centre, invert, normalise
 * @returns {{levels: Uint8Array, input: Float32Array} | null}    28x28 grey levels, 0 to 255, and the numbers that the
 *     network gets; null where there is no ink
 */
function prepare(ink, size, leftOut = new Set()) {
  const kept = leftOut.has("specks") ? ink : dropSpecks(ink, size);
  const drawing = { pixels: kept, width: size, height: size };
  const box = findBox(drawing);
  if (box === null) return null;

  const cropped = leftOut.has("crop") ? drawing : crop(drawing, box);
  const square = leftOut.has("proportions") ? cropped : padToSquare(cropped);
  const side = leftOut.has("crop") ? 28 : 20;
  const shrunk = leftOut.has("average") ? pickPixels(square, side) : averagePixels(square, side);

  // A thin pen would otherwise come out as pale as it is thin.
  const darkest = shrunk.reduce((a, b) => Math.max(a, b), 0) || 1;
  const small = thicken(shrunk.map((level) => level / darkest), side);

  const middle = (28 - side) / 2;
  const [down, right] = leftOut.has("centre") ? [middle, middle] : centreByMass(small, side);
  let levels = new Uint8Array(28 * 28);
  for (let row = 0; row < side; row++) {
    for (let column = 0; column < side; column++) {
      const [y, x] = [row + down, column + right];
      if (0 <= y && y < 28 && 0 <= x && x < 28) levels[28 * y + x] = roundHalfToEven(255 * small[side * row + column]);
    }
  }
  if (leftOut.has("invert")) levels = levels.map((level) => 255 - level); // dark ink on light paper
  return { levels, input: leftOut.has("normalise") ? scale(levels) : normalise(levels) };
}

/**
 * Drop pieces with less than a twentieth of the heaviest one's ink, and small ones far from all large ones. Large is
 * from two fifths of the highest piece's height on; far is three tenths of it.
 */
function dropSpecks(ink, size) {
  const { labels, masses } = labelPieces(ink, size);
  if (masses.length < 2) return ink; // one piece, or none
  const heavy = masses.map((mass, label) => label).filter((label) => masses[label] >= 0.05 * Math.max(...masses));
  const pieces = heavy.map((label) => {
    const { height } = findBox({ pixels: labels.map((other) => other === label), width: size, height: size });
    return { label, height };
  });
  const highest = Math.max(...pieces.map((piece) => piece.height));
  const isLarge = (piece) => piece.height >= 0.4 * highest;
  const isNear = (piece) =>
    pieces.some((other) => isLarge(other) && distance(labels, size, piece.label, other.label) <= 0.3 * highest + 1);
  const kept = new Set(pieces.filter((piece) => isLarge(piece) || isNear(piece)).map((piece) => piece.label));
  return ink.map((level, i) => (kept.has(labels[i]) ? level : 0));
}

/** Return how many pixels two pieces are apart at their nearest. */
function distance(labels, size, one, other) {
  // The nearest pixels lie on the edges of the two, which are few.
  const [edge, otherEdge] = [one, other].map((label) => {
    const isEdge = (i) => [i - 1, i + 1, i - size, i + size].some((neighbour) => labels[neighbour] !== label);
    return Array.from(labels.keys()).filter((i) => labels[i] === label && isEdge(i));
  });
  let nearest = Infinity; // squared
  for (const i of edge) {
    for (const j of otherEdge) {
      const [down, right] = [Math.floor(i / size) - Math.floor(j / size), (i % size) - (j % size)];
      nearest = Math.min(nearest, down * down + right * right);
    }
  }
  return Math.sqrt(nearest);
}

/**
 * Number the connected pieces of an image's ink; pixels that touch at a corner are connected.
 *
 * @returns {{labels: Int16Array, masses: number[]}}    labels: for each pixel its piece, from 0 on, or -1 for paper;
 *     masses: for each piece the sum of its levels
 */
function labelPieces(image, size) {
  const labels = new Int16Array(image.length).fill(-1);
  const masses = [];
  for (let start = 0; start < image.length; start++) {
    if (image[start] === 0 || labels[start] !== -1) continue;
    const label = masses.length;
    const found = [start]; // pixels of this piece whose neighbours have not been looked at
    labels[start] = label;
    masses.push(0);
    while (found.length > 0) {
      const i = found.pop();
      masses[label] += image[i];
      const [row, column] = [Math.floor(i / size), i % size];
      for (let y = Math.max(0, row - 1); y <= Math.min(size - 1, row + 1); y++) {
        for (let x = Math.max(0, column - 1); x <= Math.min(size - 1, column + 1); x++) {
          const neighbour = size * y + x;
          if (image[neighbour] > 0 && labels[neighbour] === -1) {
            labels[neighbour] = label;
            found.push(neighbour);
          }
        }
      }
    }
  }
  return { labels, masses };
}

/** Return the smallest box that holds all ink, {left, top, width, height}; null where there is none. */
function findBox({ pixels, width, height }) {
  let [left, right, top, bottom] = [width, -1, height, -1];
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      if (pixels[width * row + column] > 0) {
        left = Math.min(left, column);
        right = Math.max(right, column);
        top = Math.min(top, row);
        bottom = Math.max(bottom, row);
      }
    }
  }
  return right < 0 ? null : { left, top, width: right - left + 1, height: bottom - top + 1 };
}

function crop(image, { left, top, width, height }) {
  const pixels = new Float32Array(width * height);
  for (let row = 0; row < height; row++) {
    const start = image.width * (top + row) + left;
    pixels.set(image.pixels.subarray(start, start + width), width * row);
  }
  return { pixels, width, height };
}

/** Put paper beside a high image, or above and below a wide one: a square is scaled without changing its proportions. */
function padToSquare(image) {
  const side = Math.max(image.width, image.height);
  const [left, top] = [Math.floor((side - image.width) / 2), Math.floor((side - image.height) / 2)];
  const pixels = new Float32Array(side * side);
  for (let row = 0; row < image.height; row++) {
    pixels.set(image.pixels.subarray(image.width * row, image.width * (row + 1)), side * (top + row) + left);
  }
  return { pixels, width: side, height: side };
}

/** Scale to side x side pixels, each the weighted average of all those that it covers: first along rows, then columns. */
function averagePixels({ pixels, width, height }, side) {
  const alongRows = averagingWeights(width, side);
  const rows = new Float32Array(height * side);
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < side; column++) {
      const { first, weights } = alongRows[column];
      let sum = 0;
      for (let i = 0; i < weights.length; i++) sum += weights[i] * pixels[width * row + first + i];
      rows[side * row + column] = sum;
    }
  }
  const alongColumns = averagingWeights(height, side);
  const small = new Float32Array(side * side);
  for (let row = 0; row < side; row++) {
    const { first, weights } = alongColumns[row];
    for (let column = 0; column < side; column++) {
      let sum = 0;
      for (let i = 0; i < weights.length; i++) sum += weights[i] * rows[side * (first + i) + column];
      small[side * row + column] = sum;
    }
  }
  return small;
}

/**
 * For each of numOut pixels: which of numIn pixels it averages, and with what weights.
 *
 * The weights fall off on both sides of the middle like a tent (Pillow calls this filter BILINEAR). One pixel of the
 * result is as wide as numIn / numOut old ones, and the tent is twice as wide, so that neighbours overlap.
 */
function averagingWeights(numIn, numOut) {
  const ratio = numIn / numOut;
  const reach = Math.max(1, ratio); // of the tent, to either side
  return Array.from({ length: numOut }, (_, i) => {
    const middle = (i + 0.5) * ratio;
    const first = Math.max(0, Math.floor(middle - reach + 0.5));
    const end = Math.min(numIn, Math.floor(middle + reach + 0.5));
    const weights = Array.from({ length: end - first }, (_, k) => {
      return Math.max(0, 1 - Math.abs(first + k + 0.5 - middle) / reach);
    });
    const sum = weights.reduce((a, b) => a + b);
    return { first, weights: weights.map((weight) => weight / sum) };
  });
}

/** Scale to side x side pixels by taking one old pixel for each and forgetting the rest. */
function pickPixels({ pixels, width, height }, side) {
  const small = new Float32Array(side * side);
  for (let row = 0; row < side; row++) {
    for (let column = 0; column < side; column++) {
      const [y, x] = [Math.floor(((row + 0.5) * height) / side), Math.floor(((column + 0.5) * width) / side)];
      small[side * row + column] = pixels[width * y + x];
    }
  }
  return small;
}

/** Give the pixels beside thin strokes a share of their ink: of MNIST's, a twentieth lies in strokes a pixel wide. */
function thicken(image, side) {
  const rank = (best, pixels, steps) =>
    pixels.map((level, i) => steps.reduce((value, step) => best(value, neighbour(pixels, side, i, ...step)), level));
  // What is two pixels wide both ways is left by the least of each 2x2 block, and then the largest of these.
  const blocks = rank(Math.min, image, [[-1, 0], [0, -1], [-1, -1]]);
  const wide = rank(Math.max, blocks, [[1, 0], [0, 1], [1, 1]]);
  const sum = (pixels) => pixels.reduce((a, b) => a + b, 0);
  const share = Math.min(0.6, Math.max(0, 2 * (1 - sum(wide) / sum(image)) - 0.4));
  const beside = rank(Math.max, image, [[-1, 0], [0, -1], [1, 0], [0, 1]]);
  return image.map((level, i) => Math.max(level, share * beside[i]));
}

/** Return the pixel some rows down and columns right of another; at an edge, where there is none, the other one. */
function neighbour(image, side, i, down, right) {
  const [row, column] = [Math.floor(i / side) + down, (i % side) + right];
  return 0 <= row && row < side && 0 <= column && column < side ? image[side * row + column] : image[i];
}

/** Return how far [down, right] an image of side x side must go in 28x28 for its centre of mass to lie at (14, 14). */
function centreByMass(small, side) {
  let [mass, rowSum, columnSum] = [0, 0, 0];
  for (let row = 0; row < side; row++) {
    for (let column = 0; column < side; column++) {
      const level = small[side * row + column];
      mass += level;
      rowSum += level * row;
      columnSum += level * column;
    }
  }
  const shift = (centre) => {
    const pixels = Math.floor(14.5 - centre);
    return side === 28 ? pixels : Math.min(8, Math.max(0, pixels)); // of the box of 20 nothing is cut off
  };
  return [shift(rowSum / mass), shift(columnSum / mass)];
}

/** Scale grey levels to 0 to 1. */
function scale(levels) {
  return Float32Array.from(levels, (level) => level / 255);
}

/** Scale grey levels to the mean and the standard deviation that the training images have: `digitlib.data.normalise`. */
function normalise(levels) {
  return scale(levels).map((x) => Math.fround(x - TRAIN_MEAN) / TRAIN_STD);
}

/** Round as NumPy does: 0.5 and 1.5 go to the nearest even number. */
function roundHalfToEven(x) {
  const down = Math.floor(x);
  return x - down === 0.5 ? down + (down % 2) : Math.round(x);
}
