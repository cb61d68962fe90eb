"use strict";

/**
 * A pad to draw on with a mouse, a finger or a pen.
 *
 * It knows nothing of digits or networks. What is drawn is kept twice: as items (strokes and pictures), for undo, and
 * as grey levels. The levels are computed here and not read back from the canvas: every browser gets the same ones,
 * also one that falsifies what a canvas holds to keep its reader anonymous.
 *
 * @typedef {{width: number, points: number[][]}} Stroke   points are [x, y] in pixels of the pad, y downwards
 * @typedef {{pixels: ArrayLike<number>, side: number, left: number, top: number, scale: number}} Picture
 *     side x side grey levels, 0 = paper, 255 = ink; each becomes scale x scale pixels of the pad
 */

/**
 * Make a pad inside an element.
 *
 * @param {HTMLElement} element    the canvas is put at its end
 * @param {object} [options]
 * @param {() => void} [options.onChange]    called after every change, also while a stroke is being drawn
 * @param {number} [options.size]    pixels along a side
 * @param {number} [options.pen]     width of a stroke in those pixels; thin enough for a small digit to stay open
 * @param {string} [options.label]   what a screen reader says the canvas is
 * @returns the pad: its canvas, size, grey (Float32Array, row by row, 0 = paper, 1 = ink) and items, and the functions
 *     clear(), replace(items), transform(scale, right, down), undo(), which takes back a stroke or one of these, and
 *     isEmpty()
 */
function createPad(element, { onChange = () => {}, size = 280, pen = 16, label = "Drawing area" } = {}) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = size;
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", label);
  canvas.style.touchAction = "none"; // a finger draws here, and does not scroll the page
  element.append(canvas);

  const context = canvas.getContext("2d", { willReadFrequently: true }); // kept in memory: whole pictures are put there
  const screen = context.createImageData(size, size);
  screen.data.fill(255); // white paper, and nothing transparent
  const grey = new Float32Array(size * size);
  const items = [];
  const past = []; // the items as they were before each change
  let drawing = null; // the pointer that is drawing now, if any: {id, stroke}

  function show() {
    for (let i = 0; i < grey.length; i++) {
      const level = Math.round(255 * (1 - grey[i])); // dark ink on it
      screen.data[4 * i] = screen.data[4 * i + 1] = screen.data[4 * i + 2] = level;
    }
    context.putImageData(screen, 0, 0);
    onChange();
  }

  function put(newItems) {
    drawing = null;
    items.splice(0, items.length, ...newItems);
    grey.fill(0);
    items.forEach((item) => drawItem(grey, size, item));
    show();
  }

  function replace(newItems) {
    past.push([...items]);
    put(newItems);
  }

  function place(event) {
    const box = canvas.getBoundingClientRect(); // the style sheet may show the canvas larger or smaller than it is
    return [((event.clientX - box.left) * size) / box.width, ((event.clientY - box.top) * size) / box.height];
  }

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || (drawing && canvas.hasPointerCapture(drawing.id))) return; // a second finger
    event.preventDefault();
    try {
      canvas.setPointerCapture(event.pointerId); // the stroke goes on where the pointer leaves the canvas
    } catch {
      // An event that a script made has no pointer to capture.
    }
    drawing = { id: event.pointerId, stroke: { width: pen, points: [place(event)] } };
    past.push([...items]);
    items.push(drawing.stroke);
    drawItem(grey, size, drawing.stroke);
    show();
  });

  canvas.addEventListener("pointermove", (event) => {
    if (drawing?.id !== event.pointerId) return;
    // A fast pointer moves several times between two frames; the browser keeps the places in between.
    const events = event.getCoalescedEvents?.() ?? [];
    for (const { clientX, clientY } of events.length ? events : [event]) {
      const points = drawing.stroke.points;
      points.push(place({ clientX, clientY }));
      drawSegment(grey, size, ...points.slice(-2), pen);
    }
    show();
  });

  for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
    canvas.addEventListener(end, (event) => {
      if (drawing?.id === event.pointerId) drawing = null;
    });
  }

  const pad = {
    canvas,
    size,
    grey,
    items,
    isEmpty: () => items.length === 0,
    replace,
    clear: () => items.length > 0 && replace([]),
    transform: (scale, right, down) => replace(items.map((item) => transformItem(item, scale, right, down))),
    undo: () => put(past.pop() ?? []),
  };
  put([]);
  return pad;
}

/** Draw a stroke or a picture into grey levels. */
function drawItem(grey, size, item) {
  if (item.pixels) {
    drawPicture(grey, size, item);
    return;
  }
  item.points.forEach((point, i) => drawSegment(grey, size, item.points[Math.max(0, i - 1)], point, item.width));
}

/**
 * Draw a straight line with round ends into grey levels; where ink lies already, the darker of the two stays.
 *
 * @param {Float32Array} grey    size x size levels, row by row, 0 = paper, 1 = ink
 * @param {number[]} start    [x, y]; may equal end, which makes a dot
 */
function drawSegment(grey, size, start, end, width) {
  const [x, y] = start;
  const [dx, dy] = [end[0] - x, end[1] - y];
  const length2 = dx * dx + dy * dy;
  const reach = width / 2 + 1;
  const inside = (value) => Math.min(size - 1, Math.max(0, Math.floor(value)));

  for (let row = inside(Math.min(y, y + dy) - reach); row <= inside(Math.max(y, y + dy) + reach); row++) {
    for (let column = inside(Math.min(x, x + dx) - reach); column <= inside(Math.max(x, x + dx) + reach); column++) {
      // From the centre of the pixel to the point of the line that is nearest to it.
      const [px, py] = [column + 0.5 - x, row + 0.5 - y];
      const along = length2 === 0 ? 0 : Math.min(1, Math.max(0, (px * dx + py * dy) / length2));
      const distance = Math.hypot(px - along * dx, py - along * dy);
      // A pixel at the edge of the line is partly covered, and so partly grey.
      const level = Math.min(1, Math.max(0, width / 2 + 0.5 - distance));
      const i = row * size + column;
      if (level > grey[i]) grey[i] = level;
    }
  }
}

/** Draw a picture's pixels as squares into grey levels. */
function drawPicture(grey, size, { pixels, side, left, top, scale }) {
  for (let row = 0; row < size; row++) {
    for (let column = 0; column < size; column++) {
      const [y, x] = [Math.floor((row + 0.5 - top) / scale), Math.floor((column + 0.5 - left) / scale)];
      if (0 <= y && y < side && 0 <= x && x < side) {
        const i = row * size + column;
        grey[i] = Math.max(grey[i], pixels[y * side + x] / 255);
      }
    }
  }
}

/** Return an item scaled about the pad's corner at the top left, the width of its strokes with it, and then moved. */
function transformItem(item, scale, right, down) {
  if (item.pixels) {
    const [left, top] = [scale * item.left + right, scale * item.top + down];
    return { ...item, left, top, scale: scale * item.scale };
  }
  return { width: scale * item.width, points: item.points.map(([x, y]) => [scale * x + right, scale * y + down]) };
}
