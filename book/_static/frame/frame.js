"use strict";

/**
 * What every page of the book does by itself: it waits for predictions, and remembers what has been read and solved.
 *
 * Without this script a page shows everything at once. What is remembered stays in this browser (localStorage).
 */
(() => {
  const KEY = "reading-handwritten-digits";
  const EMPTY = { read: [], solved: [], showAll: false };

  /** Return what is remembered; nothing where the browser keeps nothing. */
  function recall() {
    try {
      return { ...EMPTY, ...JSON.parse(localStorage.getItem(KEY) ?? "{}") };
    } catch {
      return { ...EMPTY };
    }
  }

  function remember(change) {
    try {
      localStorage.setItem(KEY, JSON.stringify({ ...recall(), ...change }));
    } catch {
      // The reader's browser keeps nothing: then all is as on the first visit.
    }
    showRemembered();
  }

  /** Note that a page is read, or an exercise solved; or take it back. */
  function note(list, name, isDone) {
    const others = recall()[list].filter((other) => other !== name);
    remember({ [list]: isDone ? [...others, name] : others });
  }

  function make(tag, properties, ...children) {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  }

  /** Make a box to tick, which knows whether a name is on a list. */
  function tick(list, name, words) {
    const box = make("input", { type: "checkbox", checked: recall()[list].includes(name) });
    box.addEventListener("change", () => note(list, name, box.checked));
    return make("label", { className: "frame-tick" }, box, words);
  }

  const pageName = () => DOCUMENTATION_OPTIONS.pagename ?? "";
  const isNotebook = (name) => name.startsWith("notebooks/");

  // ---- predictions ----------------------------------------------------------------------------------------------

  const isParagraph = (element) => element?.matches("p:not(.predict)") ?? false;
  const outputOf = (element) => element?.matches(".cell") ? element.querySelector(".cell_output") : null;

  /** Return the next cell that has an output, behind paragraphs and cells that have none, or nothing. */
  function nextAnswer(element) {
    while (isParagraph(element) || (element?.matches(".cell") && !outputOf(element))) element = element.nextElementSibling;
    return outputOf(element) ? element : null;
  }

  /**
   * Return what answers a prediction: the output of the next cell that has one, and the paragraph behind it, which may
   * announce another; or, where no cell follows, the next paragraph or table, or both.
   */
  function answersTo(request) {
    const answers = [];
    const next = request.nextElementSibling;
    for (let cell = nextAnswer(next); cell; ) {
      const after = cell.nextElementSibling;
      answers.push(outputOf(cell), ...(isParagraph(after) ? [after] : []));
      cell = isParagraph(after) && after.textContent.trim().endsWith(":") ? nextAnswer(after.nextElementSibling) : null;
    }
    if (answers.length > 0) return answers;
    const isTable = (element) => element?.matches(".pst-scrollable-table-container") ?? false;
    const behind = isParagraph(next) ? next.nextElementSibling : next;
    return [...(isParagraph(next) ? [next] : []), ...(isTable(behind) ? [behind] : [])];
  }

  /** Hide what answers a prediction, until the reader has one; a search within the page finds it all the same. */
  function hold(request) {
    const answers = answersTo(request);
    if (answers.length === 0) return;
    const button = make("button", { type: "button", className: "frame-button frame-reveal" }, "I have an answer: show it");
    const show = () => {
      answers.forEach((answer) => answer.removeAttribute("hidden"));
      if (document.activeElement === button) {
        if (!answers[0].hasAttribute("tabindex")) answers[0].tabIndex = -1; // a wide table has one, for the keyboard
        answers[0].focus({ preventScroll: true });
      }
      button.remove();
    };
    answers.forEach((answer) => {
      answer.setAttribute("hidden", "until-found");
      answer.addEventListener("beforematch", show);
    });
    button.addEventListener("click", show);
    answers[0].before(button);
  }

  // ---- what is remembered -----------------------------------------------------------------------------------------

  function offerTicks() {
    document.querySelectorAll("section.exercise").forEach((box) => {
      box.append(tick("solved", `${pageName()}#${box.id}`, "Solved"));
    });
    const article = document.querySelector(".bd-article");
    if (!isNotebook(pageName()) || !article) return;
    const end = make("div", { className: "frame-end" }, tick("read", pageName(), "I have read this notebook"));
    article.append(end);
    // Whoever comes to the end has read it, unless they come at once, by a link or a key.
    const start = performance.now();
    new IntersectionObserver((entries, observer) => {
      if (!entries.some((entry) => entry.isIntersecting) || performance.now() - start < 30_000) return;
      observer.disconnect();
      const box = end.querySelector("input");
      if (!box.checked) box.click();
    }).observe(end);
  }

  /** Mark the pages that have been read, and say on "How to use" and on the first page what is remembered. */
  function showRemembered() {
    const { read, solved, showAll } = recall();
    const links = [...document.querySelectorAll(".bd-sidebar-primary a.reference.internal")];
    const nameOf = (link) => link.href.match(/notebooks\/[^/]+(?=\.html)/)?.[0] ?? (link.href.endsWith("#") ? pageName() : "");
    links.forEach((link) => {
      const isRead = read.includes(nameOf(link));
      link.classList.toggle("frame-read", isRead);
      link.querySelector(".visually-hidden")?.remove();
      if (isRead) link.append(make("span", { className: "visually-hidden" }, " (read)"));
    });
    const words = document.getElementById("frame-remembered");
    if (words) {
      const solvedWord = solved.length === 1 ? "exercise" : "exercises";
      words.textContent = `Remembered: ${read.length} of 11 notebooks read, ${solved.length} ${solvedWord} solved.`;
      document.getElementById("frame-show-all").checked = showAll;
    }
    const begin = document.getElementById("frame-begin");
    const next = links.find((link) => isNotebook(nameOf(link)) && !read.includes(nameOf(link)));
    if (begin && next && read.length > 0) {
      begin.href = next.href;
      begin.textContent = `Go on: ${next.textContent.trim()}`;
    }
  }

  function offerForgetting() {
    document.getElementById("frame-forget")?.addEventListener("click", () => {
      try {
        localStorage.removeItem(KEY);
        localStorage.removeItem(`${KEY}-known`); // the glossary's cards
      } catch {
        // Nothing was kept.
      }
      showRemembered();
      document.getElementById("frame-remembered").textContent = "All is forgotten.";
    });
    const box = document.getElementById("frame-show-all");
    box?.addEventListener("change", () => remember({ showAll: box.checked }));
  }

  // ---- the search ---------------------------------------------------------------------------------------------------

  /** A page opened from a folder may not look into the others: say so, instead of failing at each result. */
  function explainSearch() {
    if (location.protocol !== "file:" || !document.getElementById("search-results")) return;
    DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
    const words =
      "The book is open from a folder, where a browser lets no page read another one. So the search finds the pages, " +
      "but cannot show the sentences. To have these too, run “python -m http.server” in the folder of index.html and " +
      "open the address that it names.";
    document.getElementById("search-results").before(make("p", { className: "frame-search" }, words));
  }

  // ---- what is wider than the page ----------------------------------------------------------------------------------

  /** Let the keyboard scroll what scrolls by itself: a formula, or lines of code, wider than a phone. */
  function scrollByKey() {
    const observer = new ResizeObserver((entries) => {
      for (const { target } of entries) {
        if (target.scrollWidth > target.clientWidth + 1) target.tabIndex = 0;
        else target.removeAttribute("tabindex");
      }
    });
    document.querySelectorAll(".bd-article :is(div.math, pre)").forEach((each) => observer.observe(each));
  }

  document.addEventListener("DOMContentLoaded", () => {
    scrollByKey();
    if (!recall().showAll) document.querySelectorAll("p.predict").forEach(hold);
    offerTicks();
    offerForgetting();
    showRemembered();
    explainSearch();
  });
})();
