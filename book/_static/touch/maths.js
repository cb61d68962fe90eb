"use strict";

/**
 * The computations that can be touched, as torch does them; a test holds the two together.
 *
 * Matrices are arrays of numbers row by row, the last axis fastest, as in torch.
 */
(() => {
  /** Turn logits into probabilities: positive numbers that sum to 1. */
  function softmax(logits) {
    const largest = Math.max(...logits); // subtracted, so that exp cannot overflow
    const powers = Array.from(logits, (logit) => Math.exp(logit - largest));
    const sum = powers.reduce((a, b) => a + b);
    return powers.map((power) => power / sum);
  }

  // ---- a convolution ----

  /** How many places a window of `kernelSize` finds along a side, and so how long the map's side is. */
  function placesAlong(size, kernelSize, { stride = 1, padding = 0 } = {}) {
    return Math.floor((size + 2 * padding - kernelSize) / stride) + 1;
  }

  /** The pixels under the window that makes the map's number at row, column; 0 beyond the edge. */
  function windowAt(image, size, kernelSize, row, column, { stride = 1, padding = 0 } = {}) {
    const pixels = [];
    for (let i = 0; i < kernelSize; i++) {
      for (let j = 0; j < kernelSize; j++) {
        const [y, x] = [row * stride - padding + i, column * stride - padding + j];
        pixels.push(0 <= y && y < size && 0 <= x && x < size ? image[size * y + x] : 0);
      }
    }
    return pixels;
  }

  /** Move a square kernel over a square image: at each place the sum of the products is one number of the map. */
  function convolve(image, size, kernel, options) {
    const kernelSize = Math.sqrt(kernel.length);
    const places = placesAlong(size, kernelSize, options);
    const map = [];
    for (let row = 0; row < places; row++) {
      for (let column = 0; column < places; column++) {
        const pixels = windowAt(image, size, kernelSize, row, column, options);
        map.push(pixels.reduce((sum, pixel, i) => sum + pixel * kernel[i], 0));
      }
    }
    return map;
  }

  // ---- descent on the two parameters of notebook 06: is it a 0 or a 1? ----

  const sigmoid = (x) => 1 / (1 + Math.exp(-x));
  const softplus = (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))); // ln(1 + e^x)

  /**
   * The loss at [w, b] and its gradient: the 1 has the logit w · ink + b, the 0 a logit of zero.
   *
   * @param {{ink: ArrayLike<number>, labels: ArrayLike<number>}} data    labels: 0 or 1
   */
  function lossAndGradient([w, b], { ink, labels }) {
    let [loss, slopeW, slopeB] = [0, 0, 0];
    for (let i = 0; i < ink.length; i++) {
      const logit = w * ink[i] + b;
      const difference = sigmoid(logit) - labels[i]; // what was said minus what is true
      loss += softplus(logit) - labels[i] * logit;
      slopeW += difference * ink[i];
      slopeB += difference;
    }
    return { loss: loss / ink.length, gradient: [slopeW / ink.length, slopeB / ink.length] };
  }

  /** Each makes a function that takes parameters and their gradient, and returns the parameters after one step. */
  const optimizers = {
    sgd: ({ rate }) => (parameters, gradient) => parameters.map((p, i) => p - rate * gradient[i]),

    momentum: ({ rate, momentum = 0.9 }) => {
      let sum; // of past gradients, which fade
      return (parameters, gradient) => {
        sum = gradient.map((slope, i) => momentum * (sum?.[i] ?? 0) + slope);
        return parameters.map((p, i) => p - rate * sum[i]);
      };
    },

    adam: ({ rate, betas: [beta1, beta2] = [0.9, 0.999], eps = 1e-8 }) => {
      let [mean, square, step] = [[], [], 0];
      return (parameters, gradient) => {
        step += 1;
        mean = gradient.map((slope, i) => beta1 * (mean[i] ?? 0) + (1 - beta1) * slope);
        square = gradient.map((slope, i) => beta2 * (square[i] ?? 0) + (1 - beta2) * slope ** 2);
        return parameters.map((p, i) => {
          const [m, s] = [mean[i] / (1 - beta1 ** step), square[i] / (1 - beta2 ** step)]; // both started at 0
          return p - (rate * m) / (Math.sqrt(s) + eps);
        });
      };
    },
  };

  // ---- a recurrent network ----

  /**
   * Read an image row by row.
   *
   * @param {ArrayLike<number>} image    28 x 28 normalised numbers
   * @param {object} network    weightIn (H, 28), weightHidden (H, H), bias (H): both biases' sum, out (10, H), outBias (10)
   * @returns {{states: number[][], logits: number[][]}}    after each row: the H numbers of the hidden state, and the
   *     ten logits that the output layer makes of them
   */
  function readRows(image, { weightIn, weightHidden, bias, out, outBias }) {
    const size = bias.length;
    const times = (matrix, first, vector) => vector.reduce((sum, x, i) => sum + matrix[first + i] * x, 0);
    const [states, logits] = [[], []];
    let state = Array(size).fill(0);
    for (let start = 0; start < image.length; start += 28) {
      const row = Array.from({ length: 28 }, (_, i) => image[start + i]);
      const before = state;
      state = Array.from(bias, (b, unit) =>
        Math.tanh(b + times(weightIn, 28 * unit, row) + times(weightHidden, size * unit, before)),
      );
      states.push(state);
      logits.push(Array.from(outBias, (b, digit) => b + times(out, size * digit, state)));
    }
    return { states, logits };
  }

  Touch.maths = { softmax, placesAlong, windowAt, convolve, lossAndGradient, optimizers, readRows };
})();
