"use strict";

/** What is written: times, members, events, states. */
const Words = (() => {
  const MS = 1000;
  const SECOND = 1000 * MS;

  /** A duration in microseconds, in the unit that suits it. */
  function duration(us) {
    if (us < MS) return `${Math.round(us)} µs`;
    if (us < SECOND) return `${trim(us / MS, us < 10 * MS ? 2 : 1)} ms`;
    if (us < 600 * SECOND) return `${trim(us / SECOND, us < 10 * SECOND ? 2 : 1)} s`;
    const seconds = Math.round(us / SECOND);
    return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  }

  /** At most so many decimals, without zeros at the end. */
  const trim = (value, decimals) => String(Number(value.toFixed(decimals)));

  /**
   * A point in time, as exact as steps of `step` microseconds need.
   *
   * A run of less than two seconds is told in milliseconds, so that one step of a script is one.
   */
  function time(us, step, end) {
    const [unit, name] = end < 2 * SECOND ? [MS, "ms"] : [SECOND, "s"];
    const decimals = Math.max(0, Math.ceil(-Math.log10(step / unit) - 1e-9));
    return `${(us / unit).toFixed(decimals)} ${name}`;
  }

  /** The exact time of an event. */
  const exact = (us, end) => time(us, us % MS === 0 ? MS : 1, end);

  const member = (id) => `m${id}`;

  /** `1,234` for counts. */
  const count = (number) => number.toLocaleString("en");

  /** A count with its noun. */
  const counted = (number, noun) => `${count(number)} ${noun}${number === 1 ? "" : "s"}`;

  /**
   * The broken links: as groups if they part the members into groups that hear nothing of each
   * other, else one by one.
   */
  function links(broken, members) {
    const cut = new Set(broken.map(([from, to]) => `${from} ${to}`));
    const groups = [];
    const left = new Set(members.map(({ id }) => id));
    for (const { id } of members) {
      if (!left.delete(id)) continue;
      const group = [id];
      // The group grows while it is walked.
      for (const at of group) {
        for (const other of [...left]) {
          if (cut.has(`${at} ${other}`) || cut.has(`${other} ${at}`)) continue;
          left.delete(other);
          group.push(other);
        }
      }
      groups.push(group.sort((a, b) => a - b));
    }
    const between = groups.reduce(
      (sum, group) => sum + group.length * (members.length - group.length), 0,
    );
    if (groups.length > 1 && cut.size === between) {
      return groups.map((group) => group.map(member).join(" ")).join(" ┊ ");
    }
    return broken.map(([from, to]) => `${member(from)} ↛ ${member(to)}`).join(", ");
  }

  /** A role with its term. */
  function role({ role: name, term, leader }) {
    const of = name !== "leader" && leader !== null ? `, follows ${member(leader)}` : "";
    return `${name}, term ${term}${of}`;
  }

  /** The last entry of a log, and the cursors that say something more. */
  function log({ base, last, last_term: term, durable, committed, applied }) {
    const parts = [`log ${last}@${term}`];
    if (base > 0) parts.push(`trimmed to ${base}`);
    if (durable !== last) parts.push(`durable ${durable}`);
    if (committed !== last) parts.push(`committed ${committed}`);
    if (applied !== committed) parts.push(`applied ${applied}`);
    return parts.join(", ");
  }

  /** What happened in an event: who, what, and the number of the kind if it is about a message. */
  function event(model, number) {
    const { what } = model.events[number];
    const message = model.messageOf[number];
    if (message >= 0) return messageEvent(model, number, message);
    const who = what.member === undefined ? "" : member(what.member);
    switch (what.kind) {
      case "start":
        return { who, text: "starts" };
      case "crash":
        return { who, text: "crashes", strong: true };
      case "pause":
        return { who, text: "stands still" };
      case "resume":
        return { who, text: "goes on" };
      case "stall":
        return { who, text: "disk stalls" };
      case "unstall":
        return { who, text: "disk answers again" };
      case "role":
        return { who, text: role(what), role: what.role, strong: what.role === "leader" };
      case "log":
        return { who, text: log(what), quiet: true };
      case "membership":
        return { who, text: `uses ${what.membership}` };
      case "links":
        return { who: "network", text: brokenLinks(model, model.events[number]), strong: true };
      case "client":
        return { who: `c${what.client}`, text: what.text + (what.member > 0 ? ` (${who})` : "") };
      case "note":
        return { who: "", text: what.text };
      default:
        return { who, text: JSON.stringify(what) };
    }
  }

  /** The links that carry nothing since the event's time. */
  function brokenLinks(model, { at, what: { broken } }) {
    if (broken.length === 0) return "all links carry";
    const span = model.links[Model.lastBefore(model.links, at, "from")];
    return `broken links: ${span.text}`;
  }

  function messageEvent(model, number, message) {
    const sent = model.events[model.messages.sentEvent[message]].what;
    const kind = model.messages.kind[message];
    const [from, to] = [member(sent.from), member(sent.to)];
    switch (model.events[number].what.kind) {
      case "sent":
        return { who: from, text: `→ ${to} ${sent.body}`, kind };
      case "received":
        return { who: to, text: `← ${from} ${sent.body}`, kind, quiet: true };
      default:
        return { who: from, text: `⇥ ${to} ${sent.body} (lost)`, kind };
    }
  }

  return { duration, time, exact, member, count, counted, links, role, log, event };
})();
