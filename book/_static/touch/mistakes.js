"use strict";

/** The confusion matrix of the test images: each cell opens, and a threshold lets the network say that it is not sure. */
(() => {
  const MOST_SHOWN = 24; // digits at once
  const NOT_SURE = 10; // the column after the ten digits

  /**
   * Count anew where the network is allowed not to answer.
   *
   * @param {object} data    counts (10, 10); images: {label, read, confidence} of the misread and less sure ones
   * @param {number} threshold    below this probability it does not answer
   * @returns {{counts: number[][], cells: object[][][]}}    (10, 11) each: how many, and those that can be shown
   */
  function withThreshold({ counts, images }, threshold) {
    const all = counts.map((row) => [...row, 0]);
    const cells = counts.map(() => Array.from({ length: 11 }, () => []));
    for (const image of images) {
      const isSure = image.confidence >= threshold;
      if (!isSure) {
        all[image.label][image.read] -= 1;
        all[image.label][NOT_SURE] += 1;
      }
      cells[image.label][isSure ? image.read : NOT_SURE].push(image);
    }
    return { counts: all, cells };
  }

  /** Unpack what tools/export_touch.py wrote. */
  function unpack({ labels, probabilities, ...rest }, pixels) {
    const shares = Array.from(new Uint16Array(Touch.bytes(probabilities).buffer), (x) => x / 65535);
    const images = labels.map((label, n) => {
      const own = shares.slice(10 * n, 10 * n + 10);
      const confidence = Math.max(...own);
      const pixelsOfIt = pixels.subarray(784 * n, 784 * (n + 1));
      return { label, probabilities: own, confidence, read: own.indexOf(confidence), pixels: pixelsOfIt };
    });
    return { ...rest, images };
  }

  /** The pair [true digit, digit read] that is confused most often. */
  function mostOften(counts) {
    const pairs = counts.flatMap((row, label) => row.map((count, read) => [label === read ? -1 : count, label, read]));
    return pairs.reduce((a, b) => (b[0] > a[0] ? b : a)).slice(1);
  }

  Touch.confusion = { withThreshold, unpack };

  Touch.things.mistakes = async (root) => {
    const { add, make, percent } = Touch;
    const data = unpack(Touch.data.mistakes, await Touch.inflate(Touch.data.mistakes.zlib));
    let [counted, chosen] = [null, mostOften(data.counts)];

    const controls = add(root, "div", { className: "touch-controls" });
    const threshold = Touch.slider(controls, {
      label: "Not sure below",
      min: 0,
      max: Math.round(100 * data.mostSure),
      value: 0,
      scale: (position) => position / 100,
      format: (value) => percent(value, 0),
      onChange: update,
    });

    const row = add(root, "div", { className: "touch-row" });
    const table = add(row, "table", { className: "touch-matrix" });
    add(table, "caption", {}, "Rows: what it is. Columns: what was read.");
    const names = [...Array(10).keys(), "?"];
    const head = (name) => make("th", { scope: "col", title: name === "?" ? "not sure" : "" }, String(name));
    add(add(table, "thead"), "tr", {}, make("td"), ...names.map(head));
    const body = add(table, "tbody");
    const buttons = data.counts.map((_, label) => {
      const line = add(body, "tr", {}, make("th", { scope: "row" }, String(label)));
      return names.map((_, read) =>
        add(add(line, "td"), "button", {
          type: "button",
          onclick: () => {
            chosen = [label, read];
            update();
          },
        }),
      );
    });
    const side = add(row, "div", { className: "touch-side" });
    const title = add(side, "p");
    const gallery = add(side, "ul", { className: "touch-gallery" });
    const say = Touch.words(root);

    const describe = (label, read) => `${label} ${read === NOT_SURE ? "not sure" : `read as ${read}`}`;

    function update() {
      counted = withThreshold(data, threshold.value);
      buttons.forEach((line, label) => line.forEach((button, read) => fill(button, label, read)));
      const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);
      const notSure = sum(counted.counts.map((line) => line[NOT_SURE]));
      const right = sum(counted.counts.map((line, label) => line[label]));
      const answered = sum(data.counts.flat()) - notSure;
      const wrong = answered - right;
      showDigits(...chosen);
      say(
        (threshold.value > 0 ? `Below ${percent(threshold.value, 0)} it is not sure, of ${notSure} images. ` : "") +
          `Of ${answered.toLocaleString("en")} images that it reads it misreads ${wrong}, ${percent(wrong / answered, 2)}.`,
        title.textContent,
      );
    }

    function fill(button, label, read) {
      const count = counted.counts[label][read];
      const kind = read === label ? "is-right" : read === NOT_SURE ? "is-unsure" : "is-wrong";
      button.textContent = count || "·";
      button.className = count ? kind : "is-empty";
      button.disabled = count === 0;
      button.setAttribute("aria-label", `${describe(label, read)}: ${count}`);
      button.setAttribute("aria-pressed", label === chosen[0] && read === chosen[1]);
    }

    function showDigits(label, read) {
      const count = counted.counts[label][read];
      const images = counted.cells[label][read].sort((a, b) => a.confidence - b.confidence).slice(0, MOST_SHOWN);
      const some = images.length < count ? `, the ${images.length} least sure are shown` : "";
      title.textContent = `${label}, ${read === NOT_SURE ? "not sure" : `read as ${read}`}: ${count}${some}.`;
      gallery.replaceChildren(
        ...images.map(({ pixels, probabilities }) => {
          const item = make("li");
          const order = [...probabilities.keys()].sort((a, b) => probabilities[b] - probabilities[a]);
          const words = order.slice(0, 2).map((digit) => `${digit}: ${percent(probabilities[digit], 1)}`);
          const { context } = Touch.canvas(item, 56, 56, `A ${label}, read as ${words.join(", ")}`);
          Touch.paint(context, Array.from(pixels), 28, (level) => Touch.ink(level / 255), 0, 0, 2);
          words.forEach((text) => add(item, "span", {}, text));
          return item;
        }),
      );
    }

    update();
  };
})();
