"use strict";

/** The page: what it shows now, and what changes that. */
const App = (() => {
  /** So many heartbeats and more are hidden at first. */
  const HEARTBEATS_MAX = 300;
  const byId = (id) => document.getElementById(id);

  const app = {
    model: undefined,
    view: undefined,
    layout: undefined,
    palette: undefined,
    shown: { kinds: Kinds.ALL.map(() => true), lost: true },
    /** What is under the pointer, and when. */
    hovered: undefined,
    at: undefined,
    pinned: undefined,
    printing: false,
    pinnedEvent,
    setView,
    hover,
    pin,
    pinUnder,
    walk,
    showKind,
    showLost,
    flipTheme,
    flipPanel,
  };
  let list;
  let due = false;

  /** The number of the event that is pinned, or of the pinned message's sending; else -1. */
  function pinnedEvent() {
    if (app.pinned === undefined) return -1;
    const { message, event } = app.pinned;
    return message === undefined ? event : app.model.messages.sentEvent[message];
  }

  /** Draws everything with the next frame. */
  function redraw() {
    if (due) return;
    due = true;
    requestAnimationFrame(() => {
      due = false;
      draw();
    });
  }

  function setView(view) {
    app.view = view;
    redraw();
  }

  function showKind(number, on) {
    app.shown.kinds[number] = on;
    List.refilter(list);
    redraw();
  }

  function showLost(on) {
    app.shown.lost = on;
    List.refilter(list);
    redraw();
  }

  /** The pointer is at a place of the plot, or has left it. */
  function hover(place, event) {
    app.hovered = place && Probe.under(app, place.x, place.y);
    app.at = place && app.view.from + (place.x / app.layout.width) * (app.view.to - app.view.from);
    Pinned.tip(app, app.hovered, event ? event.clientX : 0, event ? event.clientY : 0);
    byId("plot").classList.toggle("over", Boolean(app.hovered) && app.hovered.lane === undefined);
    paintOverlay();
    const { message } = app.hovered || {};
    Report.set({ hover: message === undefined ? "" : `message ${message}` });
  }

  /** Pins a target, or nothing; targets that are only places cannot be pinned. */
  function pin(target) {
    const kept = target && (target.message !== undefined || target.event !== undefined);
    app.pinned = kept ? target : undefined;
    Pinned.panel(app, pick);
    if (app.pinned !== undefined) {
      const at = app.model.events[pinnedEvent()].at;
      app.setView(View.reveal(app.model, app.view, at));
    }
    List.follow(list);
    Report.set({ pinned: kept ? pinnedEvent() : "" });
    redraw();
  }

  function pinUnder({ x, y }) {
    pin(Probe.under(app, x, y));
  }

  /** Pins an event, or the message it is about. */
  function pick(event) {
    if (event === undefined) pin(undefined);
    else if (app.model.messageOf[event] >= 0) pin({ message: app.model.messageOf[event] });
    else pin({ event });
  }

  /** Pins the next shown message, or the one before if `by` is -1. */
  function walk(by) {
    const { messages } = app.model;
    const pinned = app.pinned && app.pinned.message;
    let next = pinned;
    if (pinned === undefined) {
      next = messages.sentAt.findIndex((at) => at >= app.view.from) - (by > 0 ? 1 : 0);
    }
    do next += by;
    while (next >= 0 && next < messages.count && !Arrows.isShown(app, next));
    if (next >= 0 && next < messages.count) pin({ message: next });
  }

  function flipTheme() {
    setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark");
  }

  function setTheme(theme) {
    document.documentElement.dataset.theme = theme;
    app.palette = Palette.read();
    if (app.view) redraw();
  }

  function flipPanel() {
    const open = document.body.classList.toggle("without-panel");
    byId("events-toggle").setAttribute("aria-pressed", String(!open));
    resize();
  }

  /** Gives a canvas the size of its box, in device pixels, and returns its pen in CSS pixels. */
  function pen(canvas, width, height) {
    const scale = app.printing ? 2 : devicePixelRatio || 1;
    const [wide, high] = [Math.round(width * scale), Math.round(height * scale)];
    if (canvas.width !== wide || canvas.height !== high) {
      canvas.width = wide;
      canvas.height = high;
      canvas.style.width = `${width}px`;
      canvas.style.height = `${height}px`;
    }
    const ctx = canvas.getContext("2d");
    ctx.setTransform(scale, 0, 0, scale, 0, 0);
    return ctx;
  }

  /** Places everything anew in the room that there is. */
  function resize() {
    const plot = byId("plot");
    plot.style.minHeight = `${Layout.heightMin(app.model)}px`;
    app.layout = Layout.compute(app.model, plot.clientWidth, plot.clientHeight);
    Pinned.gutter(app);
    List.paint(list);
    draw();
  }

  /** Draws everything now. */
  function draw() {
    const began = performance.now();
    const { width, height } = app.layout;
    const ctx = pen(byId("chart-canvas"), width, height);
    ctx.clearRect(0, 0, width, height);
    Frame.paintOutside(ctx, app);
    Frame.paintAxis(ctx, app);
    Frame.paintNetwork(ctx, app);
    Lanes.paintBelow(ctx, app);
    const painted = Arrows.paint(ctx, app);
    Lanes.paint(ctx, app);
    Frame.paintNotes(ctx, app);
    Clients.paint(ctx, app);
    paintOverlay();
    paintOverview();
    if (app.followed !== app.view) List.follow(list);
    app.followed = app.view;
    Report.set({
      ...painted,
      from: Math.round(app.view.from),
      to: Math.round(app.view.to),
      frame: (performance.now() - began).toFixed(1),
    });
    keepInAddress();
  }

  /** Draws what changes with the pointer: the line under it, and what is hovered and pinned. */
  function paintOverlay() {
    const { layout, palette } = app;
    const ctx = pen(byId("overlay-canvas"), layout.width, layout.height);
    ctx.clearRect(0, 0, layout.width, layout.height);
    if (app.at !== undefined) {
      ctx.fillStyle = palette.faint;
      const x = Pen.edge(ctx, Arrows.x(app, app.at));
      ctx.fillRect(x, layout.axis.height, 1, layout.height - layout.axis.height);
    }
    if (app.pinned && app.pinned.event !== undefined) markEvent(ctx);
    for (const target of [app.pinned, app.hovered]) {
      if (target && target.message !== undefined) Arrows.highlight(ctx, app, target.message);
    }
    const last = Math.min(app.view.to, app.model.end);
    const at = pinnedEvent() >= 0 ? app.model.events[pinnedEvent()].at : last;
    const { start, end } = app.model;
    Pinned.states(app, Math.min(Math.max(app.at === undefined ? at : app.at, start), end));
  }

  /** Marks the pinned event: a line through its time, and a frame around its place in the lane. */
  function markEvent(ctx) {
    const { layout, palette, model } = app;
    const { at, what } = model.events[app.pinned.event];
    const x = Pen.edge(ctx, Arrows.x(app, at));
    ctx.fillStyle = palette.accent;
    ctx.fillRect(x, layout.axis.height, 1, layout.height - layout.axis.height);
    const lane = model.members.findIndex(({ id }) => id === what.member);
    if (lane < 0) return;
    const { top, bottom } = layout.lanes[lane];
    ctx.strokeStyle = palette.accent;
    ctx.lineWidth = 2;
    ctx.strokeRect(x - 4, top - 3, 9, bottom - top + 6);
  }

  function paintOverview() {
    const box = byId("overview");
    const layout = { ...app.layout, width: box.clientWidth, height: box.clientHeight };
    const view = View.whole(app.model);
    const canvas = byId("overview-canvas");
    // It changes with the theme and the size alone.
    const { width, height } = layout;
    const key = [width, height, app.palette.page, app.printing, devicePixelRatio].join();
    if (canvas.dataset.key !== key) {
      canvas.dataset.key = key;
      Overview.paint(pen(canvas, width, height), { ...app, layout, view });
    }
    const share = (at) => `${((at - view.from) / (view.to - view.from)) * 100}%`;
    const brush = byId("brush");
    brush.style.left = share(app.view.from);
    brush.style.right = `calc(100% - ${share(app.view.to)})`;
  }

  let keeping;

  /** Keeps the view in the page's address, so that a link to it can be passed on. */
  function keepInAddress() {
    clearTimeout(keeping);
    keeping = setTimeout(() => {
      const wanted = new URLSearchParams(location.hash.slice(1));
      wanted.set("from", Math.round(app.view.from));
      wanted.set("to", Math.round(app.view.to));
      if (pinnedEvent() >= 0) wanted.set("event", pinnedEvent());
      else wanted.delete("event");
      history.replaceState(null, "", `#${wanted}`);
    }, 300);
  }

  /** Reads the address: `#theme=dark&from=1000&to=9000&kinds=all&event=17&list=off`. */
  function readAddress() {
    const wanted = new URLSearchParams(location.hash.slice(1));
    const dark = matchMedia("(prefers-color-scheme: dark)");
    setTheme(wanted.get("theme") || (dark.matches ? "dark" : "light"));
    dark.addEventListener("change", () => setTheme(dark.matches ? "dark" : "light"));
    const kinds = wanted.get("kinds");
    const heartbeat = Kinds.number("heartbeat");
    const beats = app.model.messages.kind.filter((kind) => kind === heartbeat).length;
    if (kinds === null) app.shown.kinds[heartbeat] = beats <= HEARTBEATS_MAX;
    else if (kinds !== "all") {
      app.shown.kinds = Kinds.ALL.map(({ key }) => kinds.split(",").includes(key));
    }
    const narrow = matchMedia("(max-width: 900px)").matches;
    if (wanted.get("list") === "off" || (narrow && !wanted.has("list"))) {
      document.body.classList.add("without-panel");
      byId("events-toggle").setAttribute("aria-pressed", "false");
    }
    const all = View.whole(app.model);
    const bound = (name) => (wanted.has(name) ? Number(wanted.get(name)) : all[name]);
    app.view = View.clamp(app.model, { from: bound("from"), to: bound("to") });
    return wanted.has("event") ? Number(wanted.get("event")) : undefined;
  }

  /** The line below the title. */
  function facts({ members, messages, lost, termsSeen, events, start, end }) {
    byId("facts").textContent = [
      Words.counted(members.length, "member"),
      Words.counted(termsSeen, "term"),
      `${Words.counted(messages.count, "message")}${lost > 0 ? `, ${Words.count(lost)} lost` : ""}`,
      Words.counted(events.length, "event"),
    ].join(" · ");
    byId("duration").textContent = Words.duration(end - start);
  }

  /** On paper the page is light, wide and without controls. */
  function print(on) {
    const { dataset } = document.documentElement;
    app.printing = on;
    document.body.classList.toggle("printing", on);
    if (on) app.themeBefore = dataset.theme;
    dataset.theme = on ? "light" : app.themeBefore;
    app.palette = Palette.read();
    resize();
    if (on) document.querySelectorAll("canvas").forEach(flatten);
  }

  /** Puts a copy in a canvas's place: browsers print the last strokes of a canvas, or an image. */
  function flatten(canvas) {
    const copy = canvas.cloneNode();
    copy.getContext("2d").drawImage(canvas, 0, 0);
    canvas.replaceWith(copy);
  }

  function start() {
    app.model = Model.read(JSON.parse(byId("trace").textContent));
    const { members, messages, events } = app.model;
    facts(app.model);
    const event = readAddress();
    list = List.bind(app, pick);
    Controls.legend(app);
    Controls.bind(app);
    resize();
    List.refilter(list);
    if (event >= 0 && event < events.length) pick(event);
    new ResizeObserver(() => app.printing || resize()).observe(byId("plot"));
    window.addEventListener("beforeprint", () => print(true));
    window.addEventListener("afterprint", () => print(false));
    Report.set({ members: members.length, messages: messages.count, events: events.length });
    Report.set({ ready: 1 });
  }

  return { start };
})();

App.start();
