"use strict";

/**
 * The page "Draw a digit": the pad, the stages, the network, and what they show.
 *
 * The names of this file and of the three others are known in the browser's console as well: try `pad.items`,
 * or `forward(network, prepare(pad.grey, pad.size).input).probabilities`.
 */

const STAGES = ["specks", "crop", "proportions", "average", "centre", "invert", "normalise"];

// Where "Move and resize" puts a drawing, one after the other: its longer side and its middle, in shares of the pad.
const PLACES = [
  { length: 0.3, x: 0.22, y: 0.25 },
  { length: 0.55, x: 0.66, y: 0.6 },
  { length: 0.9, x: 0.5, y: 0.5 },
  { length: 0.4, x: 0.75, y: 0.28 },
  { length: 0.65, x: 0.5, y: 0.5 },
];

const QUIET = 500; // milliseconds without a change after which the answer is announced, so that it is not cut short

const byId = (id) => document.getElementById(id);
const percent = (share) => `${(100 * share).toFixed(1)}%`;

const leftOut = new Set(); // the stages that the reader has switched off
let placesUsed = 0;
let frame = 0; // the frame that will answer, where one is asked for
let timer = 0;

const network = decodeNetwork(NETWORK);
const samples = SAMPLES.map(decodeBytes);
const pad = createPad(byId("draw-pad"), {
  onChange: requestAnswer,
  label: "Drawing pad, for a mouse, a finger or a pen. With a keyboard, pick a sample digit below.",
});
const bars = Array.from({ length: 10 }, (_, digit) => addBar(digit));

/** Answer in the browser's next frame, however many changes come before it. */
function requestAnswer() {
  frame ||= requestAnimationFrame(() => {
    frame = 0;
    answer();
  });
}

/** Read the pad and show what the network makes of it. */
function answer() {
  const start = performance.now();
  const prepared = prepare(pad.grey, pad.size, leftOut);
  const result = prepared && forward(network, prepared.input);
  const milliseconds = performance.now() - start;

  byId("draw-pad").classList.toggle("draw-empty", pad.isEmpty());
  showAnswer(result?.probabilities);
  drawGrey(byId("draw-input"), prepared?.levels);
  drawMaps(byId("draw-maps"), network.convolutions[0].weight, result?.maps);
  byId("draw-time").textContent = result ? `Answered in ${milliseconds.toFixed(1)} ms.` : "";

  clearTimeout(timer);
  timer = setTimeout(() => {
    byId("draw-status").textContent = inWords(result?.probabilities);
    compareStages();
  }, QUIET);
}

function showAnswer(probabilities) {
  const digit = probabilities ? ranking(probabilities)[0] : null;
  byId("draw-digit").textContent = digit ?? "–";
  byId("draw-sure").textContent = probabilities ? percent(probabilities[digit]) : "nothing drawn yet";
  byId("draw-doubt").textContent = probabilities ? doubt(probabilities) : "";
  bars.forEach(({ row, bar, number }, i) => {
    row.classList.toggle("draw-best", i === digit);
    bar.style.width = probabilities ? percent(probabilities[i]) : "0";
    number.textContent = probabilities ? percent(probabilities[i]) : "–";
  });
}

/** Say in one line that the network is not sure, and the second guess; nothing where it is sure. */
function doubt(probabilities) {
  const [first, second] = ranking(probabilities);
  if (probabilities[first] >= SURE) return "";
  return `Not sure: it may also be ${second} (${percent(probabilities[second])}).`;
}

function inWords(probabilities) {
  if (!probabilities) return "The pad is empty.";
  const [digit] = ranking(probabilities);
  return `The network reads ${digit}, with probability ${percent(probabilities[digit])}. ${doubt(probabilities)}`;
}

/** Return the digits, the most probable first. */
function ranking(probabilities) {
  return [...probabilities.keys()].sort((a, b) => probabilities[b] - probabilities[a]);
}

/** In each row show what the network sees and reads if that stage alone is left out; in the last one, two stages. */
function compareStages() {
  for (const stages of [...STAGES.map((stage) => [stage]), ["crop", "centre"]]) {
    const prepared = prepare(pad.grey, pad.size, new Set(stages));
    drawGrey(byId(`draw-without-${stages.join("-")}`), prepared?.levels);
    let reads = "–";
    if (prepared) {
      const { probabilities } = forward(network, prepared.input);
      const [digit] = ranking(probabilities);
      reads = `${digit}, ${percent(probabilities[digit])}`;
    }
    byId(`draw-says-${stages.join("-")}`).textContent = reads;
  }
}

/** Show grey levels, 0 = black; without any, nothing. */
function drawGrey(canvas, levels) {
  const context = canvas.getContext("2d");
  const picture = context.createImageData(canvas.width, canvas.height);
  levels?.forEach((level, i) => picture.data.set([level, level, level, 255], 4 * i));
  context.putImageData(picture, 0, 0);
}

/** Show each kernel, and under it the feature map that it makes: eight in a row. */
function drawMaps(canvas, kernels, maps) {
  const context = canvas.getContext("2d");
  const picture = context.createImageData(canvas.width, canvas.height);
  const [largestWeight, largestValue] = [largest(kernels.data), maps && largest(maps.data)];
  for (let channel = 0; channel < kernels.shape[0]; channel++) {
    const [left, top] = [30 * (channel % 8), 48 * Math.floor(channel / 8)];
    drawSigned(picture, kernels, channel, largestWeight, left + 7, top, 4);
    if (maps) drawSigned(picture, maps, channel, largestValue, left, top + 14, 1);
  }
  context.putImageData(picture, 0, 0);
}

/** Return the largest distance from zero. */
function largest(numbers) {
  return numbers.reduce((a, b) => Math.max(a, Math.abs(b)), 0) || 1;
}

/** Draw one channel of a tensor: brown is -end, white 0, violet +end. */
function drawSigned(picture, { shape, data }, channel, end, left, top, pixelSize) {
  const [height, width] = shape.slice(-2);
  const [brown, violet] = [
    [179, 88, 6],
    [84, 39, 136],
  ];
  for (let row = 0; row < height * pixelSize; row++) {
    for (let column = 0; column < width * pixelSize; column++) {
      const [y, x] = [Math.floor(row / pixelSize), Math.floor(column / pixelSize)];
      const value = data[(channel * height + y) * width + x] / end;
      const strongest = value < 0 ? brown : violet;
      const i = 4 * ((top + row) * picture.width + left + column);
      for (let k = 0; k < 3; k++) picture.data[i + k] = 255 + (strongest[k] - 255) * Math.abs(value);
      picture.data[i + 3] = 255; // not transparent
    }
  }
}

function addBar(digit) {
  const make = (tag, className, parent) => parent.appendChild(Object.assign(document.createElement(tag), { className }));
  const row = make("li", "draw-row", byId("draw-bars"));
  make("span", "draw-name", row).textContent = digit;
  const bar = make("span", "draw-bar", make("span", "draw-track", row));
  return { row, bar, number: make("span", "draw-number", row) };
}

byId("draw-undo").addEventListener("click", pad.undo);
byId("draw-clear").addEventListener("click", pad.clear);
byId("draw-move").addEventListener("click", () => {
  const box = findBox({ pixels: pad.grey, width: pad.size, height: pad.size });
  if (box === null) return;
  const { length, x, y } = PLACES[placesUsed++ % PLACES.length];
  const scaleBy = (length * pad.size) / Math.max(box.width, box.height);
  pad.transform(
    scaleBy,
    x * pad.size - scaleBy * (box.left + box.width / 2),
    y * pad.size - scaleBy * (box.top + box.height / 2),
  );
});
document.querySelectorAll("[data-sample]").forEach((button) => {
  button.addEventListener("click", () => {
    // Smaller than the pad and not in its middle, so that there is something to prepare.
    pad.replace([{ pixels: samples[button.dataset.sample], side: 28, left: 30, top: 70, scale: 6 }]);
  });
});
STAGES.forEach((stage) => {
  const box = byId(`draw-stage-${stage}`);
  const change = () => {
    leftOut[box.checked ? "delete" : "add"](stage);
    requestAnswer();
  };
  box.addEventListener("change", change);
  change(); // a browser that comes back to the page may remember an empty box
});
