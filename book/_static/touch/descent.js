"use strict";

/** Downhill on the two parameters of notebook 06: three optimizers, any learning rate, any start. */
(() => {
  const SIDE = 340; // CSS pixels of the landscape
  const ROWS = 20; // of the landscape, drawn in one frame
  const LEVELS = [0.13, 0.2, 0.4, 0.8, 1.6, 3.2];
  const NAMES = { sgd: "SGD", momentum: "momentum", adam: "Adam" };
  const RATES = { sgd: 0.5, momentum: 0.1, adam: 0.2 }; // those of the notebook
  const MARKS = ["●", "■", "▲"];
  const FARTHEST = 1e6; // where a path is given up

  Touch.things.descent = (root) => {
    const { add, number } = Touch;
    const { size, low, high, heights: text, ink, labels } = Touch.data.surface;
    const heights = Touch.floats(text); // row by row: b from low to high; in each row w
    const images = { ink: Touch.floats(ink), labels: Touch.bytes(labels) };
    const paths = {}; // by optimizer: the points, their losses, the rate
    const state = { start: [0, 3], name: "sgd" };
    let step;

    const toX = (w) => ((w - low[0]) / (high[0] - low[0])) * SIDE;
    const toY = (b) => (1 - (b - low[1]) / (high[1] - low[1])) * SIDE;
    const at = (point) => Touch.maths.lossAndGradient(point, images);

    const row = add(root, "div", { className: "touch-row" });
    const land = Touch.canvas(add(row, "div"), SIDE, SIDE, "");
    const side = add(row, "div", { className: "touch-side" });
    const choice = Touch.select(side, {
      label: "Optimizer",
      options: Object.entries(NAMES),
      onChange: (name) => {
        state.name = name;
        rate.position = Math.log10(RATES[name]);
        fading.row.hidden = name !== "momentum";
        restart();
      },
    });
    const rate = Touch.slider(side, {
      label: "Learning rate",
      min: -2,
      max: 1.5,
      step: 0.01,
      value: Math.log10(RATES.sgd),
      scale: (position) => 10 ** position,
      format: (value) => value.toPrecision(2),
      onChange: restart,
    });
    const fading = Touch.slider(side, {
      label: "Fading factor",
      min: 0,
      max: 0.99,
      step: 0.01,
      value: 0.9,
      format: (value) => value.toFixed(2),
      onChange: restart,
    });
    fading.row.hidden = true;
    const buttons = add(side, "div", { className: "touch-controls" });
    Touch.button(buttons, "One step", () => {
      player.stop();
      walk();
    });
    const player = Touch.player(buttons, { play: "Forty steps", pause: "Stop", milliseconds: 60, step: walkForty });
    Touch.button(buttons, "Back to the start", restart);
    Touch.button(buttons, "Wipe all paths", () => {
      Object.keys(paths).forEach((name) => delete paths[name]);
      restart();
    });
    const legend = add(side, "p", { className: "touch-legend" });
    const say = Touch.words(root);

    const begin = (w, b) => {
      state.start = [w, b].map((x, i) => Math.max(low[i], Math.min(high[i], x)));
      restart();
    };
    Touch.pointable(land, {
      label:
        "Map of the loss: weight w to the right, bias b upwards. Point at a place to start there; " +
        "the arrow keys move the start by a tenth, with Shift by one.",
      onPoint: (x, y) => begin(low[0] + (x / SIDE) * (high[0] - low[0]), high[1] - (y / SIDE) * (high[1] - low[1])),
      onStep: (right, down) => begin(state.start[0] + right / 10, state.start[1] - down / 10),
    });

    /** Begin a new path of this optimizer; the others' stay, to compare. */
    function restart() {
      player.stop();
      step = Touch.maths.optimizers[state.name]({ rate: rate.value, momentum: fading.value });
      paths[state.name] = { points: [state.start], losses: [at(state.start).loss], rate: rate.value };
      show();
    }

    /** Take one step; false where the path has left all bounds. */
    function walk() {
      const { points, losses } = paths[state.name];
      const from = points.at(-1);
      const next = step(from, at(from).gradient);
      if (!next.every((x) => Math.abs(x) < FARTHEST)) return false;
      points.push(next);
      losses.push(at(next).loss);
      show();
      return true;
    }

    function walkForty() {
      return walk() && (paths[state.name].points.length - 1) % 40 !== 0;
    }

    function show() {
      const { points, losses } = paths[state.name];
      const [w, b] = points.at(-1);
      const { gradient } = at([w, b]);
      const seen = low[0] <= w && w <= high[0] && low[1] <= b && b <= high[1] ? "" : " The point has left the map.";
      const steps = points.length === 2 ? "1 step" : `${points.length - 1} steps`;
      say(
        `${NAMES[state.name]}, ${steps}: w = ${number(w)}, b = ${number(b)}, loss ${losses.at(-1).toFixed(4)}, ` +
          `gradient (${number(gradient[0], 3)}, ${number(gradient[1], 3)}).${seen}`,
      );
      const { lines } = Touch.colours();
      legend.replaceChildren(
        ...Object.keys(NAMES).flatMap((name, i) => {
          if (!paths[name]) return [];
          const { points: all, losses: ends, rate: own } = paths[name];
          const words = ` ${NAMES[name]}, rate ${own.toPrecision(2)}: loss ${ends.at(-1).toFixed(3)} after ${all.length - 1}`;
          const line = Touch.make("span", {}, Touch.make("span", { "aria-hidden": "true" }, MARKS[i]), words);
          line.firstChild.style.color = lines[i];
          return [line, document.createElement("br")];
        }),
      );
      draw();
    }

    function draw() {
      const { context } = land;
      const colours = Touch.colours();
      context.drawImage(landscape(colours), 0, 0, SIDE, SIDE);
      Object.assign(context, { font: "12px sans-serif", fillStyle: colours.text });
      lines().forEach(([level, x, y]) => context.fillText(level, x - 22, y));
      context.fillText("weight w →", SIDE - 72, SIDE - 8);
      context.fillText("↑ bias b", 6, 16);
      Object.keys(NAMES).forEach((name, i) => paths[name] && name !== state.name && drawPath(paths[name].points, i, 1));
      drawPath(paths[state.name].points, Object.keys(NAMES).indexOf(state.name), 2);
    }

    function drawPath(points, kind, lineWidth) {
      const { context } = land;
      const colours = Touch.colours();
      Object.assign(context, { strokeStyle: colours.lines[kind], fillStyle: colours.lines[kind], lineWidth });
      context.beginPath();
      points.forEach(([w, b]) => context.lineTo(toX(w), toY(b)));
      context.stroke();
      points.forEach(([w, b], i) => mark(context, kind, toX(w), toY(b), i === points.length - 1 ? 6 : 1.5 + lineWidth));
      Object.assign(context, { strokeStyle: colours.text, lineWidth: 1.5 });
      mark(context, kind, ...[toX(points.at(-1)[0]), toY(points.at(-1)[1])], 6, true);
    }

    let kept = {};
    /**
     * The landscape as a picture: bands between lines of equal loss, the lower the paler. Drawn once for each theme,
     * and some rows in each frame, so that nothing has to wait for it.
     */
    function landscape(colours) {
      if (kept.isDark !== colours.isDark) {
        const picture = Object.assign(document.createElement("canvas"), { width: SIDE, height: SIDE });
        kept = { isDark: colours.isDark, picture, numRows: 0 };
      }
      if (kept.numRows < SIDE) {
        drawRows(kept, Math.min(ROWS, SIDE - kept.numRows));
        requestAnimationFrame(draw);
      }
      return kept.picture;
    }

    /** Draw the next rows of the landscape. */
    function drawRows({ isDark, picture, numRows }, more) {
      const pixels = picture.getContext("2d").createImageData(SIDE, more);
      for (let i = 0; i < SIDE * more; i++) {
        const [x, y] = [i % SIDE, numRows + Math.floor(i / SIDE)];
        const here = band(x, y);
        const isLine = here !== band(x + 1, y) || here !== band(x, y + 1);
        const grey = isDark ? 96 - 8 * here : 250 - 13 * here;
        const line = isDark ? 150 : 110;
        pixels.data.fill(isLine ? line : grey, 4 * i, 4 * i + 3);
        pixels.data[4 * i + 3] = 255;
      }
      picture.getContext("2d").putImageData(pixels, 0, numRows);
      kept.numRows += more;
    }

    /** How many of the LEVELS lie below a pixel. */
    function band(x, y) {
      const value = height(x, y);
      let number = 0;
      while (value > LEVELS[number]) number++;
      return number;
    }

    /** Where each line of equal loss, but the two innermost, is crossed on the way left, each lower: [level, x, y]. */
    function lines() {
      return LEVELS.slice(2).map((level, i) => {
        const y = SIDE * (0.32 + 0.15 * i);
        let x = SIDE * 0.3;
        while (x > 0 && height(x, y) < level) x--;
        return [level, x, y];
      });
    }

    /** Where a pixel lies between the points of the grid, counted from one of its sides. */
    const onGrid = (pixel) => Math.min(size - 1.001, (pixel / SIDE) * (size - 1));

    /** The loss at a pixel, between those at the four nearest points of the grid. */
    function height(x, y) {
      const column = onGrid(x);
      const line = onGrid(Math.max(0, SIDE - y));
      const j = Math.floor(column);
      const first = Math.floor(line) * size + j;
      const below = heights[first] + (heights[first + 1] - heights[first]) * (column - j);
      const above = heights[first + size] + (heights[first + size + 1] - heights[first + size]) * (column - j);
      return below + (above - below) * (line - Math.floor(line));
    }

    choice.value = state.name;
    Touch.draw(() => (paths[state.name] ? show() : restart()));
  };

  /** A disc, a square or a triangle: paths are told apart by more than their colour. */
  function mark(context, kind, x, y, reach, isOutline = false) {
    context.beginPath();
    if (kind === 0) context.arc(x, y, reach, 0, 2 * Math.PI);
    else if (kind === 1) context.rect(x - reach, y - reach, 2 * reach, 2 * reach);
    else [[0, -1.2], [1.1, 0.8], [-1.1, 0.8]].forEach(([right, down]) => context.lineTo(x + right * reach, y + down * reach));
    context.closePath();
    context[isOutline ? "stroke" : "fill"]();
  }
})();
