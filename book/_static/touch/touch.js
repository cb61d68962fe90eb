"use strict";

/**
 * Finds the things to touch on a page, and loads what they need when they come near the view.
 *
 * A page holds `<div class="touch" data-touch="NAME">`, with a still picture inside for print and for readers without
 * JavaScript. A page that is opened from a folder may load scripts and nothing else, and no modules: so all files are
 * plain scripts, each wrapped in a function, and share one global name, `Touch`.
 */
globalThis.Touch = { things: {}, data: {} };

if (typeof document !== "undefined") {
  const FILES = {
    convolution: ["data/digits.js", "convolution.js"],
    descent: ["data/surface.js", "descent.js"],
    network: ["data/digits.js", "layers.js", "network.js"],
    rnn: ["data/digits.js", "data/rnn.js", "rnn.js"],
    mistakes: ["data/mistakes.js", "mistakes.js"],
    training: ["learn.js", "training.js"],
  };
  const folder = new URL(".", document.currentScript.src);
  const asked = new Map();

  /** Load a script of this folder once; the promise is kept when it has run. */
  Touch.load = (file) => {
    if (!asked.has(file)) {
      const ready = new Promise((resolve, reject) => {
        const script = Object.assign(document.createElement("script"), { src: new URL(file, folder), onload: resolve });
        script.onerror = () => reject(new Error(`${file} is missing: build the book with "make book"`));
        document.head.append(script);
      });
      asked.set(file, ready);
    }
    return asked.get(file);
  };

  const begin = async (place) => {
    const name = place.dataset.touch;
    for (const file of ["common.js", "maths.js", ...FILES[name]]) await Touch.load(file);
    const live = Object.assign(document.createElement("div"), { className: "touch-live" });
    place.append(live);
    place.classList.add("is-live"); // the still is for print from now on
    await Touch.things[name](live, place);
  };

  document.addEventListener("DOMContentLoaded", () => {
    const places = [...document.querySelectorAll(".touch[data-touch]")].filter(({ dataset }) => FILES[dataset.touch]);
    if (places.length === 0) return;
    document.head.append(
      Object.assign(document.createElement("link"), { rel: "stylesheet", href: new URL("touch.css", folder) }),
    );
    const watch = new IntersectionObserver(
      (entries) => {
        for (const { target } of entries.filter((entry) => entry.isIntersecting)) {
          watch.unobserve(target);
          begin(target);
        }
      },
      { rootMargin: "800px" },
    );
    places.forEach((place) => watch.observe(place));
  });
}
