"use strict";

/**
 * A small network that learns in the page: dense layers with ReLU and dropout, cross-entropy, plain SGD.
 *
 * All of it is one function, so that its source can be handed to a worker; a test holds its gradients to torch's.
 */
Touch.learning = function learning() {
  /** Random numbers from 0 to 1 that the seed decides (Mulberry32). */
  function random(seed) {
    return () => {
      seed = (seed + 0x6d2b79f5) | 0;
      let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
      return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
    };
  }

  /** Layers of [784, ..., 10] units, with torch's own start: evenly from ±1/√(units before). */
  function makeLayers(sizes, draw) {
    return sizes.slice(1).map((size, i) => {
      const limit = 1 / Math.sqrt(sizes[i]);
      const start = () => (2 * draw() - 1) * limit;
      return { weight: Float32Array.from({ length: size * sizes[i] }, start), bias: Float32Array.from({ length: size }, start) };
    });
  }

  /** For dropout: 0 for units that are left out, 1/(1 - p) for the others. */
  function drawMask(length, dropout, draw) {
    return Float32Array.from({ length }, () => (draw() < dropout ? 0 : 1 / (1 - dropout)));
  }

  /** Which of the numbers are not 0: the others add nothing to a sum, and four of five pixels have no ink. */
  function notZero(x, from, length) {
    const places = [];
    for (let i = 0; i < length; i++) if (x[from + i] !== 0) places.push(i);
    return places;
  }

  /**
   * Run images through the layers.
   *
   * @param {Float32Array} images    (N, 784)
   * @param {Float32Array[]} [masks]    for each hidden layer (N, units); without, as in evaluation mode, nothing is dropped
   * @returns {Float32Array[]}    what comes into each layer, and last the logits (N, 10)
   */
  function forward(layers, images, masks) {
    const values = [images];
    layers.forEach(({ weight, bias }, number) => {
      const x = values.at(-1);
      const [numOut, numIn] = [bias.length, weight.length / bias.length];
      const numImages = x.length / numIn;
      const isLast = number === layers.length - 1;
      const result = new Float32Array(numImages * numOut);
      for (let n = 0; n < numImages; n++) {
        const from = n * numIn;
        const places = notZero(x, from, numIn);
        for (let out = 0; out < numOut; out++) {
          const to = out * numIn;
          let sum = bias[out];
          for (const i of places) sum += weight[to + i] * x[from + i];
          const at = n * numOut + out;
          if (isLast) result[at] = sum;
          else if (sum > 0) result[at] = masks ? sum * masks[number][at] : sum;
        }
      }
      values.push(result);
    });
    return values;
  }

  /** The mean cross-entropy, how many are right, and the logits' gradient: what was said minus what is true, over N. */
  function crossEntropy(logits, labels) {
    const gradient = new Float32Array(logits.length);
    let [loss, numRight] = [0, 0];
    for (let n = 0; n < labels.length; n++) {
      const own = logits.subarray(10 * n, 10 * n + 10);
      const largest = Math.max(...own);
      const powers = Array.from(own, (z) => Math.exp(z - largest));
      const sum = powers.reduce((a, b) => a + b);
      loss += Math.log(sum) + largest - own[labels[n]];
      numRight += own.indexOf(largest) === labels[n];
      powers.forEach((power, i) => (gradient[10 * n + i] = (power / sum - (i === labels[n])) / labels.length));
    }
    return { loss: loss / labels.length, numRight, gradient };
  }

  /** Walk back from the logits' gradient: that of each layer's weight and bias, by the chain rule. */
  function backward(layers, values, gradient, masks) {
    const gradients = [];
    for (let number = layers.length - 1; number >= 0; number--) {
      const { weight, bias } = layers[number];
      const x = values[number];
      const [numOut, numIn] = [bias.length, weight.length / bias.length];
      const [forWeight, forBias] = [new Float32Array(weight.length), new Float32Array(numOut)];
      const before = number > 0 ? new Float32Array(x.length) : null; // images need no gradient
      for (let n = 0; n < gradient.length / numOut; n++) {
        const from = n * numIn;
        const places = notZero(x, from, numIn);
        for (let out = 0; out < numOut; out++) {
          const slope = gradient[n * numOut + out];
          if (slope === 0) continue;
          const to = out * numIn;
          forBias[out] += slope;
          for (const i of places) forWeight[to + i] += slope * x[from + i];
          // Where x is 0, ReLU or dropout let nothing through, and no gradient comes back.
          if (before) for (const i of places) before[from + i] += slope * weight[to + i];
        }
      }
      gradients.unshift({ weight: forWeight, bias: forBias });
      if (before && masks) before.forEach((slope, i) => (before[i] = slope * masks[number - 1][i]));
      gradient = before;
    }
    return gradients;
  }

  /** One step of SGD on one batch; returns the batch's loss and how many it read right, before the step. */
  function trainStep(layers, images, labels, { rate, dropout }, draw) {
    const masks = layers.slice(0, -1).map(({ bias }) => drawMask(labels.length * bias.length, dropout, draw));
    const values = forward(layers, images, masks);
    const { loss, numRight, gradient } = crossEntropy(values.at(-1), labels);
    backward(layers, values, gradient, masks).forEach(({ weight, bias }, number) => {
      weight.forEach((slope, i) => (layers[number].weight[i] -= rate * slope));
      bias.forEach((slope, i) => (layers[number].bias[i] -= rate * slope));
    });
    return { loss, numRight };
  }

  /**
   * Train, and report after each epoch.
   *
   * @param {object} data    train and validation: {images: Float32Array (N, 784), labels: Uint8Array} each
   * @param {object} options    hidden: number[], rate, dropout, batchSize, numEpochs, seed
   * @param {(report: object) => void} report    gets epoch; train and validation: {loss, accuracy}; answers
   */
  function train({ train: part, validation }, options, report) {
    const draw = random(options.seed);
    const layers = makeLayers([784, ...options.hidden, 10], draw);
    const order = Array.from(part.labels.keys());
    for (let epoch = 1; epoch <= options.numEpochs; epoch++) {
      for (let i = order.length - 1; i > 0; i--) {
        const j = Math.floor(draw() * (i + 1));
        [order[i], order[j]] = [order[j], order[i]];
      }
      let [loss, numRight] = [0, 0];
      for (let start = 0; start < order.length; start += options.batchSize) {
        const rows = order.slice(start, start + options.batchSize);
        const images = new Float32Array(784 * rows.length);
        rows.forEach((row, i) => images.set(part.images.subarray(784 * row, 784 * (row + 1)), 784 * i));
        const batch = trainStep(layers, images, Uint8Array.from(rows, (row) => part.labels[row]), options, draw);
        loss += batch.loss * rows.length;
        numRight += batch.numRight;
      }
      const logits = forward(layers, validation.images).at(-1);
      const measured = crossEntropy(logits, validation.labels);
      report({
        epoch,
        train: { loss: loss / order.length, accuracy: numRight / order.length },
        validation: { loss: measured.loss, accuracy: measured.numRight / validation.labels.length },
        logits,
      });
    }
  }

  return { random, makeLayers, drawMask, forward, crossEntropy, backward, trainStep, train };
};
