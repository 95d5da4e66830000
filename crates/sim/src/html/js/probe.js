"use strict";

/** What lies under a point of the plot, and what there is to say about it. */
const Probe = (() => {
  const REACH = 6;

  /** What is under a point: `{ message }`, `{ event }`, `{ links }`, `{ lane, at }` or nothing. */
  function under(scene, x, y) {
    const { model, view, layout } = scene;
    const at = view.from + (x / layout.width) * (view.to - view.from);
    const event = markUnder(scene, x, y);
    if (event !== undefined) return { event };
    const message = Arrows.nearest(scene, x, y, REACH);
    if (message !== undefined) return { message };
    const { network } = layout;
    if (y >= network.y && y < network.y + network.height) {
      const links = Model.spanAt(model.links, at);
      return links ? { links } : undefined;
    }
    const lane = layout.lanes.findIndex(({ top, bottom }) => y >= top && y <= bottom);
    return lane >= 0 ? { lane, at } : undefined;
  }

  /** The event of the tick or mark that is nearest, if one is near. */
  function markUnder(scene, x, y) {
    const { model, layout } = scene;
    const within = (box) => y >= box.y && y < box.y + box.height;
    const row = layout.clients.findIndex(within);
    if (row >= 0) {
      return nearest(scene, model.requests.filter((request) => request.row === row), x);
    }
    if (within(layout.notes)) return nearest(scene, model.notes, x);
    const lane = layout.lanes.findIndex(({ top }) => Math.abs(y - top) <= REACH);
    if (lane >= 0) return nearest(scene, model.members[lane].memberships, x);
    const strip = layout.lanes.findIndex(({ bottom }) => Math.abs(y - bottom) <= 3);
    return strip >= 0 ? nearest(scene, model.members[strip].notes, x) : undefined;
  }

  function nearest(scene, list, x) {
    const { view, layout } = scene;
    const at = view.from + (x / layout.width) * (view.to - view.from);
    const place = Model.lastBefore(list, at, "at");
    const near = [list[place], list[place + 1]]
      .filter((item) => item && Math.abs(Arrows.x(scene, item.at) - x) <= REACH)
      .sort((a, b) => Math.abs(a.at - at) - Math.abs(b.at - at));
    return near.length > 0 ? near[0].event : undefined;
  }

  /** Makes an element with a class and text or children. */
  function element(name, className, ...content) {
    const made = document.createElement(name);
    if (className) made.className = className;
    made.append(...content);
    return made;
  }

  /** A dash in the colour of a kind. */
  function swatch(kind) {
    const mark = element("i", "swatch");
    mark.dataset.kind = Kinds.ALL[kind].key;
    return mark;
  }

  /** What there is to say about what lies under a point, as elements. */
  function tell(model, target) {
    if (target.message !== undefined) return tellMessage(model, target.message);
    if (target.event !== undefined) return tellEvent(model, target.event);
    if (target.links) return tellLinks(model, target.links);
    return tellMember(model, target.lane, target.at);
  }

  function tellMessage(model, number) {
    const { messages, members, events, end } = model;
    const { from, to, term, body } = events[messages.sentEvent[number]].what;
    const kind = messages.kind[number];
    const [sentAt, endAt] = [messages.sentAt[number], messages.endAt[number]];
    const exact = (at) => Words.exact(at, end);
    const ends = {
      [Model.RECEIVED]: `arrived at ${exact(endAt)}, after ${Words.duration(endAt - sentAt)}`,
      [Model.LOST]: endAt === sentAt ? "lost at once" : `lost at ${exact(endAt)}`,
      [Model.UNDER_WAY]: "still under way when the run ends",
    };
    const arrived = messages.fate[number] === Model.RECEIVED;
    const lines = [
      element("h3", "", swatch(kind), `${Words.member(from)} → ${Words.member(to)}`,
        element("small", "", `term ${term}`)),
      element("p", "body", body),
      element("p", "", `sent at ${exact(sentAt)}, ${ends[messages.fate[number]]}`),
      stateLine("when sending", members[messages.from[number]], sentAt),
    ];
    if (arrived) lines.push(stateLine("after arrival", members[messages.to[number]], endAt));
    return lines;
  }

  /** One member at one time, on one line. */
  function stateLine(when, member, at) {
    const state = Model.stateAt(member, at);
    const role = state.role ? Words.role(state.role) : "";
    const log = state.log ? ` · ${Words.log(state.log)}` : "";
    return element("p", "state", element("b", "", member.name), ` ${when}: ${role}${log}`);
  }

  function tellEvent(model, event) {
    const { who, text } = Words.event(model, event);
    const when = Words.exact(model.events[event].at, model.end);
    const lines = [
      element("h3", "", who || "Note", element("small", "", when)),
      element("p", "body", text),
    ];
    const { kind, client } = model.events[event].what;
    if (kind !== "client") return lines;
    // What else this client said and heard, if it is not much.
    const others = model.requests.filter((other) => other.client === client && other.event !== event);
    const told = others.length > 4 ? [] : others.map((other) => element("p", "",
      `${Words.exact(other.at, model.end)}: ${Words.event(model, other.event).text}`));
    return [...lines, ...told];
  }

  function tellLinks(model, { from, to, broken, text }) {
    const until = to === Infinity ? "the end" : Words.exact(to, model.end);
    const lines = [
      element("h3", "", "Broken links"),
      element("p", "body", text),
      element("p", "", `from ${Words.exact(from, model.end)} to ${until}`),
    ];
    if (!text.includes("↛")) {
      lines.push(element("p", "", `${Words.counted(broken.length, "direction")} carry nothing`));
    }
    return lines;
  }

  function tellMember(model, lane, at) {
    const member = model.members[lane];
    const state = Model.stateAt(member, at);
    const rounded = Words.time(at, 1, model.end);
    const lines = [element("h3", "", member.name, element("small", "", `at ${rounded}`))];
    if (!state.up) {
      return [...lines, element("p", "", state.began ? "down" : "not started yet")];
    }
    if (state.role) lines.push(element("p", "", Words.role(state.role)));
    if (state.log) lines.push(logTable(state.log));
    if (state.membership) lines.push(element("p", "body", state.membership));
    const faults = [state.paused && "stands still", state.stalled && "disk stalls"].filter(Boolean);
    if (faults.length > 0) lines.push(element("p", "alarm", faults.join(", ")));
    return lines;
  }

  /** The cursors of a log as a small table. */
  function logTable({ base, last, last_term: term, durable, committed, applied }) {
    const cells = { last: `${last}@${term}`, durable, committed, applied };
    if (base > 0) cells["trimmed to"] = base;
    const table = element("dl", "cursors");
    for (const [name, value] of Object.entries(cells)) {
      const key = element("dt", "", name);
      key.dataset.cursor = name;
      table.append(element("div", "", key, element("dd", "", String(value))));
    }
    return table;
  }

  /** What followed from an event at once, at the member it happened to: the numbers of events. */
  function consequences(model, event) {
    const { at, what } = model.events[event];
    if (what.kind !== "received") return [];
    const who = model.members[model.messages.to[model.messageOf[event]]].id;
    const found = [];
    for (let next = event + 1; next < model.events.length && found.length < 12; next += 1) {
      const { at: then, what: effect } = model.events[next];
      if (then !== at || effect.kind === "received") break;
      if (effect.member === who || effect.from === who) found.push(next);
    }
    return found;
  }

  /** What made a member send a message: the number of the event of an arrival at the same time. */
  function cause(model, message) {
    const event = model.messages.sentEvent[message];
    const { at } = model.events[event];
    const from = model.messages.from[message];
    for (let before = event - 1; before >= 0 && model.events[before].at === at; before -= 1) {
      if (model.events[before].what.kind !== "received") continue;
      return model.messages.to[model.messageOf[before]] === from ? before : undefined;
    }
    return undefined;
  }

  return { under, tell, element, swatch, consequences, cause };
})();
