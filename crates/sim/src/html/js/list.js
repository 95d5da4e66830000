"use strict";

/** The list of events: only the rows that can be seen exist. */
const List = (() => {
  const ROW = 24;
  const { element, swatch } = Probe;

  /** Binds the list to its elements; `pick` is called with the number of an event. */
  function bind(app, pick) {
    const box = document.getElementById("list");
    const list = {
      app,
      box,
      size: document.getElementById("list-size"),
      filter: document.getElementById("filter"),
      count: document.getElementById("count"),
      rows: [],
      driven: false,
    };
    box.addEventListener("scroll", () => paint(list), { passive: true });
    list.filter.addEventListener("input", () => refilter(list));
    box.addEventListener("click", (click) => {
      const row = click.target.closest("[data-event]");
      if (row) pick(Number(row.dataset.event));
    });
    box.addEventListener("keydown", (press) => {
      // These scroll the list, and do not move the view.
      if (["PageUp", "PageDown"].includes(press.key)) press.stopPropagation();
      const by = { ArrowDown: 1, ArrowUp: -1 }[press.key];
      if (!by || list.rows.length === 0) return;
      press.preventDefault();
      const place = placeOf(list, app.pinnedEvent());
      const next = Math.min(Math.max(place + by, 0), list.rows.length - 1);
      pick(list.rows[next]);
    });
    return list;
  }

  /** Chooses the events again, after the filter or the kinds have changed. */
  function refilter(list) {
    const { model, shown } = list.app;
    const wanted = list.filter.value.trim().toLowerCase();
    const rows = [];
    for (let event = 0; event < model.events.length; event += 1) {
      const message = model.messageOf[event];
      if (message >= 0 && !Arrows.isShown({ model, shown }, message)) continue;
      if (wanted !== "") {
        const { who, text } = Words.event(model, event);
        if (!`${who} ${text}`.toLowerCase().includes(wanted)) continue;
      }
      rows.push(event);
    }
    list.rows = rows;
    list.size.style.height = `${rows.length * ROW}px`;
    list.count.textContent = Words.count(rows.length);
    follow(list);
    paint(list);
  }

  /** The place of an event in the list, or of the last one before it. */
  function placeOf({ rows }, event) {
    let low = 0;
    let high = rows.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (rows[middle] <= event) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  /** The place of the first event at or after a time. */
  function placeAt({ rows, app }, at) {
    let low = 0;
    let high = rows.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (app.model.events[rows[middle]].at < at) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Scrolls to what is pinned, if that is in view, else to the first event in view. */
  function follow(list) {
    const { app } = list;
    const pinned = app.pinnedEvent();
    const at = pinned < 0 ? -1 : app.model.events[pinned].at;
    if (at >= app.view.from && at <= app.view.to) {
      show(list, Math.max(0, placeOf(list, pinned)));
    } else {
      list.box.scrollTop = placeAt(list, app.view.from) * ROW;
      paint(list);
    }
  }

  /** Scrolls as little as is needed to show a place. */
  function show(list, place) {
    const { box } = list;
    if (place * ROW < box.scrollTop) box.scrollTop = place * ROW;
    const below = (place + 1) * ROW - box.clientHeight;
    if (below > box.scrollTop) box.scrollTop = below;
    paint(list);
  }

  /** Makes the rows that can be seen. */
  function paint(list) {
    const { app, box, size, rows } = list;
    if (box.clientHeight === 0) return;
    const first = Math.max(0, Math.floor(box.scrollTop / ROW) - 4);
    const last = Math.min(rows.length, Math.ceil((box.scrollTop + box.clientHeight) / ROW) + 4);
    const made = [];
    for (let place = first; place < last; place += 1) made.push(row(app, rows[place], place));
    size.replaceChildren(...made);
  }

  function row(app, event, place) {
    const { at } = app.model.events[event];
    const { who, text, kind, role, strong, quiet } = Words.event(app.model, event);
    const made = element(
      "div", "row",
      element("span", "at", Words.exact(at, app.model.end)),
      kind === undefined ? element("i", "swatch none") : swatch(kind),
      element("b", "", who),
      element("span", "what", text),
    );
    made.style.top = `${place * ROW}px`;
    made.dataset.event = event;
    made.title = text;
    made.setAttribute("role", "option");
    made.setAttribute("aria-selected", String(event === app.pinnedEvent()));
    made.classList.toggle("outside", at < app.view.from || at > app.view.to);
    made.classList.toggle("quiet", Boolean(quiet));
    made.classList.toggle("strong", Boolean(strong));
    if (role) made.dataset.role = role;
    return made;
  }

  return { bind, refilter, follow, paint };
})();
