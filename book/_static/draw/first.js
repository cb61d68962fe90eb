"use strict";

/** The pad of the first page: a digit is on it and read, and the reader's first stroke makes room for another. */

let timer = 0;
let sampleShown = 7;

const network = decodeNetwork(NETWORK);
const requestAnswer = oncePerFrame(answer);
const bars = addBars(byId("draw-bars"));
const pad = createPad(byId("draw-pad"), {
  onChange: requestAnswer,
  label: "Drawing pad, for a mouse, a finger or a pen. With a keyboard, press “Another digit”.",
});

function answer() {
  const prepared = prepare(pad.grey, pad.size);
  const probabilities = prepared && forward(network, prepared.input).probabilities;
  byId("draw-pad").classList.toggle("draw-empty", pad.isEmpty());
  showAnswer(bars, probabilities);
  clearTimeout(timer);
  timer = setTimeout(() => (byId("draw-status").textContent = inWords(probabilities)), QUIET);
}

byId("draw-undo").addEventListener("click", pad.undo);
byId("draw-clear").addEventListener("click", pad.clear);
byId("draw-another").addEventListener("click", () => {
  sampleShown = (sampleShown + 3) % 10;
  pad.replace([sampleItem(sampleShown, true)]);
});
undoByKey(pad);
makeRoom(pad);
pad.replace([sampleItem(sampleShown, true)]);
