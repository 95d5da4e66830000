"use strict";

/** Pointer, wheel, keys and buttons. All act on the app through the same few functions. */
const Controls = (() => {
  /** A pointer that moves less, in pixels, clicks. */
  const CLICK = 4;
  const STEP = 1.5;
  const { element } = Probe;

  const byId = (id) => document.getElementById(id);

  /** Binds everything. */
  function bind(app) {
    bindPlot(app);
    bindOverview(app);
    bindKeys(app);
    byId("zoom-in").addEventListener("click", () => zoomMiddle(app, 1 / STEP));
    byId("zoom-out").addEventListener("click", () => zoomMiddle(app, STEP));
    byId("zoom-fit").addEventListener("click", () => app.setView(View.whole(app.model)));
    byId("theme").addEventListener("click", () => app.flipTheme());
    byId("events-toggle").addEventListener("click", () => app.flipPanel());
    byId("help-open").addEventListener("click", () => byId("help").showModal());
  }

  /** The time under a pointer. */
  function timeAt({ view, layout }, x) {
    return view.from + (x / layout.width) * (view.to - view.from);
  }

  const zoomMiddle = (app, factor) =>
    app.setView(View.zoom(app.model, app.view, (app.view.from + app.view.to) / 2, factor));

  function bindPlot(app) {
    const plot = byId("plot");
    const pointers = new Map();
    const place = (event) => {
      const box = plot.getBoundingClientRect();
      return { x: event.clientX - box.left, y: event.clientY - box.top };
    };
    const wheel = (event) => onWheel(app, event, place(event));
    plot.addEventListener("wheel", wheel, { passive: false });
    plot.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      plot.setPointerCapture(event.pointerId);
      pointers.set(event.pointerId, { ...place(event), start: place(event), view: app.view });
    });
    plot.addEventListener("pointermove", (event) => {
      const held = pointers.get(event.pointerId);
      if (held === undefined) {
        app.hover(place(event), event);
        return;
      }
      Object.assign(held, place(event));
      if (pointers.size > 1) pinch(app, [...pointers.values()]);
      else drag(app, plot, held);
    });
    const release = (event) => {
      const held = pointers.get(event.pointerId);
      pointers.delete(event.pointerId);
      plot.classList.remove("dragging");
      // Those that stay begin anew.
      for (const other of pointers.values()) {
        Object.assign(other, { start: { x: other.x, y: other.y }, view: app.view });
      }
      if (event.type === "pointerup" && held && !moved(held)) app.pinUnder(place(event));
    };
    plot.addEventListener("pointerup", release);
    plot.addEventListener("pointercancel", release);
    plot.addEventListener("pointerleave", () => app.hover(undefined));
    plot.addEventListener("dblclick", (event) => {
      app.setView(View.zoom(app.model, app.view, timeAt(app, place(event).x), 0.4));
    });
  }

  const moved = ({ x, y, start }) => Math.hypot(x - start.x, y - start.y) > CLICK;

  function drag(app, plot, held) {
    if (!moved(held)) return;
    plot.classList.add("dragging");
    app.hover(undefined);
    const span = held.view.to - held.view.from;
    const by = ((held.start.x - held.x) / app.layout.width) * span;
    app.setView(View.pan(app.model, held.view, by));
  }

  /** Two fingers: what was under each when they came down stays under it. */
  function pinch(app, [one, other]) {
    const { width } = app.layout;
    const { from, to } = one.view;
    const time = (x) => from + (x / width) * (to - from);
    const apart = Math.max(20, Math.abs(one.x - other.x));
    const span = (Math.abs(time(one.start.x) - time(other.start.x)) * width) / apart;
    const middle = time((one.start.x + other.start.x) / 2);
    const start = middle - ((one.x + other.x) / 2 / width) * span;
    app.setView(View.clamp(app.model, { from: start, to: start + span }));
  }

  function onWheel(app, event, { x }) {
    event.preventDefault();
    // A line of a wheel that counts lines is about sixteen pixels.
    const unit = event.deltaMode === 1 ? 16 : 1;
    const sideways = event.shiftKey ? event.deltaY : event.deltaX;
    if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      const span = app.view.to - app.view.from;
      app.setView(View.pan(app.model, app.view, ((sideways * unit) / app.layout.width) * span));
    } else {
      const factor = Math.exp(event.deltaY * unit * (event.ctrlKey ? 0.01 : 0.0018));
      app.setView(View.zoom(app.model, app.view, timeAt(app, x), factor));
    }
  }

  /** The window in the overview: its middle moves it, its edges change its length. */
  function bindOverview(app) {
    const box = byId("overview");
    let held;
    const time = (event) => {
      const { left, width } = box.getBoundingClientRect();
      const all = View.whole(app.model);
      return all.from + ((event.clientX - left) / width) * (all.to - all.from);
    };
    box.addEventListener("pointerdown", (event) => {
      const at = time(event);
      const { edge } = event.target.dataset;
      const { from, to } = app.view;
      const inside = event.target !== box && (edge !== undefined || event.target.id === "brush");
      const half = (to - from) / 2;
      if (!inside) app.setView(View.clamp(app.model, { from: at - half, to: at + half }));
      held = { edge, at, view: app.view };
      box.setPointerCapture(event.pointerId);
    });
    box.addEventListener("pointermove", (event) => {
      if (held === undefined) return;
      const by = time(event) - held.at;
      const { from, to } = held.view;
      if (held.edge === "from") app.setView(View.clamp(app.model, ordered(from + by, to)));
      else if (held.edge === "to") app.setView(View.clamp(app.model, ordered(from, to + by)));
      else app.setView(View.pan(app.model, held.view, by));
    });
    const release = () => {
      held = undefined;
    };
    box.addEventListener("pointerup", release);
    box.addEventListener("pointercancel", release);
  }

  const ordered = (one, other) => ({ from: Math.min(one, other), to: Math.max(one, other) });

  function bindKeys(app) {
    const pan = (share) =>
      app.setView(View.pan(app.model, app.view, share * (app.view.to - app.view.from)));
    const keys = {
      "+": () => zoomMiddle(app, 1 / STEP),
      "=": () => zoomMiddle(app, 1 / STEP),
      "-": () => zoomMiddle(app, STEP),
      "_": () => zoomMiddle(app, STEP),
      "0": () => app.setView(View.whole(app.model)),
      ArrowLeft: () => pan(-0.15),
      ArrowRight: () => pan(0.15),
      PageUp: () => pan(-0.9),
      PageDown: () => pan(0.9),
      n: () => app.walk(1),
      p: () => app.walk(-1),
      t: () => app.flipTheme(),
      l: () => app.flipPanel(),
      "?": () => byId("help").showModal(),
      Escape: () => app.pin(undefined),
    };
    document.addEventListener("keydown", (event) => {
      const typing = event.target instanceof HTMLInputElement || byId("help").open;
      const known = Object.prototype.hasOwnProperty.call(keys, event.key);
      if (typing || !known || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      keys[event.key]();
    });
  }

  /** Makes the legend: a switch for each kind that the run has, and the signs of the lanes. */
  function legend(app) {
    const { model, shown } = app;
    const counts = Kinds.ALL.map(() => 0);
    model.messages.kind.forEach((kind) => {
      counts[kind] += 1;
    });
    const chips = Kinds.ALL.map((kind, number) => {
      if (counts[number] === 0) return "";
      const toggle = (on) => app.showKind(number, on);
      return chip(kind, Probe.swatch(number), counts[number], shown.kinds[number], toggle);
    });
    if (model.lost > 0) {
      const cross = element("i", "sign", "✕");
      const about = "Messages that did not arrive";
      const lost = { name: "Lost", about };
      chips.push(chip(lost, cross, model.lost, shown.lost, (on) => app.showLost(on)));
    }
    byId("kinds").replaceChildren(...chips);
    const signs = ["follower", "pre-candidate", "candidate", "leader"].map((role) => {
      const mark = element("i", "band");
      mark.dataset.role = role;
      return element("span", "", mark, role);
    });
    const cursors = ["applied", "committed", "durable", "last"].map((cursor) => {
      const mark = element("i", "level");
      mark.dataset.cursor = cursor;
      return element("span", "", mark, cursor);
    });
    byId("roles").replaceChildren(...signs, element("em", ""), ...cursors);
  }

  /** One switch of the legend. */
  function chip({ key, name, about }, mark, count, on, toggle) {
    const made = element("button", "chip", mark, name, element("small", "", Words.count(count)));
    made.type = "button";
    made.title = about;
    if (key) made.dataset.key = key;
    made.setAttribute("aria-pressed", String(on));
    made.addEventListener("click", () => {
      const pressed = made.getAttribute("aria-pressed") !== "true";
      made.setAttribute("aria-pressed", String(pressed));
      toggle(pressed);
    });
    return made;
  }

  return { bind, legend };
})();
