"use strict";

/** What is told at length: the note at the pointer, the pinned item, the members' states. */
const Pinned = (() => {
  const { element } = Probe;

  /** Shows the note about what is under the pointer, beside it. */
  function tip(app, target, x, y) {
    const box = document.getElementById("tip");
    box.hidden = target === undefined;
    if (target === undefined) return;
    box.replaceChildren(...Probe.tell(app.model, target));
    const { width, height } = box.getBoundingClientRect();
    const left = x + 18 + width > innerWidth ? x - width - 14 : x + 18;
    const top = y + 18 + height > innerHeight ? y - height - 12 : y + 18;
    box.style.left = `${Math.max(6, left)}px`;
    box.style.top = `${Math.max(6, top)}px`;
  }

  /** Shows the pinned item, what it came from and what it led to; `pick` is called with events. */
  function panel(app, pick) {
    const box = document.getElementById("pinned");
    const target = app.pinned;
    box.hidden = target === undefined;
    if (target === undefined) return;
    const close = element("button", "close", "✕");
    close.type = "button";
    close.setAttribute("aria-label", "Unpin");
    close.addEventListener("click", () => pick(undefined));
    const content = [close, ...Probe.tell(app.model, target)];
    const { before, after } = links(app.model, target);
    if (before.length > 0) content.push(steps(app, "In answer to", before, pick));
    if (after.length > 0) content.push(steps(app, "Thereupon", after, pick));
    box.replaceChildren(...content);
  }

  /** The events that led to a target and that followed from it. */
  function links(model, target) {
    const message = target.message === undefined ? model.messageOf[target.event] : target.message;
    if (message < 0) return { before: [], after: [] };
    const cause = Probe.cause(model, message);
    const end = model.messages.endEvent[message];
    return {
      before: cause === undefined ? [] : [cause],
      after: end < 0 ? [] : Probe.consequences(model, end),
    };
  }

  function steps(app, title, events, pick) {
    const list = element("ul", "steps");
    for (const event of events) {
      const { who, text, kind } = Words.event(app.model, event);
      const button = element("button", "", element("b", "", who), ` ${text}`);
      button.type = "button";
      if (kind !== undefined) button.prepend(Probe.swatch(kind));
      button.addEventListener("click", () => pick(event));
      list.append(element("li", "", button));
    }
    return element("div", "", element("h4", "", title), list);
  }

  /** Makes the labels left of the plot. */
  function gutter(app) {
    const box = document.getElementById("gutter");
    const { layout, model } = app;
    const labels = [];
    const label = (className, y, height, ...content) => {
      const made = element("div", className, ...content);
      made.style.top = `${y}px`;
      made.style.height = `${height}px`;
      labels.push(made);
      return made;
    };
    const { network, notes } = layout;
    if (network.height > 0) label("row-name", network.y, network.height, "broken links");
    if (notes.height > 0) label("row-name", notes.y, notes.height, "notes");
    app.cards = model.members.map((member, lane) => {
      const { top, bottom } = layout.lanes[lane];
      const role = element("span", "role");
      const log = element("span", "log");
      label("member", top, bottom - top, element("b", "", member.name), role, log);
      return { role, log };
    });
    layout.clients.forEach(({ y, height }, row) => {
      label("row-name", y, height, model.clientRows[row]);
    });
    const head = document.getElementById("instant");
    box.replaceChildren(head, ...labels);
  }

  /** Writes the members' states at a time into their labels. */
  function states(app, at) {
    const head = document.getElementById("instant").lastElementChild;
    const step = Math.max(1, (app.view.to - app.view.from) / app.layout.width);
    head.textContent = Words.time(at, View.step(step), app.model.end);
    app.model.members.forEach((member, lane) => {
      const { role, log } = app.cards[lane];
      const state = Model.stateAt(member, at);
      const name = state.role ? state.role.role : "";
      role.dataset.role = state.up ? name : "down";
      if (!state.up) role.textContent = state.began ? "down" : "not yet";
      else role.textContent = state.role ? `${name} ${state.role.term}` : "";
      const { last, last_term: term, committed } = state.log || {};
      log.textContent = state.up && state.log ? `${last}@${term} c${committed}` : "";
    });
  }

  return { tip, panel, gutter, states };
})();
