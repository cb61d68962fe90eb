"use strict";

/**
 * What every page with a pad shares: little helpers, the answer in figures and in words, and pictures of numbers.
 *
 * Scripts of a page opened from a folder share their names; this file stands after network.js and before the page's own.
 */

const QUIET = 500; // milliseconds without a change after which an answer is announced, so that it is not cut short

const byId = (id) => document.getElementById(id);
const percent = (share) => `${(100 * share).toFixed(1)}%`;

/** Make an element of a class inside another one, and return it. */
function addElement(tag, className, parent) {
  const element = document.createElement(tag);
  element.className = className;
  parent.append(element);
  return element;
}

/** Return the digits, the most probable first. */
function ranking(probabilities) {
  return [...probabilities.keys()].sort((a, b) => probabilities[b] - probabilities[a]);
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

/** Show the probable digit, how sure the network is and, in ten bars, what it gives to each digit. */
function showAnswer(bars, probabilities) {
  const digit = probabilities ? ranking(probabilities)[0] : null;
  byId("draw-digit").textContent = digit ?? "–";
  byId("draw-sure").textContent = probabilities ? percent(probabilities[digit]) : "nothing drawn yet";
  byId("draw-doubt").textContent = probabilities ? doubt(probabilities) : "";
  bars.forEach(({ row, bar, number }, i) => {
    row.classList.toggle("is-best", i === digit);
    bar.style.width = probabilities ? percent(probabilities[i]) : "0";
    number.textContent = probabilities ? percent(probabilities[i]) : "–";
  });
}

/** Put ten bars into a list, one for each digit. */
function addBars(list) {
  return Array.from({ length: 10 }, (_, digit) => {
    const row = addElement("li", "", list);
    addElement("span", "", row).textContent = digit;
    const bar = addElement("span", "digit-bar", addElement("span", "digit-track", row));
    return { row, bar, number: addElement("span", "", row) };
  });
}

/** Return a function that asks for one call of another in the browser's next frame, however often it is called. */
function oncePerFrame(task) {
  let frame = 0;
  return () => {
    frame ||= requestAnimationFrame(() => {
      frame = 0;
      task();
    });
  };
}

/**
 * Return a sample digit as an item of the pad: smaller than the pad and not in its middle, to leave some preparing.
 *
 * @param {boolean} [makesRoom]    for the reader's first stroke, where nothing else is on the pad: see makeRoom
 */
function sampleItem(digit, makesRoom = false) {
  return { pixels: decodeBytes(SAMPLES[digit]), side: 28, left: 30, top: 70, scale: 6, makesRoom };
}

/** Have a sample on the pad make room when the reader begins to draw. */
function makeRoom(pad) {
  const clear = (event) => event.button === 0 && pad.items.length === 1 && pad.items[0].makesRoom && pad.clear();
  pad.canvas.parentElement.addEventListener("pointerdown", clear, { capture: true }); // before the pad hears of it
}

/** Undo with Ctrl+Z, or ⌘Z, wherever on the page the reader is, but for a field that has an undo of its own. */
function undoByKey(pad) {
  document.addEventListener("keydown", (event) => {
    const isUndo = (event.ctrlKey || event.metaKey) && !event.shiftKey && event.key.toLowerCase() === "z";
    if (!isUndo || event.target.matches("textarea, input:not([type=checkbox], [type=radio], [type=range])")) return;
    event.preventDefault();
    pad.undo();
  });
}

/** Show grey levels, 0 = black; without any, nothing. */
function drawGrey(canvas, levels) {
  const context = canvas.getContext("2d");
  const picture = context.createImageData(canvas.width, canvas.height);
  levels?.forEach((level, i) => picture.data.set([level, level, level, 255], 4 * i));
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
