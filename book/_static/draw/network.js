"use strict";

/**
 * The CNN of notebook 5, forward only: what `digitlib.models.CNN` computes in evaluation mode.
 *
 * A tensor is {shape, data}: data holds the numbers row by row, the last axis fastest, as in torch.
 */

/** Unpack the weights that tools/export_page.py wrote: float32, as base64. Returns {name: {shape, data}}. */
function decodeWeights(encoded) {
  const decode = ({ shape, base64 }) => ({ shape, data: new Float32Array(decodeBytes(base64).buffer) });
  return Object.fromEntries(Object.entries(encoded).map(([name, tensor]) => [name, decode(tensor)]));
}

/** Turn base64 text into a Uint8Array. */
function decodeBytes(base64) {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

/**
 * Read one image.
 *
 * @param {object} weights    of decodeWeights
 * @param {Float32Array} input    28 x 28 normalised numbers
 * @returns {{maps: object, logits: Float32Array, probabilities: number[]}}    maps: the ten feature maps of the first
 *     convolution, before pooling
 */
function forward(weights, input) {
  const image = { shape: [1, 28, 28], data: input };
  const maps = convolve(image, weights["conv1.weight"], weights["conv1.bias"]); // (10, 24, 24)
  let x = relu(maxPool(maps)); // (10, 12, 12)
  x = convolve(x, weights["conv2.weight"], weights["conv2.bias"]); // (20, 8, 8)
  x = relu(maxPool(x)); // (20, 4, 4)
  x = relu(dense(x, weights["fc1.weight"], weights["fc1.bias"])); // (50)
  const logits = dense(x, weights["fc2.weight"], weights["fc2.bias"]).data; // (10)
  return { maps, logits, probabilities: softmax(logits) };
}

/** Move each kernel over all channels of the image; no padding, one pixel at a time. */
function convolve(image, { shape, data: kernels }, { data: bias }) {
  const [channelsOut, channelsIn, kernelHeight, kernelWidth] = shape;
  const [, height, width] = image.shape;
  const [heightOut, widthOut] = [height - kernelHeight + 1, width - kernelWidth + 1];
  const data = new Float32Array(channelsOut * heightOut * widthOut);

  let position = 0;
  for (let out = 0; out < channelsOut; out++) {
    for (let row = 0; row < heightOut; row++) {
      for (let column = 0; column < widthOut; column++) {
        let sum = bias[out];
        for (let channel = 0; channel < channelsIn; channel++) {
          for (let i = 0; i < kernelHeight; i++) {
            const pixel = (channel * height + row + i) * width + column;
            const weight = ((out * channelsIn + channel) * kernelHeight + i) * kernelWidth;
            for (let j = 0; j < kernelWidth; j++) sum += image.data[pixel + j] * kernels[weight + j];
          }
        }
        data[position++] = sum;
      }
    }
  }
  return { shape: [channelsOut, heightOut, widthOut], data };
}

/** Keep the largest of each 2x2 pixels. */
function maxPool({ shape, data }) {
  const [channels, height, width] = shape;
  const pooled = new Float32Array((channels * height * width) / 4);
  let position = 0;
  for (let row = 0; row < channels * height; row += 2) {
    for (let column = 0; column < width; column += 2) {
      const i = row * width + column;
      pooled[position++] = Math.max(data[i], data[i + 1], data[i + width], data[i + width + 1]);
    }
  }
  return { shape: [channels, height / 2, width / 2], data: pooled };
}

/** Replace what is negative by zero. */
function relu({ shape, data }) {
  return { shape, data: data.map((x) => Math.max(0, x)) };
}

/** Ten, or fifty, weighted sums of all numbers of x. */
function dense({ data: x }, { shape, data: weight }, { data: bias }) {
  const [numOut, numIn] = shape;
  const data = new Float32Array(numOut);
  for (let out = 0; out < numOut; out++) {
    let sum = bias[out];
    for (let i = 0; i < numIn; i++) sum += weight[out * numIn + i] * x[i];
    data[out] = sum;
  }
  return { shape: [numOut], data };
}

/** Turn logits into probabilities: positive numbers that sum to 1. */
function softmax(logits) {
  const largest = Math.max(...logits); // subtracted, so that exp cannot overflow
  const powers = Array.from(logits, (logit) => Math.exp(logit - largest));
  const sum = powers.reduce((a, b) => a + b);
  return powers.map((power) => power / sum);
}
