"use strict";

/**
 * The glossary as flash cards: a term, a moment to think, its definition, and whether the reader knew it.
 *
 * Terms and definitions are read from the page itself. Which ones are known stays in this browser (localStorage).
 */
(() => {
  const KEY = "reading-handwritten-digits-known";
  const place = document.getElementById("cards");

  const cards = [...document.querySelectorAll("#glossary section section")].map((section) => {
    const heading = section.querySelector("h3").cloneNode(true);
    heading.querySelector(".headerlink")?.remove();
    const definition = [...section.querySelectorAll("p")];
    const notebook = Number(definition.at(-1)?.textContent.match(/Opened in notebook (\d+)/)?.[1] ?? 0);
    return { id: section.id, term: heading.textContent.trim(), definition, notebook };
  });

  function recall() {
    try {
      return new Set(JSON.parse(localStorage.getItem(KEY) ?? "[]"));
    } catch {
      return new Set();
    }
  }

  let known = recall();
  let waiting = []; // the cards of this round, the next one first

  function make(tag, properties, parent) {
    const element = Object.assign(document.createElement(tag), properties);
    parent.append(element);
    return element;
  }

  function addButton(words, onClick, parent) {
    const button = make("button", { type: "button", className: "frame-button", textContent: words }, parent);
    button.addEventListener("click", onClick);
    return button;
  }

  const rows = make("p", { className: "cards-choice" }, place);
  const label = make("label", { textContent: "Practise with cards: " }, rows);
  const choice = make("select", {}, label);
  make("option", { value: "0", textContent: "all notebooks" }, choice);
  for (let number = 1; number <= 11; number++) {
    make("option", { value: number, textContent: `notebook ${number}` }, choice);
  }
  addButton("Begin", begin, rows);
  const card = make("div", { className: "cards-card", hidden: true }, place);
  const term = make("p", { className: "cards-term", tabIndex: -1 }, card);
  const definition = make("div", { className: "cards-definition" }, card);
  definition.setAttribute("aria-live", "polite");
  const buttons = make("p", { className: "cards-buttons" }, card);
  const turn = addButton("Show the definition", show, buttons);
  const yes = addButton("I knew it", () => answer(true), buttons);
  const no = addButton("Not yet", () => answer(false), buttons);
  const count = make("p", { className: "cards-count" }, card);
  count.setAttribute("role", "status");

  const chosen = () => cards.filter((each) => choice.value === "0" || each.notebook === Number(choice.value));

  /** Begin a round with the chosen cards that are not known yet, shuffled; where all are known, with all. */
  function begin() {
    const all = chosen();
    const unknown = all.filter(({ id }) => !known.has(id));
    waiting = unknown.length > 0 ? unknown : [...all];
    for (let i = waiting.length - 1; i > 0; i--) {
      const j = Math.floor(Math.random() * (i + 1)); // Fisher and Yates
      [waiting[i], waiting[j]] = [waiting[j], waiting[i]];
    }
    card.hidden = false;
    next();
  }

  /** Show the next card's term, or that the round has ended. */
  function next() {
    const isOver = waiting.length === 0;
    term.textContent = isOver ? "That was the last one." : waiting[0].term;
    definition.replaceChildren();
    turn.hidden = isOver;
    yes.hidden = no.hidden = true;
    const all = chosen();
    const numKnown = all.filter(({ id }) => known.has(id)).length;
    count.textContent = `${numKnown} of ${all.length} known.`;
    term.focus();
  }

  function show() {
    definition.replaceChildren(...waiting[0].definition.map((paragraph) => paragraph.cloneNode(true)));
    turn.hidden = true;
    yes.hidden = no.hidden = false;
    yes.focus();
  }

  /** Take a known card out of the round; put one that is not known behind the next few. */
  function answer(isKnown) {
    const [answered] = waiting.splice(0, 1);
    known[isKnown ? "add" : "delete"](answered.id);
    if (!isKnown) waiting.splice(Math.min(4, waiting.length), 0, answered);
    try {
      localStorage.setItem(KEY, JSON.stringify([...known]));
    } catch {
      // The reader's browser keeps nothing; the round goes on.
    }
    next();
  }
})();
