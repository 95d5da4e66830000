"use strict";

/** The members' lanes: roles, downtime, and how far the logs have come. */
const Lanes = (() => {
  /** Draws what lies below the arrows. */
  function paintBelow(ctx, { layout, palette }) {
    ctx.strokeStyle = palette.line;
    ctx.lineWidth = 1;
    ctx.beginPath();
    for (const { middle } of layout.lanes) {
      const y = Pen.sharp(ctx, middle);
      ctx.moveTo(0, y);
      ctx.lineTo(layout.width, y);
    }
    ctx.stroke();
  }

  /** Draws the cards, over the arrows that pass behind them. */
  function paint(ctx, scene) {
    const bounds = logBounds(scene);
    scene.model.members.forEach((member, lane) => {
      ctx.save();
      const place = scene.layout.lanes[lane];
      paintCard(ctx, scene, member, place);
      paintLog(ctx, scene, member, place.strip, bounds);
      paintRoles(ctx, scene, member, place.band);
      paintFaults(ctx, scene, member, place);
      paintMarks(ctx, scene, member, place);
      ctx.restore();
    });
  }

  /** Calls `visit` with the edges of each span in view, in pixels, cut to the plot. */
  function eachSpan(ctx, scene, spans, visit) {
    const { view, layout, model } = scene;
    let place = Math.max(0, Model.lastBefore(spans, view.from, "from"));
    for (; place < spans.length && spans[place].from <= view.to; place += 1) {
      const span = spans[place];
      const to = Math.min(span.to, model.end);
      if (to < view.from) continue;
      const x1 = Pen.edge(ctx, Math.max(-8, Arrows.x(scene, span.from)));
      const x2 = Pen.edge(ctx, Math.min(layout.width + 8, Arrows.x(scene, to)));
      visit(span, x1, Math.max(x2, x1 + 1));
    }
  }

  /** The ground of the lane while the member is up. */
  function paintCard(ctx, scene, member, { top, strip }) {
    const { palette } = scene;
    eachSpan(ctx, scene, member.up, (_, x1, x2) => {
      ctx.globalAlpha = 0.92;
      ctx.fillStyle = palette.page;
      ctx.fillRect(x1, top, x2 - x1, strip.y + strip.height - top);
      ctx.globalAlpha = 1;
      ctx.fillStyle = palette.surface;
      ctx.fillRect(x1, strip.y, x2 - x1, strip.height);
    });
  }

  /** What may be written on a role's band, the longest first. */
  function roleTexts({ role, term, leader }) {
    const short = [`T${term}`, String(term)];
    switch (role) {
      case "leader":
        return [`leader · term ${term}`, `leader ${term}`, ...short];
      case "candidate":
        return [`candidate · term ${term}`, `candidate ${term}`, ...short];
      case "pre-candidate":
        return [`pre-candidate · term ${term}`, ...short];
      default:
        return leader === null
          ? [`term ${term} · no leader`, `term ${term}`, ...short]
          : [`term ${term} · follows ${Words.member(leader)}`, `term ${term}`, ...short];
    }
  }

  function paintRoles(ctx, scene, member, { y, height }) {
    const { palette } = scene;
    ctx.textAlign = "left";
    ctx.textBaseline = "middle";
    eachSpan(ctx, scene, member.roles, (span, x1, x2) => {
      const colours = palette.roles[span.role] || palette.roles.follower;
      ctx.fillStyle = colours.fill;
      ctx.fillRect(x1, y, x2 - x1, height);
      if (span.role === "pre-candidate") {
        ctx.fillStyle = Palette.hatch(ctx, palette, palette.roles.candidate.fill, 5);
        ctx.fillRect(x1, y, x2 - x1, height);
      }
      // A hairline parts bands of the same colour.
      ctx.fillStyle = palette.page;
      if (x2 - x1 > 3) ctx.fillRect(x1, y, 1, height);
      const left = Math.max(x1, 0) + 5;
      Pen.letters(ctx, palette, 10.5, span.role === "leader" ? 600 : 500);
      const text = x2 - left < 8 ? undefined : Pen.fitting(ctx, roleTexts(span), x2 - left - 4);
      if (text === undefined) return;
      if (span.role === "pre-candidate") {
        ctx.fillStyle = colours.fill;
        ctx.fillRect(left - 2, y + 3, Pen.width(ctx, text) + 4, height - 6);
      }
      ctx.fillStyle = colours.text;
      ctx.fillText(text, left, y + height / 2 + 0.5);
    });
  }

  /** The indexes between which all logs in view lie. */
  function logBounds({ model, view }) {
    let low = Infinity;
    let high = 0;
    for (const { logs } of model.members) {
      let place = Math.max(0, Model.lastBefore(logs, view.from, "at"));
      for (; place < logs.length && logs[place].at <= view.to; place += 1) {
        const { log } = logs[place];
        if (!log) continue;
        low = Math.min(low, log.applied, log.committed, log.last);
        high = Math.max(high, log.last, log.committed);
      }
    }
    if (low > high) return { low: 0, high: 1 };
    // A difference of one entry is not to look like a landslide.
    low = Math.max(0, Math.min(low, high - 4) - 1);
    return { low, high: Math.max(high, low + 4) };
  }

  /** The log's cursors as a landscape: applied, committed, durable and last, each behind the one
   * before. */
  function paintLog(ctx, scene, member, strip, { low, high }) {
    const { palette, layout, model } = scene;
    const floor = strip.y + strip.height;
    const y = (index) =>
      floor - ((Math.min(Math.max(index, low), high) - low) / (high - low)) * (strip.height - 3);
    for (const steps of logSteps(scene, member)) {
      const end = Math.min(steps.end, Arrows.x(scene, model.end), layout.width + 8);
      for (const cursor of ["last", "durable", "committed", "applied"]) {
        ctx.fillStyle = palette.log[cursor];
        ctx.beginPath();
        ctx.moveTo(steps[0].x, floor);
        steps.forEach(({ x, log }, place) => {
          ctx.lineTo(x, y(log[cursor]));
          ctx.lineTo(place + 1 < steps.length ? steps[place + 1].x : end, y(log[cursor]));
        });
        ctx.lineTo(end, floor);
        ctx.fill();
      }
      paintSkyline(ctx, scene, steps, end, y);
      paintTrimmed(ctx, scene, steps, end, y, floor);
      paintEntries(ctx, scene, steps, end, y, floor);
    }
  }

  /** The line along the last entry. */
  function paintSkyline(ctx, { palette }, steps, end, y) {
    ctx.strokeStyle = palette.log.skyline;
    ctx.lineWidth = 1;
    ctx.beginPath();
    steps.forEach(({ x, log }, place) => {
      const level = Pen.sharp(ctx, y(log.last));
      if (place === 0) ctx.moveTo(x, level);
      else ctx.lineTo(x, level);
      ctx.lineTo(place + 1 < steps.length ? steps[place + 1].x : end, level);
    });
    ctx.stroke();
  }

  /** Writes the last entry where it changes, and else the commit index, where there is room. */
  function paintEntries(ctx, { palette }, steps, end, y, floor) {
    Pen.letters(ctx, palette, 9.5);
    ctx.textAlign = "left";
    ctx.textBaseline = "alphabetic";
    ctx.fillStyle = palette.log.text;
    let written;
    steps.forEach(({ x, log }, place) => {
      const next = place + 1 < steps.length ? steps[place + 1].x : end;
      if (next - x < 20) return;
      const last = `${log.last}@${log.last_term}`;
      const left = Math.max(x, 0) + 4;
      const text = last === written ? `commit ${log.committed}` : last;
      const before = place > 0 ? steps[place - 1].log : undefined;
      const repeated = before && last === written && before.committed === log.committed;
      if (log.last === 0 || repeated || Pen.width(ctx, text) > next - left - 4) return;
      // Below the skyline, or above it where it is low.
      ctx.fillText(text, left, y(log.last) < floor - 13 ? floor - 4 : y(log.last) - 3);
      written = last;
    });
  }

  /** Hatches what has been trimmed from the log. */
  function paintTrimmed(ctx, { palette }, steps, end, y, floor) {
    ctx.fillStyle = Palette.hatch(ctx, palette, palette.surface, 4);
    ctx.beginPath();
    steps.forEach(({ x, log }, place) => {
      if (log.base === 0 || y(log.base) >= floor) return;
      const to = place + 1 < steps.length ? steps[place + 1].x : end;
      ctx.rect(x, y(log.base), to - x, floor - y(log.base));
    });
    ctx.fill();
  }

  /**
   * The places in view where a log changes, parted by downtimes; of all changes that fall on one
   * pixel, the last.
   */
  function logSteps(scene, { logs }) {
    const runs = [];
    let run;
    let place = Math.max(0, Model.lastBefore(logs, scene.view.from, "at"));
    for (; place < logs.length && logs[place].at <= scene.view.to; place += 1) {
      const { at, log } = logs[place];
      const x = Math.max(-8, Arrows.x(scene, at));
      if (!log) {
        if (run) run.end = x;
        run = undefined;
        continue;
      }
      if (!run) {
        run = [];
        run.end = Infinity;
        runs.push(run);
      }
      const last = run[run.length - 1];
      if (last && Math.floor(last.x * 2) === Math.floor(x * 2)) last.log = log;
      else run.push({ x, log });
    }
    // The next change lies out of view, and so may a crash.
    return runs;
  }

  /** Downtimes, pauses and stalled disks. */
  function paintFaults(ctx, scene, member, place) {
    const { palette } = scene;
    const { top, band, strip, middle } = place;
    const height = strip.y + strip.height - top;
    eachSpan(ctx, scene, downtimes(member), (span, x1, x2) => {
      ctx.fillStyle = palette.page;
      ctx.fillRect(x1, top, x2 - x1, height);
      ctx.fillStyle = Palette.hatch(ctx, palette, palette.down, 7);
      ctx.fillRect(x1, top, x2 - x1, height);
      label(ctx, scene, "down", x1, x2, middle);
      ctx.strokeStyle = palette.alarm;
      ctx.lineWidth = 2;
      ctx.beginPath();
      if (x2 - x1 > 12) Pen.cross(ctx, x1, middle, 5);
      else Pen.cross(ctx, (x1 + x2) / 2, middle, 3);
      ctx.stroke();
    });
    eachSpan(ctx, scene, member.paused, (_, x1, x2) => {
      ctx.fillStyle = Palette.hatch(ctx, palette, palette.ink, 5);
      ctx.globalAlpha = 0.45;
      ctx.fillRect(x1, band.y, x2 - x1, band.height);
      ctx.globalAlpha = 1;
      label(ctx, scene, "stands still", x1, x2, band.y + band.height / 2);
    });
    eachSpan(ctx, scene, member.stalled, (_, x1, x2) => {
      ctx.fillStyle = Palette.hatch(ctx, palette, palette.alarm, 5);
      ctx.globalAlpha = 0.55;
      ctx.fillRect(x1, strip.y, x2 - x1, strip.height);
      ctx.globalAlpha = 1;
      label(ctx, scene, "disk stalls", x1, x2, strip.y + strip.height / 2);
    });
  }

  /** The times between a crash and the next start. */
  function downtimes(member) {
    if (!member.downtimes) {
      const starts = member.up.slice(1).map(({ from }) => from);
      member.downtimes = member.up
        .map(({ to: from }, place) => ({ from, to: starts[place] || Infinity }))
        .filter(({ from, to }) => from < to);
    }
    return member.downtimes;
  }

  /** A small text at the end of a pattern, if it fits and leaves room for what begins there. */
  function label(ctx, { palette, layout }, text, x1, x2, y) {
    Pen.letters(ctx, palette, 10.5, 500);
    const [left, right] = [Math.max(x1, 0), Math.min(x2, layout.width)];
    const width = Pen.width(ctx, text);
    if (right - left < width * 2 + 20) return;
    ctx.textAlign = "left";
    ctx.textBaseline = "middle";
    Pen.over(ctx, palette, text, right - width - 8, y + 0.5, palette.ink);
  }

  /** Restarts, changes of the configuration, and notes about the member. */
  function paintMarks(ctx, scene, member, { top, band, strip }) {
    const { palette, view } = scene;
    ctx.fillStyle = palette.ink;
    const starts = member.up.filter(({ from }) => from >= view.from && from <= view.to);
    const size = starts.length > 8 ? 4 : 6;
    for (const { from } of starts) {
      const x = Arrows.x(scene, from);
      ctx.beginPath();
      ctx.moveTo(x - size - 1, band.y + band.height / 2 - size);
      ctx.lineTo(x - size - 1, band.y + band.height / 2 + size);
      ctx.lineTo(x, band.y + band.height / 2);
      ctx.fill();
    }
    const notes = inView(member.notes, view);
    ctx.fillStyle = notes.length > 200 ? palette.faint : palette.muted;
    for (const { at } of notes) {
      ctx.fillRect(Pen.edge(ctx, Arrows.x(scene, at)), strip.y + strip.height - 3, 1, 3);
    }
    ctx.lineWidth = 1.5;
    for (const { at } of inView(member.memberships, view)) {
      const x = Arrows.x(scene, at);
      ctx.beginPath();
      ctx.moveTo(x, top - 5);
      ctx.lineTo(x + 5, top);
      ctx.lineTo(x, top + 5);
      ctx.lineTo(x - 5, top);
      ctx.closePath();
      ctx.fillStyle = palette.accent;
      ctx.strokeStyle = palette.page;
      ctx.fill();
      ctx.stroke();
    }
  }

  /** The items of `list` within the view; of more than a thousand, as many as can be told apart. */
  function inView(list, view) {
    const first = Model.lastBefore(list, view.from, "at") + 1;
    const last = Model.lastBefore(list, view.to, "at") + 1;
    const every = Math.max(1, Math.ceil((last - first) / 1000));
    return list.slice(first, last).filter((_, place) => place % every === 0);
  }

  return { paintBelow, paint, eachSpan, inView, downtimes };
})();
