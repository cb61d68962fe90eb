"use strict";

/** A small network learns MNIST in the page: the settings are the reader's, the curves grow while it learns. */
(() => {
  const [WIDTH, HEIGHT] = [400, 240]; // of the curves, in CSS pixels
  const [LEFT, BOTTOM, TOP] = [36, 26, 8];
  const NUM_EPOCHS = 20;
  const TOP_LOSS = 2.6; // a little above ln 10, where guessing starts
  const NUM_SHOWN = 24; // validation images beside the curves
  const LAYERS = { "": "none", 64: "1, of 64 units", "64,64": "2, of 64 units", "64,64,64": "3, of 64 units", 256: "1, of 256 units" };
  const PARTS = [
    ["train", "training", []],
    ["validation", "validation", [6, 4]],
  ];

  /** What the worker does: its source is sent to it, with that of `Touch.learning`. */
  function work({ train }) {
    const bytes = (base64) => Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
    onmessage = async ({ data: { images, options } }) => {
      const stream = new Blob([bytes(images.zlib)]).stream().pipeThrough(new DecompressionStream("deflate"));
      const pixels = Float32Array.from(new Uint8Array(await new Response(stream).arrayBuffer()), (level) => level / 255);
      const labels = bytes(images.labels);
      const numTrain = images.numImages - images.numValidation;
      const part = (from, to) => ({ images: pixels.subarray(784 * from, 784 * to), labels: labels.subarray(from, to) });
      const validation = part(numTrain, images.numImages);
      postMessage({ shown: { pixels: validation.images.slice(0, 784 * 24), labels: validation.labels.slice(0, 24) } });
      train({ train: part(0, numTrain), validation }, options, ({ logits, ...report }) => {
        const read = Array.from({ length: 24 }, (_, n) => logits.subarray(10 * n, 10 * n + 10));
        postMessage({ ...report, read: read.map((own) => own.indexOf(Math.max(...own))) });
      });
    };
  }

  Touch.things.training = (root) => {
    const { add } = Touch;
    let [worker, address, runs, shown, read] = [null, null, [], null, null];

    const controls = add(root, "div", { className: "touch-controls" });
    const rate = Touch.slider(controls, {
      label: "Learning rate",
      min: -3,
      max: 0.7,
      step: 0.05,
      value: -1.3,
      scale: (position) => 10 ** position,
      format: (value) => value.toPrecision(2),
    });
    const dropout = Touch.slider(controls, {
      label: "Dropout",
      min: 0,
      max: 0.8,
      step: 0.1,
      value: 0,
      format: (value) => Touch.percent(value, 0),
    });
    const hidden = Touch.select(controls, { label: "Hidden layers", options: Object.entries(LAYERS), value: "64" });
    const batchSize = Touch.select(controls, {
      label: "Batch size",
      options: [4, 16, 64, 256, 2500].map((size) => [size, String(size)]),
      value: 16,
    });
    const start = Touch.button(controls, "Train", () => (worker ? stop("Stopped.") : train()));

    const row = add(root, "div", { className: "touch-row" });
    const curves = Touch.canvas(add(row, "div"), WIDTH, HEIGHT, "Curves of the loss: nothing has been trained yet");
    const side = add(row, "div", {}, Touch.make("p", {}, "Of the validation images it reads"));
    const digits = Touch.canvas(side, 6 * 44, 4 * 52, "Twenty-four images of the validation part");
    const say = Touch.words(root);

    async function train() {
      start.textContent = "Stop";
      worker = "loading";
      say("Loading 3,000 images.");
      try {
        await Touch.load("data/images.js");
      } catch (error) {
        return stop(error.message);
      }
      if (worker !== "loading") return; // stopped meanwhile
      const options = {
        hidden: hidden.value ? hidden.value.split(",").map(Number) : [],
        rate: rate.value,
        dropout: dropout.value,
        batchSize: Number(batchSize.value),
        numEpochs: NUM_EPOCHS,
        seed: 0,
      };
      const run = { options, begun: performance.now(), reports: [] };
      runs = [...runs.slice(-1), run]; // the run before stays, pale, to compare
      address = URL.createObjectURL(new Blob([`(${work})((${Touch.learning})());`], { type: "text/javascript" }));
      worker = new Worker(address);
      worker.onerror = ({ message }) => stop(`The worker stopped: ${message}`);
      worker.onmessage = ({ data }) => take(run, data);
      worker.postMessage({ images: Touch.data.images, options });
      say("Training begins.");
    }

    function take(run, data) {
      if (data.shown) shown = data.shown;
      else {
        run.reports.push(data);
        read = data.read;
        const seconds = (performance.now() - run.begun) / 1000;
        const isLast = data.epoch === NUM_EPOCHS;
        const words =
          `Epoch ${data.epoch} of ${NUM_EPOCHS}, after ${seconds.toFixed(1)} s: training loss ${data.train.loss.toFixed(3)}, ` +
          `validation loss ${data.validation.loss.toFixed(3)}; it reads ${Touch.percent(data.validation.accuracy)} of 500 ` +
          `validation images, and ${Touch.percent(data.train.accuracy)} of the 2,500 that it learns from.`;
        if (isLast) stop(words);
        else say(words);
        curves.canvas.setAttribute("aria-label", `Curves of both losses over ${data.epoch} epochs. ${words}`);
      }
      draw();
    }

    function stop(words) {
      if (worker?.terminate) worker.terminate();
      if (address) URL.revokeObjectURL(address);
      [worker, address] = [null, null];
      start.textContent = runs.length ? "Train anew" : "Train";
      say(words);
    }

    const toX = (epoch) => LEFT + ((WIDTH - LEFT - 8) * epoch) / NUM_EPOCHS;
    const toY = (loss) => TOP + (HEIGHT - BOTTOM - TOP) * (1 - Math.min(loss, TOP_LOSS) / TOP_LOSS);

    function draw() {
      const colours = Touch.colours();
      drawAxes(curves.context, colours);
      runs.forEach(({ reports }, i) => drawRun(curves.context, colours, reports, i === runs.length - 1));
      drawDigits(digits.context, colours);
    }

    function drawAxes(context, colours) {
      context.clearRect(0, 0, WIDTH, HEIGHT);
      Object.assign(context, { font: "12px sans-serif", fillStyle: colours.text, strokeStyle: colours.border, lineWidth: 1 });
      context.setLineDash([]);
      for (const loss of [0, 0.5, 1, 1.5, 2, 2.5]) {
        context.fillText(loss.toFixed(1), 10, toY(loss) + 4);
        line(context, [[0, loss], [NUM_EPOCHS, loss]]);
      }
      for (const epoch of [5, 10, 15, 20]) context.fillText(epoch, toX(epoch) - 7, HEIGHT - 10);
      context.fillText("epoch", toX(0), HEIGHT - 10);
      PARTS.forEach(([, name, dashes], i) => {
        Object.assign(context, { strokeStyle: colours.lines[i], lineWidth: 2 });
        context.setLineDash(dashes);
        context.beginPath();
        context.moveTo(WIDTH - 150, 20 + 18 * i);
        context.lineTo(WIDTH - 118, 20 + 18 * i);
        context.stroke();
        context.fillText(`${name} loss`, WIDTH - 110, 24 + 18 * i);
      });
    }

    function drawRun(context, colours, reports, isNew) {
      context.globalAlpha = isNew ? 1 : 0.35;
      PARTS.forEach(([part, , dashes], i) => {
        Object.assign(context, { strokeStyle: colours.lines[i], lineWidth: isNew ? 2.5 : 2 });
        context.setLineDash(dashes);
        line(context, reports.map((report) => [report.epoch, report[part].loss]));
        const last = reports.at(-1);
        if (last && isNew) {
          context.fillStyle = colours.lines[i];
          context.fillRect(toX(last.epoch) - 3, toY(last[part].loss) - 3, 6, 6);
        }
      });
      context.setLineDash([]);
      context.globalAlpha = 1;
    }

    function line(context, points) {
      context.beginPath();
      points.forEach(([epoch, loss]) => context.lineTo(toX(epoch), toY(loss)));
      context.stroke();
    }

    function drawDigits(context, colours) {
      context.clearRect(0, 0, 6 * 44, 4 * 52);
      for (let n = 0; n < NUM_SHOWN; n++) {
        const [left, top] = [44 * (n % 6), 52 * Math.floor(n / 6)];
        if (!shown) {
          Object.assign(context, { strokeStyle: colours.border, lineWidth: 1 });
          context.strokeRect(left + 3.5, top + 3.5, 33, 33);
          continue;
        }
        Touch.paint(context, shown.pixels.subarray(784 * n, 784 * (n + 1)), 28, Touch.ink, left + 3, top + 3, 1.214);
        if (!read) continue;
        const isRight = read[n] === shown.labels[n];
        Object.assign(context, { fillStyle: isRight ? colours.muted : colours.lines[1], strokeStyle: colours.lines[1] });
        context.font = isRight ? "12px sans-serif" : "bold 12px sans-serif";
        context.fillText(isRight ? read[n] : `${read[n]} ✗`, left + 14, top + 49);
        context.lineWidth = 2.5;
        if (!isRight) context.strokeRect(left + 2, top + 2, 36, 36);
      }
      const numRight = read ? read.filter((digit, n) => digit === shown.labels[n]).length : 0;
      digits.canvas.setAttribute("aria-label", `Twenty-four images of the validation part; ${numRight} are read right`);
    }

    say("Press Train: 3,000 images are loaded then, 650 kB, and the network learns from 2,500 of them. Nothing leaves the page.");
    Touch.draw(draw);
  };
})();
