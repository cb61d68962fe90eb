
/**
 * The pad in a notebook. The book's createPad stands before this in the same module; Python reads what is drawn.
 *
 * @param {{model: object, el: HTMLElement}} widget    model: the traits ink, seen, samples (bytes) and probabilities
 *     of DrawPad
 */
function render({ model, el }) {
  const box = document.createElement("div");
  box.className = "digitlib-pad";
  const [left, right] = [document.createElement("div"), document.createElement("div")];
  box.append(left, right);
  el.append(box);

  let waiting = null;
  const pad = createPad(left, {
    label: "Drawing pad, for a mouse, a finger or a pen. With a keyboard, pick a sample digit below.",
    onChange() {
      waiting ??= setTimeout(send, 60); // milliseconds: a few times a second is soon enough, and spares the kernel
    },
  });
  const buttons = document.createElement("div");
  buttons.append(button("Undo", pad.undo), button("Clear", pad.clear));
  const samples = document.createElement("div");
  samples.setAttribute("role", "group");
  samples.setAttribute("aria-label", "Sample digits");
  for (let digit = 0; digit < 10; digit++) samples.append(button(digit, () => pad.replace([sample(digit)])));
  left.append(buttons, samples);

  const input = document.createElement("canvas");
  input.width = input.height = 28;
  input.setAttribute("role", "img");
  input.setAttribute("aria-label", "What the network sees: the drawing as 28 by 28 pixels");
  const status = document.createElement("p");
  status.setAttribute("role", "status");
  right.append(input, status, bars());

  function bytes(trait) {
    const { buffer, byteOffset, byteLength } = model.get(trait); // a view into whatever came in one message
    return new Uint8Array(buffer, byteOffset, byteLength);
  }

  function sample(digit) {
    const pixels = bytes("samples").subarray(784 * digit, 784 * (digit + 1));
    return { pixels, side: 28, left: 30, top: 70, scale: 6 };
  }

  function send() {
    waiting = null;
    model.set("ink", new DataView(Uint8Array.from(pad.grey, (level) => Math.round(255 * level)).buffer));
    model.save_changes();
  }

  function show() {
    const probabilities = model.get("probabilities");
    const largest = probabilities.indexOf(Math.max(...probabilities));
    box.querySelectorAll("li").forEach((row, digit) => {
      const share = probabilities[digit] ?? 0;
      row.querySelector("div").style.width = `${100 * share}%`;
      row.lastChild.textContent = `${(100 * share).toFixed(1)}%`;
      row.toggleAttribute("data-largest", digit === largest);
    });
    status.textContent = probabilities.length
      ? `${largest}, probability ${(100 * probabilities[largest]).toFixed(0)}%`
      : "nothing drawn yet";
  }

  function showInput() {
    const levels = bytes("seen");
    const picture = new ImageData(28, 28);
    picture.data.forEach((_, i) => (picture.data[i] = i % 4 === 3 ? 255 : (levels[i >> 2] ?? 0)));
    input.getContext("2d").putImageData(picture, 0, 0);
  }

  model.on("change:seen", showInput);
  model.on("change:probabilities", show);
  showInput();
  show();
  return () => {
    model.off("change:seen", showInput);
    model.off("change:probabilities", show);
  };
}

function bars() {
  const list = document.createElement("ol");
  list.setAttribute("aria-label", "Probability of each digit");
  for (let digit = 0; digit < 10; digit++) {
    const row = document.createElement("li");
    row.append(document.createElement("span"), document.createElement("div"), document.createElement("span"));
    row.firstChild.textContent = digit;
    list.append(row);
  }
  return list;
}

function button(name, onClick) {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = name;
  made.addEventListener("click", onClick);
  return made;
}

export default { render };
