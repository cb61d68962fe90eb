"use strict";

/** A window moves over a digit: the products, their sum, and the map that the sums make. */
(() => {
  const SIDE = 8; // CSS pixels of one pixel
  const KERNELS = {
    "left to right": [-1, 0, 1, -1, 0, 1, -1, 0, 1],
    "top to bottom": [-1, -1, -1, 0, 0, 0, 1, 1, 1],
    "falling diagonal": [2, -1, -1, -1, 2, -1, -1, -1, 2],
    outline: [-1, -1, -1, -1, 8, -1, -1, -1, -1],
    "mean (blur)": Array(9).fill(0.11),
    nothing: [0, 0, 0, 0, 1, 0, 0, 0, 0],
  };
  const OWN = "your own";

  Touch.things.convolution = (root) => {
    const { add, maths, number } = Touch;
    const digits = Touch.data.digits.map((text) => Array.from(Touch.bytes(text), (level) => level / 255));
    const state = { image: digits[5], kernel: [...KERNELS["left to right"]], row: 8, column: 9, stride: 1, padding: 0 };
    let map = [];
    const places = () => maths.placesAlong(28, 3, state);

    const top = add(root, "div", { className: "touch-controls" });
    const choose = (settings) => {
      Object.assign(state, settings);
      for (const axis of ["row", "column"]) state[axis] = Math.max(0, Math.min(places() - 1, state[axis]));
      update();
    };
    Touch.select(top, {
      label: "Digit",
      options: digits.map((_, digit) => [digit, String(digit)]),
      value: 5,
      onChange: (digit) => choose({ image: digits[digit] }),
    });
    const kernelChoice = Touch.select(top, {
      label: "Kernel",
      options: [...Object.keys(KERNELS), OWN].map((name) => [name, name]),
      onChange: (name) => name !== OWN && choose({ kernel: [...KERNELS[name]] }),
    });
    const option = (label, setting, values) =>
      Touch.select(top, {
        label,
        options: values.map((value) => [value, String(value)]),
        onChange: (value) => choose({ [setting]: Number(value) }),
      });
    option("Stride", "stride", [1, 2, 3]);
    option("Padding", "padding", [0, 1]);
    let isCut = false;
    Touch.checkbox(top, "then ReLU", (checked) => {
      isCut = checked;
      update();
    });

    const row = add(root, "div", { className: "touch-row" });
    const column = (title) => add(row, "div", {}, Touch.make("p", {}, title));
    const image = Touch.canvas(column("The digit, and the window"), 30 * SIDE, 30 * SIDE, "");
    const middle = add(row, "div", { className: "touch-middle" });
    const kernel = grid(add(middle, "div", {}, Touch.make("p", {}, "Write a kernel")));
    const weights = state.kernel.map((_, i) =>
      add(kernel, "input", {
        type: "number",
        step: 1,
        "aria-label": `Weight in row ${Math.floor(i / 3) + 1}, column ${(i % 3) + 1}`,
        oninput: ({ target }) => {
          kernelChoice.value = OWN;
          state.kernel[i] = Number(target.value) || 0;
          update(false);
        },
        onblur: () => update(),
      }),
    );
    const products = grid(add(middle, "div", {}, Touch.make("p", {}, "times the pixels")));
    products.setAttribute("aria-hidden", "true"); // the words below say them
    const cells = state.kernel.map(() => add(products, "span"));
    const feature = Touch.canvas(column("The map of all the sums"), 30 * SIDE, 30 * SIDE, "");

    const bottom = add(root, "div", { className: "touch-controls" });
    const player = Touch.player(bottom, {
      play: "Move it over the digit",
      pause: "Stop",
      milliseconds: 40,
      step: () => {
        const next = state.row * places() + state.column + 1;
        choose({ row: Math.floor(next / places()) % places(), column: next % places() });
        return next < places() ** 2;
      },
    });
    const say = Touch.words(root);

    const move = (right, down) => {
      player.stop();
      choose({ row: state.row + down, column: state.column + right });
    };
    const label = (what) => `${what}. The arrow keys move the window; with Shift ten pixels at once.`;
    Touch.pointable(image, {
      label: label("The digit and the window over it"),
      onStep: move,
      onPoint: (x, y) => {
        const place = (at) => Math.round((at / SIDE - 1 - 1.5 + state.padding) / state.stride);
        move(place(x) - state.column, place(y) - state.row);
      },
    });
    Touch.pointable(feature, {
      label: label("The feature map"),
      onStep: move,
      onPoint: (x, y) => {
        const place = (at) => Math.floor(at / side() - 1);
        move(place(x) - state.column, place(y) - state.row);
      },
    });
    const side = () => (30 * SIDE) / (places() + 2); // of one number of the map

    function update(withKernel = true) {
      map = maths.convolve(state.image, 28, state.kernel, state);
      if (withKernel) weights.forEach((input, i) => (input.value = state.kernel[i]));
      const pixels = maths.windowAt(state.image, 28, 3, state.row, state.column, state);
      const answers = pixels.map((pixel, i) => pixel * state.kernel[i]);
      cells.forEach((cell, i) => (cell.textContent = number(answers[i])));
      const sum = map[state.row * places() + state.column];
      const kept = isCut && sum < 0 ? "; it is negative, and ReLU makes it 0" : "";
      say(
        `Row ${state.row}, column ${state.column}: the nine products add up to ${number(sum)}${kept}. ` +
          `28×28 pixels have become a map of ${places()}×${places()}.`,
      );
      draw();
    }

    function draw() {
      const colours = Touch.colours();
      const end = Math.max(1e-6, Touch.largest(map));
      const signed = (limit) => (value) => Touch.signed(value, limit, colours);
      const frame = ({ context, width }) => {
        context.fillStyle = colours.paper;
        context.fillRect(0, 0, width, width);
      };
      frame(image);
      Touch.paint(image.context, state.image, 28, Touch.ink, SIDE, SIDE, SIDE);
      const at = (place) => SIDE * (1 + place * state.stride - state.padding);
      outline(image.context, at(state.column), at(state.row), 3 * SIDE);
      frame(feature);
      const shown = isCut ? map.map((value) => Math.max(0, value)) : map;
      Touch.paint(feature.context, shown, places(), signed(end), side(), side(), side());
      Object.assign(feature.context, { lineWidth: 1, strokeStyle: colours.border });
      feature.context.strokeRect(side(), side(), side() * places(), side() * places());
      outline(feature.context, side() * (1 + state.column), side() * (1 + state.row), side());
      const shade = (element, value, limit) => {
        const rgb = signed(limit)(value);
        const [red, green, blue] = rgb.map((level) => (level / 255) ** 2.2);
        const luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue; // 0.18: black and white are as easy to read
        Object.assign(element.style, { background: `rgb(${rgb})`, color: luminance < 0.18 ? "#fff" : "#000" });
      };
      const most = Math.max(1e-6, Touch.largest(state.kernel));
      weights.forEach((input, i) => shade(input, state.kernel[i], 1.5 * most));
      cells.forEach((cell) => shade(cell, Number(cell.textContent.replace("−", "-")), 1.5 * most));
    }

    Touch.draw(update);
  };

  function grid(parent) {
    const element = Touch.add(parent, "div", { className: "touch-kernel" });
    element.style.gridTemplateColumns = "repeat(3, max-content)";
    return element;
  }

  /** A frame that is seen on black and on white. */
  function outline(context, left, top, side) {
    for (const [width, colour] of [
      [4, "#000"],
      [2, "#ffb000"],
    ]) {
      Object.assign(context, { lineWidth: width, strokeStyle: colour });
      context.strokeRect(left - 1, top - 1, side + 2, side + 2);
    }
  }
})();
