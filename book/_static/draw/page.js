"use strict";

/**
 * The page "Draw a digit": the pad, the stages, the network, and what they show.
 *
 * The names of this file and of the others are known in the browser's console as well: try `pad.items`,
 * or `forward(network, prepare(pad.grey, pad.size).input).probabilities`.
 */

const STAGES = ["specks", "crop", "proportions", "average", "centre", "invert", "normalise"];
const COMPARED = [...STAGES.map((stage) => [stage]), ["crop", "centre"]]; // left out together, a row of the table each

// Where "Move and resize" puts a drawing, one after the other: its longer side and its middle, in shares of the pad.
const PLACES = [
  { length: 0.3, x: 0.22, y: 0.25 },
  { length: 0.55, x: 0.66, y: 0.6 },
  { length: 0.9, x: 0.5, y: 0.5 },
  { length: 0.4, x: 0.75, y: 0.28 },
  { length: 0.65, x: 0.5, y: 0.5 },
];

const leftOut = new Set(); // the stages that the reader has switched off
let placesUsed = 0;
let timer = 0;

const network = decodeNetwork(NETWORK);
const requestAnswer = oncePerFrame(answer);
const bars = addBars(byId("draw-bars"));
const pad = createPad(byId("draw-pad"), {
  onChange: requestAnswer,
  label: "Drawing pad, for a mouse, a finger or a pen. With a keyboard, pick a sample digit below.",
});

/** Read the pad and show what the network makes of it. */
function answer() {
  const start = performance.now();
  const prepared = prepare(pad.grey, pad.size, leftOut);
  const result = prepared && forward(network, prepared.input);
  const milliseconds = performance.now() - start;

  byId("draw-pad").classList.toggle("draw-empty", pad.isEmpty());
  showAnswer(bars, result?.probabilities);
  drawGrey(byId("draw-input"), prepared?.levels);
  drawMaps(byId("draw-maps"), network.convolutions[0].weight, result?.maps);
  byId("draw-time").textContent = result ? `Answered in ${milliseconds.toFixed(1)} ms.` : "";

  clearTimeout(timer);
  timer = setTimeout(() => {
    byId("draw-status").textContent = inWords(result?.probabilities);
    compareStages();
  }, QUIET);
}

/**
 * In each row show what the network sees and reads if that stage alone is left out; in the last one, two stages. A row
 * at a time, so that a stroke which begins meanwhile need not wait for the rest.
 */
function compareStages(row = 0) {
  const stages = COMPARED[row];
  const prepared = prepare(pad.grey, pad.size, new Set(stages));
  drawGrey(byId(`draw-without-${stages.join("-")}`), prepared?.levels);
  let reads = "–";
  if (prepared) {
    const { probabilities } = forward(network, prepared.input);
    const [digit] = ranking(probabilities);
    reads = `${digit}, ${percent(probabilities[digit])}`;
  }
  byId(`draw-says-${stages.join("-")}`).textContent = reads;
  if (row + 1 < COMPARED.length) timer = setTimeout(() => compareStages(row + 1), 0);
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
  button.addEventListener("click", () => pad.replace([sampleItem(button.dataset.sample)]));
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
undoByKey(pad);
makeRoom(pad);
pad.replace([sampleItem(7, true)]);
