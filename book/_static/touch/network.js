"use strict";

/** The whole network: every layer's maps and the ten sums; each number opens, and shows what it was made from. */
(() => {
  const MOST_PARTS = 8; // maps of the layer before that are shown one by one
  const GAP = 4; // CSS pixels between maps
  const REST = 300; // milliseconds without a change of the drawing before the maps follow it

  Touch.things.network = async (root) => {
    const { add, make, number, percent } = Touch;
    if (typeof NETWORK === "undefined") await Touch.load("../draw/weights.js");
    if (typeof decodeNetwork === "undefined") await Touch.load("../draw/network.js");
    const network = decodeNetwork(NETWORK);
    const nextFrame = () => new Promise(requestAnimationFrame); // so that nothing has to wait for all of it
    await nextFrame();
    const tools = { convolve, relu, maxPool, weightedSums };
    const hasPad = typeof pad !== "undefined" && typeof prepare !== "undefined";
    const digits = Touch.data.digits.map(Touch.bytes);
    const total = Math.min(720, root.clientWidth - 34);
    let digit = 5;
    let stages = Touch.layers.run(network, inputNow() ?? new Float32Array(784), tools);
    const best = stages.at(-1).data.indexOf(Math.max(...stages.at(-1).data));
    let chosen = { index: stages.length - 1, channel: best, row: 0, column: 0 };
    await nextFrame();

    /** The normalised numbers of the pad's drawing; of the digit chosen, where nothing is drawn or there is no pad. */
    function inputNow() {
      const drawn = hasPad && !pad.isEmpty() ? prepare(pad.grey, pad.size, typeof leftOut === "undefined" ? undefined : leftOut) : null;
      return drawn?.input ?? Float32Array.from(digits[digit], (level) => (level / 255 - 0.1307) / 0.3081);
    }

    const top = add(root, "div", { className: "touch-controls" });
    Touch.select(top, {
      label: hasPad ? "While nothing is drawn, a sample" : "Digit",
      options: digits.map((_, name) => [name, String(name)]),
      value: digit,
      onChange: (name) => {
        digit = Number(name);
        follow();
      },
    });
    const views = stages.slice(0, -1).map((stage, index) => makeView(stage, index));
    add(root, "p", {}, `Ten sums, of ${stages.at(-2).data.length} numbers each, one for each digit. Softmax makes them probabilities.`);
    const sums = add(root, "div", { className: "touch-controls touch-sums", role: "group", "aria-label": "The ten sums" });
    const buttons = Array.from({ length: 10 }, (_, channel) =>
      Touch.button(sums, "", () => choose({ index: stages.length - 1, channel, row: 0, column: 0 })),
    );
    const detail = add(root, "div", { className: "touch-detail" });
    const heading = add(detail, "p");
    const parts = add(detail, "ul", { className: "touch-gallery" });
    const rest = add(detail, "p");
    const say = Touch.words(root);

    function nameOf({ kind, shape: [channels, height, width] }, index) {
      const size = `${channels === 1 ? "1 map" : `${channels} maps`} of ${height}×${width}`;
      const layer = stages.slice(0, index + 1).filter((stage) => stage.kind === "convolution").length;
      return { input: "The image, normalised", pooling: `The largest of each 2×2: ${size}` }[kind] ?? `Convolution ${layer}, then ReLU: ${size}`;
    }

    function makeView(stage, index) {
      const [channels, height, width] = stage.shape;
      const perRow = Math.min(channels, (height > 13 ? 8 : 16) / (total > 500 ? 1 : 2));
      const tile = index === 0 ? 112 : Math.floor(total / (perRow === channels && channels < 4 ? 4 : perRow));
      const side = (tile - GAP) / Math.max(height, width);
      add(root, "p", {}, nameOf(stage, index));
      const size = [Math.min(channels, perRow) * tile, Math.ceil(channels / perRow) * tile];
      const view = Touch.canvas(root, ...size, "");
      const go = (across, down) => {
        const channel = Math.floor(down / height) * perRow + Math.floor(across / width);
        if (across < 0 || down < 0 || across >= perRow * width || channel >= channels) return;
        choose({ index, channel, row: down % height, column: across % width });
      };
      Touch.pointable(view, {
        label: `${nameOf(stage, index)}. The arrow keys choose a number, with Shift ten further.`,
        onPoint: (x, y) => {
          const inTile = (at, most) => Math.max(0, Math.min(most - 1, Math.floor((at % tile) / side)));
          go(Math.floor(x / tile) * width + inTile(x, width), Math.floor(y / tile) * height + inTile(y, height));
        },
        onStep: (right, down) => {
          const from = chosen.index === index ? chosen : { channel: 0, row: 0, column: 0 };
          const across = (from.channel % perRow) * width + from.column;
          go(across + right, Math.floor(from.channel / perRow) * height + from.row + down);
        },
      });
      return { ...view, perRow, tile, side };
    }

    function choose(place) {
      const old = chosen.index;
      chosen = place;
      show();
      [old, place.index].forEach(drawStage);
    }

    function show() {
      const { index, channel, row, column } = chosen;
      const { kind } = stages[index];
      const { value, total: sum, bias, parts: all } = Touch.layers.explain(stages, index, channel, row, column);
      const probabilities = Touch.maths.softmax(stages.at(-1).data);
      buttons.forEach((button, i) => {
        button.textContent = `${i}: ${number(stages.at(-1).data[i], 1)}`;
        button.setAttribute("aria-pressed", kind === "sums" && i === channel);
      });
      const what = kind === "sums" ? `The sum for ${channel}` : `Map ${channel}, row ${row}, column ${column}`;
      heading.textContent = `${what}: ${number(value)}.${sum < 0 && value === 0 ? ` The sum was ${number(sum)}; ReLU made it 0.` : ""}`;
      const order = [...all].sort((a, b) => Math.abs(b.sum) - Math.abs(a.sum));
      parts.replaceChildren(...order.slice(0, MOST_PARTS).map((part) => makePart(part, kind)));
      const others = order.slice(MOST_PARTS);
      const left = others.reduce((total, part) => total + part.sum, 0);
      const made = {
        input: "This number is a pixel: ink from 0 to 255, brought to the mean 0 and the standard deviation 1.",
        pooling: "The largest of these four goes on, the others are forgotten.",
      };
      const more = others.length ? `the other ${others.length} maps give ${number(left)} together, ` : "";
      rest.textContent = made[kind] ?? `Numbers times weights, added up for each map of the layer before; ${more}the bias ${number(bias)}.`;
      const best = probabilities.indexOf(Math.max(...probabilities));
      say(`The network reads ${best}, with probability ${percent(probabilities[best])}.`, `${heading.textContent} ${rest.textContent}`);
    }

    /** One part of a sum: its numbers and its weights, side by side, and a button that goes there. */
    function makePart({ channel, row, column, wide, numbers, weights, sum }, kind) {
      const item = make("li");
      let [goRow, goColumn] = [row, column];
      if (numbers) {
        const colours = Touch.colours();
        const { context } = Touch.canvas(item, 100, 48, `Numbers and weights of map ${channel}`);
        const side = 48 / wide;
        Touch.paint(context, numbers, wide, (x) => Touch.signed(x, Touch.largest(numbers), colours), 0, 0, side);
        Touch.paint(context, weights, wide, (x) => Touch.signed(x, Touch.largest(weights), colours), 52, 0, side);
        const strongest = numbers.reduce((best, x, i) => (Math.abs(x * weights[i]) > Math.abs(numbers[best] * weights[best]) ? i : best), 0);
        [goRow, goColumn] = [row + Math.floor(strongest / wide), column + (strongest % wide)];
      }
      const words = kind === "pooling" ? `row ${row}, column ${column}: ${number(sum)}` : `map ${channel}: ${number(sum)}`;
      const index = chosen.index - 1;
      const button = Touch.button(item, words, () => {
        choose({ index, channel, row: goRow, column: goColumn });
        (parts.querySelector("button") ?? views[index].canvas).focus();
      });
      button.title = "Where does this come from?";
      return item;
    }

    function drawStage(index) {
      const view = views[index];
      if (!view) return;
      const { shape, data } = stages[index];
      const [, height, width] = shape;
      const [end, colours] = [Touch.largest(data), Touch.colours()];
      const { context, perRow, tile, side } = view;
      context.clearRect(0, 0, view.width, view.height);
      for (let channel = 0; channel < shape[0]; channel++) {
        const map = data.subarray(channel * height * width, (channel + 1) * height * width);
        const [left, up] = [tile * (channel % perRow), tile * Math.floor(channel / perRow)];
        Touch.paint(context, map, width, (x) => Touch.signed(x, end, colours), left, up, side);
        Object.assign(context, { strokeStyle: colours.border, lineWidth: 1 });
        context.strokeRect(left, up, side * width, side * height);
        if (chosen.index !== index || chosen.channel !== channel) continue;
        Object.assign(context, { strokeStyle: "#ffb000", lineWidth: 2 });
        context.strokeRect(left + side * chosen.column - 1, up + side * chosen.row - 1, side + 2, side + 2);
      }
    }

    /** Compute anew, then draw layer after layer, one in each frame, so that nothing waits for long. */
    function follow() {
      stages = Touch.layers.run(network, inputNow(), tools);
      show();
      const drawFrom = (index) => {
        drawStage(index);
        if (index < views.length) requestAnimationFrame(() => drawFrom(index + 1));
      };
      drawFrom(0);
    }

    const answer = hasPad && document.getElementById("draw");
    let timer = 0;
    const wait = () => {
      clearTimeout(timer);
      timer = setTimeout(follow, REST);
    };
    if (answer) new MutationObserver(wait).observe(answer, { subtree: true, childList: true, characterData: true });
    Touch.draw(follow);
  };
})();
