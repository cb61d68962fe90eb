"use strict";

/** A recurrent network reads a digit row by row: its hidden state, and what it would say after each row. */
(() => {
  const SIDE = 8; // CSS pixels of one pixel, and of one row
  const UNIT = 7; // CSS pixels of a unit's width

  Touch.things.rnn = (root) => {
    const { add, maths, percent } = Touch;
    const { accuracy, ...tensors } = Touch.data.rnn;
    const network = Object.fromEntries(Object.entries(tensors).map(([name, text]) => [name, Touch.floats(text)]));
    const numUnits = network.bias.length;
    const digits = Touch.data.digits.map(Touch.bytes);
    const state = { digit: 2, numRows: 14, isTurned: false };
    let [image, reading] = [null, null];

    const top = add(root, "div", { className: "touch-controls" });
    Touch.select(top, {
      label: "Digit",
      options: digits.map((_, digit) => [digit, String(digit)]),
      value: state.digit,
      onChange: (digit) => choose({ digit: Number(digit) }),
    });
    Touch.checkbox(top, "Turn it upside down", (isTurned) => choose({ isTurned }));
    const rows = Touch.slider(top, {
      label: "Rows read",
      min: 0,
      max: 28,
      value: state.numRows,
      format: (value) => `${value} of 28`,
      onChange: (numRows) => {
        player.stop();
        choose({ numRows });
      },
    });
    const player = Touch.player(top, {
      play: "Read on",
      pause: "Stop",
      milliseconds: 250,
      step: () => {
        choose({ numRows: (state.numRows % 28) + 1 });
        return state.numRows < 28;
      },
    });

    const row = add(root, "div", { className: "touch-row" });
    const column = (title) => add(row, "div", {}, Touch.make("p", {}, title));
    const picture = Touch.canvas(column("The rows read so far"), 28 * SIDE, 28 * SIDE, "");
    const memory = Touch.canvas(column("The state, after each row"), numUnits * UNIT, 28 * SIDE, "");
    const show = Touch.bars(column("If the picture ended here"));
    add(root, "p", {}, `A small network of ${numUnits} units, trained for seconds: it reads ${percent(accuracy)} of the validation images.`);
    const say = Touch.words(root);

    function choose(settings) {
      Object.assign(state, settings);
      rows.position = state.numRows;
      update();
    }

    function update() {
      image = digits[state.digit];
      if (state.isTurned) image = image.slice().reverse();
      const normalised = Float32Array.from(image, (level) => (level / 255 - 0.1307) / 0.3081); // as in notebook 03
      reading = maths.readRows(normalised, network);
      const probabilities = state.numRows > 0 ? maths.softmax(reading.logits[state.numRows - 1]) : null;
      show(probabilities);
      say(inWords(probabilities));
      draw();
    }

    function inWords(probabilities) {
      if (!probabilities) return "Nothing has been read: all numbers of the state are 0.";
      const digit = probabilities.indexOf(Math.max(...probabilities));
      const all = reading.logits.map((logits) => logits.indexOf(Math.max(...logits)));
      const settled = all.findLastIndex((read) => read !== all[27]) + 2; // from here on it says what it will say
      const end = state.numRows === 28 ? ` It has said so since row ${settled}.` : "";
      const times = state.numRows === 1 ? "1 row" : `${state.numRows} rows`;
      return `After ${times} it reads ${digit}, with probability ${percent(probabilities[digit])}.${end}`;
    }

    function draw() {
      const colours = Touch.colours();
      const read = (numbers, each) => Array.from(numbers, (x, i) => (i < each * state.numRows ? x : null));
      const pixels = read(image, 28);
      const unseen = colours.isDark ? [60, 66, 74] : [205, 210, 216];
      Touch.paint(picture.context, pixels, 28, (level) => (level === null ? unseen : Touch.ink(level / 255)), 0, 0, SIDE);
      const { context } = memory;
      context.clearRect(0, 0, memory.width, memory.height);
      context.save();
      context.scale(UNIT / SIDE, 1); // a unit is narrower than a row is high
      const signed = (x) => (x === null ? unseen : Touch.signed(x, 1, colours));
      Touch.paint(context, read(reading.states.flat(), numUnits), numUnits, signed, 0, 0, SIDE);
      context.restore();
      if (state.numRows > 0) {
        const y = SIDE * (state.numRows - 1);
        for (const { context: on, width } of [picture, memory]) {
          Object.assign(on, { strokeStyle: "#ffb000", lineWidth: 2 });
          on.strokeRect(1, y, width - 2, SIDE);
        }
      }
      picture.canvas.setAttribute("aria-label", `A ${state.digit}, of which ${state.numRows} rows have been read`);
      memory.canvas.setAttribute("aria-label", `The hidden state after each of ${state.numRows} rows: brown −1, violet 1`);
    }

    Touch.draw(update);
  };
})();
