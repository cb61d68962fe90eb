"use strict";

/** What the things to touch share: controls that a keyboard works, words for a screen reader, canvases, colours. */
(() => {
  const QUIET = 600; // milliseconds without a change after which a result is announced, so that it is not cut short
  let numIds = 0;

  /** Make an element: properties, or attributes where the name has a dash or is `role` or `for`; then its children. */
  Touch.make = (tag, properties = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(properties)) {
      if (name.includes("-") || ["role", "for", "scope"].includes(name)) element.setAttribute(name, value);
      else element[name] = value;
    }
    element.append(...children);
    return element;
  };
  const { make } = Touch;

  Touch.add = (parent, ...what) => parent.appendChild(make(...what));

  Touch.button = (parent, text, onclick) => Touch.add(parent, "button", { type: "button", onclick }, text);

  /** A slider with its label and its value in words. `scale` makes the value of the slider's position. */
  Touch.slider = (parent, { label, min, max, step = 1, value, scale = (x) => x, format = String, onChange = () => {} }) => {
    const id = `touch-${++numIds}`;
    const output = make("output", { htmlFor: id });
    const input = make("input", { type: "range", id, min, max, step, value });
    const row = Touch.add(parent, "div", { className: "touch-slider" }, make("label", { for: id }, label), input, output);
    const control = {
      row,
      get value() {
        return scale(Number(input.value));
      },
      set position(position) {
        input.value = position;
        show();
      },
      set max(position) {
        input.max = position;
        show();
      },
    };
    const show = () => {
      output.textContent = format(control.value);
      input.setAttribute("aria-valuetext", output.textContent);
    };
    input.addEventListener("input", () => {
      show();
      onChange(control.value);
    });
    show();
    return control;
  };

  /** A list to choose from; `options` are pairs of a value and its words. */
  Touch.select = (parent, { label, options, value, onChange = () => {} }) => {
    const id = `touch-${++numIds}`;
    const input = make("select", { id }, ...options.map(([key, text]) => make("option", { value: key }, text)));
    input.value = value ?? options[0][0];
    input.addEventListener("change", () => onChange(input.value));
    Touch.add(parent, "div", { className: "touch-choice" }, make("label", { for: id }, label), input);
    return input;
  };

  Touch.checkbox = (parent, label, onChange) => {
    const input = make("input", { type: "checkbox", onchange: () => onChange(input.checked) });
    Touch.add(parent, "label", { className: "touch-check" }, input, label);
    return input;
  };

  /** A line of words that is seen at once, and announced when things have come to rest. */
  Touch.words = (parent) => {
    const seen = Touch.add(parent, "p", { className: "touch-words", "aria-hidden": "true" });
    const heard = Touch.add(parent, "p", { className: "visually-hidden", role: "status" });
    let timer = 0;
    return (text, more = "") => {
      seen.textContent = text; // what more there is to hear is seen elsewhere
      clearTimeout(timer);
      timer = setTimeout(() => (heard.textContent = `${text} ${more}`), QUIET);
    };
  };

  /** A canvas of so many CSS pixels, sharp on every screen; drawing is in CSS pixels. */
  Touch.canvas = (parent, width, height, label) => {
    const ratio = Math.max(2, Math.ceil(globalThis.devicePixelRatio || 1));
    const canvas = Touch.add(parent, "canvas", { width: width * ratio, height: height * ratio, role: "img", "aria-label": label });
    Object.assign(canvas.style, { width: `${width}px`, aspectRatio: `${width} / ${height}` });
    const context = canvas.getContext("2d");
    context.scale(ratio, ratio);
    return { canvas, context, width, height };
  };

  /**
   * Let a canvas be pointed at, by mouse, finger or pen, and by the arrow keys.
   *
   * @param {(x: number, y: number) => void} onPoint    where, in CSS pixels of the canvas's own size
   * @param {(right: number, down: number) => void} onStep    which arrow key; ten times as much with Shift
   */
  Touch.pointable = ({ canvas, width, height }, { label, onPoint, onStep }) => {
    canvas.setAttribute("role", "application");
    canvas.setAttribute("aria-label", label);
    canvas.tabIndex = 0;
    canvas.classList.add("touch-pointable");
    const point = (event) => {
      const box = canvas.getBoundingClientRect();
      onPoint(((event.clientX - box.left) / box.width) * width, ((event.clientY - box.top) / box.height) * height);
    };
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      canvas.setPointerCapture(event.pointerId);
      point(event);
    });
    canvas.addEventListener("pointermove", (event) => canvas.hasPointerCapture(event.pointerId) && point(event));
    canvas.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
      if (!step || event.altKey || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      onStep(...step.map((x) => x * (event.shiftKey ? 10 : 1)));
    });
  };

  /** The theme's own colours, which differ between light and dark. */
  Touch.colours = () => {
    const style = getComputedStyle(document.documentElement);
    const named = (name, otherwise) => style.getPropertyValue(`--pst-color-${name}`).trim() || otherwise;
    const isDark = document.documentElement.dataset.theme === "dark";
    return {
      isDark,
      text: named("text-base", "#222"),
      muted: named("text-muted", "#555"),
      border: named("border", "#bbb"),
      paper: named("background", "#fff"),
      primary: named("primary", "#06c"),
      // Blue, vermilion and green of Okabe and Ito, which colour-blind readers can tell apart; lighter in the dark.
      lines: isDark ? ["#56b4e9", "#ff8a3d", "#2fd0a0"] : ["#0072b2", "#c04f00", "#00795a"],
      negative: isDark ? [253, 174, 97] : [179, 88, 6],
      zero: isDark ? [28, 32, 38] : [255, 255, 255],
      positive: isDark ? [188, 170, 235] : [84, 39, 136],
    };
  };

  const redraws = [];
  new MutationObserver(() => redraws.forEach((redraw) => redraw())).observe(document.documentElement, {
    attributeFilter: ["data-theme"],
  });

  /** Draw now, and again whenever the reader changes between light and dark. */
  Touch.draw = (redraw) => {
    redraws.push(redraw);
    redraw();
  };

  /** [red, green, blue] of a signed number: brown is -end, the paper's colour 0, violet +end. */
  Touch.signed = (value, end, colours) => {
    const share = Math.min(1, Math.abs(value) / (end || 1));
    const goal = value < 0 ? colours.negative : colours.positive;
    return colours.zero.map((from, i) => Math.round(from + (goal[i] - from) * share));
  };

  /** [red, green, blue] of ink from 0, black, to 1, white: as MNIST shows its digits. */
  Touch.ink = (level) => Array(3).fill(Math.round(255 * Math.max(0, Math.min(1, level))));

  let scratch;
  /** Paint numbers, row by row, as squares of `side` pixels each; `colour` makes [red, green, blue] of a number. */
  Touch.paint = (context, numbers, numColumns, colour, left, top, side) => {
    const numRows = numbers.length / numColumns;
    scratch ??= document.createElement("canvas");
    Object.assign(scratch, { width: numColumns, height: numRows });
    const small = scratch.getContext("2d");
    const picture = small.createImageData(numColumns, numRows);
    numbers.forEach((number, i) => {
      const rgb = colour(number);
      for (let k = 0; k < 3; k++) picture.data[4 * i + k] = rgb[k];
      picture.data[4 * i + 3] = 255; // not transparent
    });
    small.putImageData(picture, 0, 0);
    context.imageSmoothingEnabled = false;
    context.drawImage(scratch, left, top, side * numColumns, side * numRows);
  };

  /** Return the largest distance from zero. */
  Touch.largest = (numbers) => numbers.reduce((a, b) => Math.max(a, Math.abs(b)), 0);

  Touch.bytes = (base64) => Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  Touch.floats = (base64) => new Float32Array(Touch.bytes(base64).buffer);
  /** Unpack what zlib has compressed. */
  Touch.inflate = async (base64) => {
    const stream = new Blob([Touch.bytes(base64)]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  };
  Touch.percent = (share, digits = 1) => `${(100 * share).toFixed(digits)}%`;
  /** A number with a true minus sign. */
  Touch.number = (x, digits = 2) => x.toFixed(digits).replace(/^-(?=0\.?0*$)/, "").replace("-", "−");

  /** Ten bars; returns what shows ten probabilities, or nothing. */
  Touch.bars = (parent) => {
    const list = Touch.add(parent, "ol", { className: "digit-bars", "aria-label": "Probability of each digit" });
    const rows = Array.from({ length: 10 }, (_, digit) => {
      const bar = make("span", { className: "digit-bar" });
      const number = make("span");
      const row = Touch.add(list, "li", {}, make("span", {}, String(digit)), make("span", { className: "digit-track" }, bar), number);
      return { row, bar, number };
    });
    return (probabilities) => {
      const best = probabilities ? probabilities.indexOf(Math.max(...probabilities)) : -1;
      rows.forEach(({ row, bar, number }, digit) => {
        row.classList.toggle("is-best", digit === best);
        bar.style.width = probabilities ? Touch.percent(probabilities[digit]) : "0";
        number.textContent = probabilities ? Touch.percent(probabilities[digit]) : "–";
      });
    };
  };

  /** A button that plays: `step` is called every so many milliseconds until it returns false. */
  Touch.player = (parent, { play, pause, milliseconds, step }) => {
    let timer = 0;
    const stop = () => {
      clearInterval(timer);
      timer = 0;
      button.textContent = play;
    };
    const button = Touch.button(parent, play, () => {
      if (timer) return stop();
      button.textContent = pause;
      timer = setInterval(() => step() || stop(), milliseconds);
    });
    return { stop, button };
  };
})();
