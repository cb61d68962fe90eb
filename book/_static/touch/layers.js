"use strict";

/**
 * Every number inside a convolutional network, and what it was made from.
 *
 * The layers are those of ../draw/network.js, whose functions are handed in; whatever their number and their sizes.
 */
(() => {
  /**
   * Run one image through the network and keep what each layer makes.
   *
   * @param {object} network    of decodeNetwork
   * @param {ArrayLike<number>} input    28 x 28 normalised numbers
   * @param {object} tools    convolve, relu, maxPool, weightedSums
   * @returns {object[]}    {kind, shape, data} each: "input", then "convolution" (after ReLU; sums: before it) and, where
   *     the network pools, "pooling"; last "sums", the ten logits, of shape (10, 1, 1)
   */
  function run({ convolutions, fc }, input, { convolve, relu, maxPool, weightedSums }) {
    const stages = [{ kind: "input", shape: [1, 28, 28], data: Float32Array.from(input) }];
    for (const { weight, bias, isPooled } of convolutions) {
      const sums = convolve(stages.at(-1), weight, bias);
      stages.push({ kind: "convolution", ...relu(sums), sums: sums.data, weight, bias });
      if (isPooled) stages.push({ kind: "pooling", ...maxPool(stages.at(-1)) });
    }
    const data = weightedSums(stages.at(-1).data, fc.weight.data, fc.bias.data);
    return [...stages, { kind: "sums", shape: [10, 1, 1], data, weight: fc.weight, bias: fc.bias }];
  }

  /**
   * Take one number apart.
   *
   * @returns {{value: number, total: number, bias: number, parts: object[]}}    parts, for each map of the layer before:
   *     {channel, row, column: of the first of its numbers that were used; numbers, weights, sum}; of a pooled number:
   *     the squares it is the largest of, {channel, row, column, sum}. total: the sum before ReLU
   */
  function explain(stages, index, channel, row, column) {
    const { kind, shape, data, weight, bias } = stages[index];
    const value = data[(channel * shape[1] + row) * shape[2] + column];
    if (kind === "input") return { value, total: value, bias: 0, parts: [] };
    const before = stages[index - 1];
    const [channelsIn, height, width] = before.shape;
    const at = (c, y, x) => before.data[(c * height + y) * width + x];
    if (kind === "pooling") {
      const places = [0, 1, 2, 3].map((i) => [2 * row + (i >> 1), 2 * column + (i & 1)]);
      const parts = places.map(([y, x]) => ({ channel, row: y, column: x, sum: at(channel, y, x) }));
      return { value, total: value, bias: 0, parts };
    }
    const [high, wide] = kind === "sums" ? [height, width] : weight.shape.slice(2);
    const parts = Array.from({ length: channelsIn }, (_, c) => {
      const first = (channel * channelsIn + c) * high * wide;
      const weights = Array.from(weight.data.slice(first, first + high * wide));
      const numbers = weights.map((_, i) => at(c, row + Math.floor(i / wide), column + (i % wide)));
      return { channel: c, row, column, wide, numbers, weights, sum: numbers.reduce((sum, x, i) => sum + x * weights[i], 0) };
    });
    const total = parts.reduce((sum, part) => sum + part.sum, bias.data[channel]);
    return { value, total, bias: bias.data[channel], parts };
  }

  Touch.layers = { run, explain };
})();
