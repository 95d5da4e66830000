"use strict";

/** What frames the lanes: the axis, broken links, notes. */
const Frame = (() => {
  /** The least distance of two marks on the axis, in pixels. */
  const MARKS = 90;

  /** Draws the axis with its grid. */
  function paintAxis(ctx, { model, view, layout, palette }) {
    const { width, height, axis } = layout;
    const step = View.step(((view.to - view.from) / width) * MARKS);
    Pen.letters(ctx, palette, 11);
    ctx.textAlign = "center";
    ctx.textBaseline = "middle";
    ctx.lineWidth = 1;
    const first = Math.ceil(Math.max(view.from, 0) / step);
    for (let mark = first; mark * step <= view.to; mark += 1) {
      const x = Pen.sharp(ctx, ((mark * step - view.from) / (view.to - view.from)) * width);
      ctx.strokeStyle = palette.line;
      ctx.beginPath();
      ctx.moveTo(x, axis.height);
      ctx.lineTo(x, height);
      ctx.stroke();
      const text = Words.time(mark * step, step, model.end);
      const half = Pen.width(ctx, text) / 2 + 2;
      if (x < half || x > width - half) continue;
      ctx.fillStyle = palette.muted;
      ctx.fillText(text, x, axis.height / 2);
    }
    ctx.strokeStyle = palette.line;
    ctx.beginPath();
    ctx.moveTo(0, Pen.sharp(ctx, axis.height));
    ctx.lineTo(width, Pen.sharp(ctx, axis.height));
    ctx.stroke();
  }

  /** Shades the time before and after the run. */
  function paintOutside(ctx, scene) {
    const { model, layout, palette } = scene;
    ctx.fillStyle = Palette.hatch(ctx, palette, palette.line, 9);
    const [start, end] = [model.start, model.end].map((at) => Arrows.x(scene, at));
    const { y, height } = layout.body;
    if (start > 0) ctx.fillRect(0, y, start, height);
    if (end < layout.width) ctx.fillRect(end, y, layout.width - end, height);
  }

  /** Draws for how long which links were broken: a bar on top, and a shade over all lanes. */
  function paintNetwork(ctx, scene) {
    const { model, layout, palette } = scene;
    const { y, height } = layout.network;
    Pen.letters(ctx, palette, 10.5, 500);
    ctx.textAlign = "left";
    ctx.textBaseline = "middle";
    Lanes.eachSpan(ctx, scene, model.links, ({ text }, x1, x2) => {
      ctx.fillStyle = palette.cut;
      ctx.globalAlpha = 0.09;
      ctx.fillRect(x1, y + height, x2 - x1, layout.height - y - height);
      ctx.globalAlpha = 0.28;
      ctx.fillRect(x1, y + 3, x2 - x1, height - 6);
      ctx.globalAlpha = 1;
      ctx.fillRect(x1, y + 3, Math.min(2, x2 - x1), height - 6);
      const left = Math.max(x1, 0) + 7;
      const fits = Pen.fitting(ctx, [text, ...shortened(text)], x2 - left - 3);
      if (fits === undefined) return;
      ctx.fillStyle = palette.ink;
      ctx.fillText(fits, left, y + height / 2 + 0.5);
    });
  }

  /** Shorter texts for a list of links. */
  function shortened(text) {
    const parts = text.split(", ");
    return parts.length > 1 ? [`${parts[0]} +${parts.length - 1}`, `${parts.length} links`] : [];
  }

  /** Draws notes that are about no member: ticks, with their text where there is room. */
  function paintNotes(ctx, scene) {
    const { model, view, layout, palette } = scene;
    const { y, height } = layout.notes;
    if (height === 0) return;
    Pen.letters(ctx, palette, 10.5);
    ctx.textAlign = "left";
    ctx.textBaseline = "middle";
    const notes = Lanes.inView(model.notes, view);
    notes.forEach(({ at, text }, place) => {
      const x = Arrows.x(scene, at);
      const next = place + 1 < notes.length ? Arrows.x(scene, notes[place + 1].at) : layout.width;
      ctx.fillStyle = palette.accent;
      ctx.fillRect(Pen.edge(ctx, x), y + 3, 1.5, height - 6);
      const fits = Pen.fitting(ctx, [text, cut(ctx, text, next - x - 12)], next - x - 8);
      if (!fits) return;
      ctx.fillStyle = palette.muted;
      ctx.fillText(fits, x + 5, y + height / 2);
    });
  }

  /** The beginning of a text, as much as fits; empty if that is next to nothing. */
  function cut(ctx, text, room) {
    const letters = Math.floor(room / 6);
    return letters >= 6 ? `${text.slice(0, letters)}…` : "";
  }

  return { paintAxis, paintOutside, paintNetwork, paintNotes };
})();

/** The whole run in small, with the part in view as a window that can be moved. */
const Overview = (() => {
  const TERMS = 14;

  /** Draws who led when, in which terms, and how many messages there were. */
  function paint(ctx, scene) {
    const { model, layout, palette } = scene;
    const { width, height } = layout;
    ctx.clearRect(0, 0, width, height);
    const pitch = Math.min(8, (height - TERMS - 16) / Math.max(1, model.members.length));
    const lanesTop = TERMS;
    const lanesEnd = lanesTop + pitch * model.members.length;
    paintTraffic(ctx, scene, lanesEnd + 3, height - lanesEnd - 4);
    Lanes.eachSpan(ctx, scene, model.links, (_, x1, x2) => {
      ctx.fillStyle = palette.cut;
      ctx.globalAlpha = 0.22;
      ctx.fillRect(x1, lanesTop, x2 - x1, height - lanesTop);
      ctx.globalAlpha = 1;
    });
    model.members.forEach((member, lane) => {
      const y = lanesTop + lane * pitch;
      // The quiet roles first: a moment of leadership must not be covered.
      for (const role of ["follower", "pre-candidate", "candidate", "leader"]) {
        const spans = member.roles.filter((span) => span.role === role);
        Lanes.eachSpan(ctx, scene, spans, (_, x1, x2) => {
          ctx.fillStyle = palette.roles[role].fill;
          ctx.fillRect(x1, y, x2 - x1, pitch - 1.5);
        });
      }
    });
    paintTerms(ctx, scene);
  }

  /** How many messages were sent, over time. */
  function paintTraffic(ctx, { model, view, layout, palette }, y, height) {
    const { sentAt, count } = model.messages;
    const bins = new Uint32Array(Math.ceil(layout.width / 2) + 1);
    const scale = bins.length / (view.to - view.from);
    for (let number = 0; number < count; number += 1) {
      bins[Math.floor((sentAt[number] - view.from) * scale)] += 1;
    }
    const most = Math.sqrt(bins.reduce((max, value) => Math.max(max, value), 1));
    ctx.fillStyle = palette.faint;
    bins.forEach((value, bin) => {
      if (value === 0) return;
      const bar = Math.max(1, (Math.sqrt(value) / most) * height);
      ctx.fillRect(bin * 2, y + height - bar, 1.5, bar);
    });
  }

  /** Writes the terms in which somebody led, where they began. */
  function paintTerms(ctx, scene) {
    const { model, palette } = scene;
    const led = model.members
      .flatMap(({ roles }) => roles.filter(({ role }) => role === "leader"))
      .sort((a, b) => a.from - b.from);
    Pen.letters(ctx, palette, 9.5, 500);
    ctx.textAlign = "left";
    ctx.textBaseline = "middle";
    ctx.fillStyle = palette.muted;
    let free = -Infinity;
    for (const { from, term } of led) {
      const x = Arrows.x(scene, from);
      const text = free === -Infinity ? `term ${term}` : String(term);
      if (x < free) continue;
      ctx.fillRect(Pen.edge(ctx, x), 2, 1, TERMS - 3);
      ctx.fillText(text, x + 3, TERMS / 2);
      free = x + Pen.width(ctx, text) + 8;
    }
  }

  return { paint };
})();
