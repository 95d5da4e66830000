"use strict";

/**
 * The trace, indexed by member and by time.
 *
 * Times are the trace's microseconds. Spans are lists of `{ from, to }` by rising `from` that do not
 * overlap; `to` does not belong to the span, and is infinite if the span lasts until the end.
 * Messages are columns (arrays of equal length, by rising time of sending), since there may be tens
 * of thousands of them.
 */
const Model = (() => {
  const UNDER_WAY = 0;
  const RECEIVED = 1;
  const LOST = 2;
  /** So many messages share one bound on when they end; see `eachMessage`. */
  const BLOCK = 128;

  /** All members that the trace names anywhere, by rising number. */
  function memberIds(events) {
    const ids = new Set();
    for (const { what } of events) {
      // A client need not know which member answers it, if one does at all.
      if (what.member !== undefined && what.kind !== "client") ids.add(what.member);
      if (what.kind === "sent") ids.add(what.from).add(what.to);
      if (what.kind === "links") what.broken.flat().forEach((id) => ids.add(id));
    }
    return [...ids].sort((a, b) => a - b);
  }

  /** What is known of one member before the first event. */
  function newMember(id, lane) {
    return {
      id,
      lane,
      name: `m${id}`,
      up: [],
      roles: [],
      paused: [],
      stalled: [],
      /** How many stalls last now; they may overlap. */
      stalls: 0,
      logs: [],
      memberships: [],
      notes: [],
    };
  }

  /** Empty columns for `count` messages. */
  function newMessages(count) {
    return {
      count,
      sentAt: new Float64Array(count),
      endAt: new Float64Array(count),
      from: new Uint16Array(count),
      to: new Uint16Array(count),
      kind: new Uint8Array(count),
      fate: new Uint8Array(count),
      /** The numbers of the events in which the message was sent, and received or lost. */
      sentEvent: new Uint32Array(count),
      endEvent: new Int32Array(count).fill(-1),
      blockEnd: new Float64Array(Math.ceil(count / BLOCK)),
    };
  }

  const open = (spans, at, more) => spans.push({ from: at, to: Infinity, ...more });

  /** Ends the last span, if it is open. */
  function close(spans, at) {
    const last = spans[spans.length - 1];
    if (last && last.to === Infinity) last.to = at;
  }

  /** How each kind of event changes the model that is being built. */
  const readers = {
    start(build, { what, at }) {
      const member = build.member(what.member);
      close(member.up, at);
      open(member.up, at);
    },
    crash(build, { what, at }) {
      const { up, roles, paused, logs } = build.member(what.member);
      [up, roles, paused].forEach((spans) => close(spans, at));
      logs.push({ at, down: true });
    },
    pause(build, { what, at }) {
      const { paused } = build.member(what.member);
      close(paused, at);
      open(paused, at);
    },
    resume: (build, { what, at }) => close(build.member(what.member).paused, at),
    stall(build, { what, at }) {
      const member = build.member(what.member);
      member.stalls += 1;
      if (member.stalls === 1) open(member.stalled, at);
    },
    unstall(build, { what, at }) {
      const member = build.member(what.member);
      member.stalls = Math.max(0, member.stalls - 1);
      if (member.stalls === 0) close(member.stalled, at);
    },
    role(build, { what, at }, event) {
      const { roles } = build.member(what.member);
      close(roles, at);
      open(roles, at, { role: what.role, term: what.term, leader: what.leader, event });
    },
    log: (build, { what, at }) => build.member(what.member).logs.push({ at, log: what }),
    membership(build, { what, at }, event) {
      const { memberships } = build.member(what.member);
      const last = memberships[memberships.length - 1];
      // A member that starts again tells what it knew before.
      if (last && last.text === what.membership) return;
      memberships.push({ at, text: what.membership, event });
    },
    sent: readSent,
    received: (build, event, number) => readEnd(build, event, number, RECEIVED),
    lost: (build, event, number) => readEnd(build, event, number, LOST),
    links(build, { what, at }) {
      close(build.model.links, at);
      const { broken } = what;
      if (broken.length > 0) {
        open(build.model.links, at, { broken });
      }
    },
    client(build, { what, at }, event) {
      const failed = /refuse|give|fail/.test(what.text);
      build.model.requests.push({ at, event, client: what.client, failed });
    },
    note(build, { what, at }, event) {
      const who = /^m(\d+)\b/.exec(what.text);
      const lane = who ? build.lanes.get(Number(who[1])) : undefined;
      const notes = lane === undefined ? build.model.notes : build.model.members[lane].notes;
      notes.push({ at, text: what.text, event });
    },
  };

  function readSent(build, { what, at }, event) {
    const { messages } = build.model;
    const number = build.sent;
    build.sent += 1;
    build.byId.set(what.id, number);
    messages.sentAt[number] = at;
    messages.endAt[number] = Infinity;
    messages.from[number] = build.lanes.get(what.from);
    messages.to[number] = build.lanes.get(what.to);
    const kind = isQuiet(build, what) ? Kinds.number("heartbeat") : Kinds.ofBody(what.body);
    messages.kind[number] = kind;
    messages.sentEvent[number] = event;
    build.model.messageOf[event] = number;
  }

  function readEnd(build, { what, at }, event, fate) {
    const number = build.byId.get(what.id);
    if (number === undefined) return;
    const { messages } = build.model;
    messages.endAt[number] = at;
    messages.fate[number] = fate;
    messages.endEvent[number] = event;
    build.model.messageOf[event] = number;
  }

  /** Tells whether a message is an acknowledgement that only repeats what was told before. */
  function isQuiet(build, { from, to, term, body }) {
    const accepted = /^Accepted matched=(\d+)/.exec(body);
    if (!accepted) return false;
    const link = `${from} ${to}`;
    const told = build.told.get(link);
    const matched = Number(accepted[1]);
    if (told && told.term === term && told.matched >= matched) return true;
    build.told.set(link, { term, matched });
    return false;
  }

  /** Reads a trace. */
  function read(trace) {
    const { events } = trace;
    const members = memberIds(events).map(newMember);
    const sent = events.reduce((count, { what }) => count + (what.kind === "sent" ? 1 : 0), 0);
    const first = events.length > 0 ? events[0].at : 0;
    const model = {
      title: trace.title,
      events,
      start: first,
      end: events.reduce((end, { at }) => Math.max(end, at), first),
      members,
      messages: newMessages(sent),
      /** The number of the message that an event is about, by the event's number, or -1. */
      messageOf: new Int32Array(events.length).fill(-1),
      links: [],
      notes: [],
      /** What clients asked and were answered, in the `row` in which it is drawn. */
      requests: [],
      /** From what a client asked to what it was answered: `{ row, from, to, failed }`. */
      operations: [],
      clientRows: [],
    };
    const lanes = new Map(members.map(({ id, lane }) => [id, lane]));
    const member = (id) => members[lanes.get(id)];
    const build = { model, lanes, member, sent: 0, byId: new Map(), told: new Map() };
    events.forEach((event, number) => {
      const reader = readers[event.what.kind];
      if (reader) reader(build, event, number);
    });
    finish(model);
    return model;
  }

  /** Ends what is open, and computes what depends on the whole. */
  function finish(model) {
    const { messages, end } = model;
    for (const member of model.members) {
      // A member that the trace never starts is there from the beginning.
      if (member.up.length === 0) open(member.up, model.start);
      member.terms = member.roles.filter(
        (span, place) => place === 0 || span.term !== member.roles[place - 1].term,
      );
    }
    for (const span of model.links) {
      const there = model.members.filter(({ up }) => up[0].from <= span.from);
      span.text = Words.links(span.broken, there);
    }
    for (let number = 0; number < messages.count; number += 1) {
      if (messages.endAt[number] === Infinity) messages.endAt[number] = end;
      const block = Math.floor(number / BLOCK);
      messages.blockEnd[block] = Math.max(messages.blockEnd[block], messages.endAt[number]);
    }
    Clients.place(model);
    const terms = model.members.flatMap(({ roles }) => roles.map(({ term }) => term));
    model.termsSeen = new Set(terms.filter((term) => term > 0)).size;
    model.lost = messages.fate.reduce((count, fate) => count + (fate === LOST ? 1 : 0), 0);
  }

  /** Calls `visit` with the number of each message that was under way between `from` and `to`. */
  function eachMessage({ count, sentAt, endAt, blockEnd }, from, to, visit) {
    for (let block = 0; block < blockEnd.length; block += 1) {
      const first = block * BLOCK;
      if (sentAt[first] > to) return;
      // One message that is under way for long must not make all of the run visible.
      if (blockEnd[block] < from) continue;
      const end = Math.min(first + BLOCK, count);
      for (let number = first; number < end && sentAt[number] <= to; number += 1) {
        if (endAt[number] >= from) visit(number);
      }
    }
  }

  /** The place of the last item of `list` whose `key` is at most `at`; -1 if there is none. */
  function lastBefore(list, at, key) {
    let low = 0;
    let high = list.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (list[middle][key] <= at) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  /** The span of `spans` that holds `at`, if there is one. */
  function spanAt(spans, at) {
    const span = spans[lastBefore(spans, at, "from")];
    return span && at < span.to ? span : undefined;
  }

  /** What a member was at a time, after all that happened at that time. */
  function stateAt(member, at) {
    const place = lastBefore(member.logs, at, "at");
    const membership = member.memberships[lastBefore(member.memberships, at, "at")];
    return {
      began: member.up[0].from <= at,
      up: Boolean(spanAt(member.up, at)),
      role: spanAt(member.roles, at),
      paused: Boolean(spanAt(member.paused, at)),
      stalled: Boolean(spanAt(member.stalled, at)),
      log: place < 0 ? undefined : member.logs[place].log,
      membership: membership && membership.text,
    };
  }

  return { UNDER_WAY, RECEIVED, LOST, read, eachMessage, lastBefore, spanAt, stateAt };
})();
