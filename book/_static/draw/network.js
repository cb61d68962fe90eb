"use strict";

/**
 * The network that is part of digitlib, forward only: what a `digitlib.models.ConvNet` computes in evaluation mode.
 *
 * A tensor is {shape, data}: data holds the numbers row by row, the last axis fastest, as in torch.
 */

/** Unpack the network that tools/export_page.py wrote: each tensor's float32 as base64. */
function decodeNetwork({ convolutions, fc }) {
  const decode = ({ shape, base64 }) => ({ shape, data: new Float32Array(decodeBytes(base64).buffer) });
  const layer = ({ weight, bias, ...rest }) => ({ weight: decode(weight), bias: decode(bias), ...rest });
  return { convolutions: convolutions.map(layer), fc: layer(fc) };
}

/** Turn base64 text into a Uint8Array. */
function decodeBytes(base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

/**
 * Read one image.
 *
 * @param {object} network    of decodeNetwork
 * @param {Float32Array} input    28 x 28 normalised numbers
 * @returns {{maps: object, logits: Float32Array, probabilities: number[]}}    maps: the feature maps of the first
 *     convolution, before what is negative is replaced
 */
function forward(network, input) {
  let x = { shape: [1, 28, 28], data: input };
  let maps;
  for (const { weight, bias, isPooled } of network.convolutions) {
    x = convolve(x, weight, bias); // (channels, size, size); the normalisation is in weight and bias
    maps ??= x;
    x = relu(x);
    if (isPooled) x = maxPool(x);
  }
  const logits = weightedSums(x.data, network.fc.weight.data, network.fc.bias.data); // (10)
  return { maps, logits, probabilities: softmax(logits) };
}

/** Move all kernels over the image; no padding, one pixel at a time. */
function convolve(image, { shape, data: kernels }, { data: bias }) {
  const [channelsOut, channelsIn, kernelHeight, kernelWidth] = shape;
  const [, height, width] = image.shape;
  const [heightOut, widthOut] = [height - kernelHeight + 1, width - kernelWidth + 1];
  const data = new Float32Array(channelsOut * heightOut * widthOut);
  const kernelSize = channelsIn * kernelHeight * kernelWidth;
  const pixels = new Float32Array(kernelSize);
  const places = new Int32Array(kernelSize);

  for (let row = 0; row < heightOut; row++) {
    for (let column = 0; column < widthOut; column++) {
      // What lies under the kernels here, and under which of their weights. Zeros add nothing, and more than half are zero.
      let count = 0;
      let place = 0;
      for (let channel = 0; channel < channelsIn; channel++) {
        for (let i = 0; i < kernelHeight; i++) {
          const start = (channel * height + row + i) * width + column;
          for (let j = 0; j < kernelWidth; j++, place++) {
            const pixel = image.data[start + j];
            if (pixel === 0) continue;
            pixels[count] = pixel;
            places[count++] = place;
          }
        }
      }
      // Two kernels at a time, so that a pixel is fetched once for both; of an odd number, the last comes twice.
      for (let out = 0; out < channelsOut; out += 2) {
        const next = Math.min(out + 1, channelsOut - 1);
        const first = out * kernelSize;
        const second = next * kernelSize;
        let sum = bias[out];
        let nextSum = bias[next];
        for (let i = 0; i < count; i++) {
          sum += kernels[first + places[i]] * pixels[i];
          nextSum += kernels[second + places[i]] * pixels[i];
        }
        data[(out * heightOut + row) * widthOut + column] = sum;
        data[(next * heightOut + row) * widthOut + column] = nextSum;
      }
    }
  }
  return { shape: [channelsOut, heightOut, widthOut], data };
}

/** For each number of bias: that number, and the sum of all of x, each times a weight of its own. A dense layer. */
function weightedSums(x, weights, bias) {
  const sums = new Float32Array(bias.length);
  for (let out = 0; out < bias.length; out++) {
    const first = out * x.length;
    let sum = bias[out];
    for (let i = 0; i < x.length; i++) sum += weights[first + i] * x[i];
    sums[out] = sum;
  }
  return sums;
}

/** Keep the largest of each 2x2 pixels; what is left over of an odd height or width goes. */
function maxPool({ shape: [channels, height, width], data }) {
  const [heightOut, widthOut] = [Math.floor(height / 2), Math.floor(width / 2)];
  const pooled = new Float32Array(channels * heightOut * widthOut);
  let position = 0;
  for (let channel = 0; channel < channels; channel++) {
    for (let row = 0; row < heightOut; row++) {
      for (let column = 0; column < widthOut; column++) {
        const i = (channel * height + 2 * row) * width + 2 * column;
        pooled[position++] = Math.max(data[i], data[i + 1], data[i + width], data[i + width + 1]);
      }
    }
  }
  return { shape: [channels, heightOut, widthOut], data: pooled };
}

/** Replace what is negative by zero. */
function relu({ shape, data }) {
  return { shape, data: data.map((x) => Math.max(0, x)) };
}

/** Turn logits into probabilities: positive numbers that sum to 1. */
function softmax(logits) {
  const largest = Math.max(...logits); // subtracted, so that exp cannot overflow
  const powers = Array.from(logits, (logit) => Math.exp(logit - largest));
  const sum = powers.reduce((a, b) => a + b);
  return powers.map((power) => power / sum);
}
