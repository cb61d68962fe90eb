
/**
 * The pad in a notebook. The book's createPad stands before this in the same module; Python reads what is drawn.
 *
 * @param {{model: object, el: HTMLElement}} widget    model: the traits ink (bytes) and probabilities of DrawPad
 */
function render({ model, el }) {
  const box = document.createElement("div");
  box.className = "digitlib-pad";
  const left = document.createElement("div");
  box.append(left, bars());
  el.append(box);

  let waiting = null;
  const pad = createPad(left, {
    label: "Pad to draw a digit on",
    onChange() {
      waiting ??= setTimeout(send, 60); // milliseconds: a few times a second is soon enough, and spares the kernel
    },
  });
  const buttons = document.createElement("div");
  buttons.append(button("Undo", () => pad.undo()), button("Clear", () => pad.clear()));
  left.append(buttons);

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

  const status = document.createElement("p");
  status.setAttribute("role", "status");
  left.append(status);
  model.on("change:probabilities", show);
  show();
  return () => model.off("change:probabilities", show);
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
