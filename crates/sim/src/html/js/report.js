"use strict";

/** What the page tells about itself, in the attributes of a hidden element; tests read it. */
const Report = (() => {
  const { dataset } = document.getElementById("report");

  /** Sets attributes. */
  function set(values) {
    for (const [name, value] of Object.entries(values)) dataset[name] = String(value);
  }

  function onError(text) {
    dataset.errors = String(Number(dataset.errors) + 1);
    dataset.error = dataset.error || String(text);
  }

  window.addEventListener("error", ({ message }) => onError(message));
  window.addEventListener("unhandledrejection", ({ reason }) => onError(reason));

  return { set };
})();
