"use strict";

/**
 * Messages as arrows: where they lie, and how they are drawn.
 *
 * A scene is what is to be drawn: `{ model, view, layout, palette, shown, scale }`. An arrow leaves
 * the sender's card at the time of sending and touches the receiver's card at the time of arrival.
 */
const Arrows = (() => {
  /** Above so many arrows in view, what falls together is drawn once, and tips are left out. */
  const SINGLE_MAX = 1500;
  const DOTS_MAX = 400;
  const LABELS_MAX = 220;
  /** Long paths are slow to stroke. */
  const PATH_MAX = 400;
  const TIP = 6;
  /** A message that was lost at once leans forward by so many pixels all the same. */
  const LEAN = 10;

  const x = (scene, at) =>
    ((at - scene.view.from) / (scene.view.to - scene.view.from)) * scene.layout.width;

  /** Tells whether messages like this one are shown. */
  const isShown = ({ model: { messages }, shown }, number) =>
    shown.kinds[messages.kind[number]] && (shown.lost || messages.fate[number] !== Model.LOST);

  /** Where a message's line begins and ends: `[x1, y1, x2, y2]`. */
  function line(scene, number) {
    const { model: { messages }, layout: { lanes } } = scene;
    const [from, to] = [messages.from[number], messages.to[number]];
    const down = from < to;
    const y1 = down ? lanes[from].bottom : lanes[from].top;
    const y2 = down ? lanes[to].top : lanes[to].bottom;
    const x1 = x(scene, messages.sentAt[number]);
    const x2 = x(scene, messages.endAt[number]);
    if (messages.fate[number] === Model.RECEIVED) return [x1, y1, x2, y2];
    // It ends halfway through the first gap: never behind a lane between.
    const next = lanes[down ? from + 1 : from - 1];
    const y = next ? (y1 + (down ? next.top : next.bottom)) / 2 : y1;
    const share = y2 === y1 ? 0 : (y - y1) / (y2 - y1);
    return [x1, y1, x1 + Math.max(x2 - x1, LEAN) * share, y];
  }

  /** Where a lane's neighbour begins, on the way of a message: arrows can be seen up to there. */
  function gapEnd({ model: { messages }, layout: { lanes } }, number) {
    const from = messages.from[number];
    return from < messages.to[number] ? lanes[from + 1].top : lanes[from - 1].bottom;
  }

  /** Draws all messages in view; returns how many, and with how many lines. */
  function paint(ctx, scene) {
    const visible = [];
    Model.eachMessage(scene.model.messages, scene.view.from, scene.view.to, (number) => {
      if (isShown(scene, number)) visible.push(number);
    });
    ctx.save();
    const paintAll = visible.length > SINGLE_MAX ? paintDense : paintSingle;
    const lines = paintAll(ctx, scene, visible);
    ctx.restore();
    return { drawn: visible.length, lines };
  }

  /** Sorts by kind, in the order of drawing. */
  function byKind({ model: { messages } }, visible) {
    const groups = Kinds.ALL.map(() => []);
    for (const number of visible) groups[messages.kind[number]].push(number);
    return Kinds.DRAWN.map((kind) => [kind, groups[kind]]).filter(([, group]) => group.length > 0);
  }

  /** Sets the pen for a kind. */
  function dip(ctx, scene, kind, wide = 1) {
    ctx.strokeStyle = scene.palette.kinds[kind];
    ctx.fillStyle = scene.palette.kinds[kind];
    ctx.lineWidth = Kinds.ALL[kind].width * wide;
    ctx.setLineDash(Kinds.ALL[kind].dash || []);
  }

  function paintSingle(ctx, scene, visible) {
    const roomy = visible.length <= DOTS_MAX;
    for (const [kind, group] of byKind(scene, visible)) {
      const lines = group.map((number) => line(scene, number));
      dip(ctx, scene, kind, roomy ? 1 : 0.8);
      stroke(ctx, lines);
      ctx.setLineDash([]);
      group.forEach((number, place) => paintEnds(ctx, scene, number, lines[place], roomy));
    }
    if (visible.length <= LABELS_MAX) paintLabels(ctx, scene, visible);
    return visible.length;
  }

  /** Strokes lines, in paths of bounded length. */
  function stroke(ctx, lines) {
    for (let first = 0; first < lines.length; first += PATH_MAX) {
      ctx.beginPath();
      for (const [x1, y1, x2, y2] of lines.slice(first, first + PATH_MAX)) {
        ctx.moveTo(x1, y1);
        ctx.lineTo(x2, y2);
      }
      ctx.stroke();
    }
  }

  /** The tip of a message that arrived, the cross of one that was lost; the dot at the sender. */
  function paintEnds(ctx, scene, number, [x1, y1, x2, y2], roomy) {
    const { messages } = scene.model;
    const kind = Kinds.ALL[messages.kind[number]];
    if (messages.fate[number] === Model.RECEIVED) {
      paintTip(ctx, kind, Math.atan2(y2 - y1, x2 - x1), x2, y2, roomy ? TIP : TIP - 1.5);
    } else {
      ctx.beginPath();
      ctx.lineWidth = 1.6;
      if (messages.fate[number] === Model.LOST) Pen.cross(ctx, x2, y2, roomy ? 3.5 : 2.5);
      else ctx.arc(x2, y2, 2.5, 0, 2 * Math.PI);
      ctx.stroke();
    }
    if (!roomy) return;
    ctx.beginPath();
    ctx.arc(x1, y1, 1.8, 0, 2 * Math.PI);
    ctx.fill();
  }

  /** An arrow's tip; for a refusal, the bar against which it ran. */
  function paintTip(ctx, kind, angle, x2, y2, size) {
    const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
    const point = (along, across) =>
      [x2 + along * cos - across * sin, y2 + along * sin + across * cos];
    ctx.beginPath();
    if (kind.tip === "bar") {
      ctx.lineWidth = 2;
      ctx.moveTo(...point(-1.5, -size * 0.75));
      ctx.lineTo(...point(-1.5, size * 0.75));
      ctx.stroke();
      return;
    }
    const wide = size * (kind.width > 2 ? 0.7 : 0.45);
    ctx.moveTo(x2, y2);
    ctx.lineTo(...point(-size * 1.25, -wide));
    ctx.lineTo(...point(-size * 1.25, wide));
    ctx.closePath();
    ctx.fill();
  }

  /**
   * Draws many messages: those between the same members that fall on the same pixels are one line,
   * the stronger the more there are.
   */
  function paintDense(ctx, scene, visible) {
    let lines = 0;
    for (const [kind, group] of byKind(scene, visible)) {
      const levels = [[], [], [], []];
      for (const { number, count } of together(ctx, scene, group)) {
        const [x1, y1, x2, y2] = line(scene, number);
        const level = Math.min(levels.length - 1, Math.floor(Math.log2(count)));
        levels[level].push([Pen.sharp(ctx, x1), y1, Pen.sharp(ctx, x2), y2]);
        lines += 1;
      }
      dip(ctx, scene, kind, 0.8);
      ctx.setLineDash([]);
      // Few lines may be strong; many of them would become a wall.
      const strong = Math.min(1, Math.max(0.1, 300 / group.length));
      levels.forEach((level, power) => {
        ctx.globalAlpha = Math.min(1, strong * (1 + 0.6 * power));
        stroke(ctx, level);
      });
    }
    ctx.globalAlpha = 1;
    return lines;
  }

  /** Puts messages together that cannot be told apart: one of them, and how many they are. */
  function together(ctx, { model: { messages, members }, view, layout }, group) {
    const { sentAt, endAt, from, to, fate } = messages;
    const pixels = (layout.width * ctx.getTransform().a) / (view.to - view.from);
    const found = [];
    const last = new Map();
    for (const number of group) {
      const link = (from[number] * members.length + to[number]) * 4 + fate[number];
      const start = Math.floor((sentAt[number] - view.from) * pixels);
      const end = Math.floor((endAt[number] - view.from) * pixels);
      const before = last.get(link);
      if (before && before.start === start && before.end === end) {
        before.count += 1;
      } else {
        const next = { number, start, end, count: 1 };
        last.set(link, next);
        found.push(next);
      }
    }
    return found;
  }

  /** Writes along the arrows what they say, where there is room. */
  function paintLabels(ctx, scene, visible) {
    const { model, palette } = scene;
    Pen.letters(ctx, palette, 10.5);
    ctx.textAlign = "center";
    ctx.textBaseline = "alphabetic";
    const placed = [];
    for (const number of [...visible].reverse()) {
      const [x1, y1, x2, y2] = line(scene, number);
      const share = y2 === y1 ? 1 : Math.min(1, (gapEnd(scene, number) - y1) / (y2 - y1));
      const [dx, dy] = [(x2 - x1) * share, (y2 - y1) * share];
      const room = Math.hypot(dx, dy) - 14;
      const { body } = model.events[model.messages.sentEvent[number]].what;
      const text = Kinds.label(body);
      const width = Pen.width(ctx, text);
      const at = { x: x1 + dx / 2, y: y1 + dy / 2, width, angle: Math.atan2(dy, dx) };
      if (width > room || placed.some((other) => overlap(at, other))) continue;
      placed.push(at);
      ctx.save();
      ctx.translate(at.x, at.y);
      ctx.rotate(at.angle);
      Pen.over(ctx, palette, text, 0, -4, palette.kinds[model.messages.kind[number]]);
      ctx.restore();
    }
  }

  /** Tells whether two labels would lie on each other. */
  function overlap(one, other) {
    const [dx, dy] = [other.x - one.x, other.y - one.y];
    const along = Math.abs(dx * Math.cos(one.angle) + dy * Math.sin(one.angle));
    const across = Math.abs(dy * Math.cos(one.angle) - dx * Math.sin(one.angle));
    const slanted = Math.abs(Math.sin(one.angle - other.angle)) * other.width / 2;
    return along < (one.width + other.width) / 2 + 10 && across < 14 + slanted;
  }

  /** Draws one message above everything, with all of its way visible. */
  function highlight(ctx, scene, number) {
    const { model: { messages }, palette } = scene;
    const kind = messages.kind[number];
    const at = line(scene, number);
    ctx.lineCap = "round";
    ctx.strokeStyle = palette.page;
    ctx.lineWidth = Kinds.ALL[kind].width + 5;
    stroke(ctx, [at]);
    dip(ctx, scene, kind);
    ctx.lineWidth = Kinds.ALL[kind].width + 1.2;
    stroke(ctx, [at]);
    ctx.setLineDash([]);
    paintEnds(ctx, scene, number, at, true);
  }

  /** The message nearest to a point, if one is within `reach` pixels where it can be seen. */
  function nearest(scene, px, py, reach) {
    const { model, view, layout: { lanes, width } } = scene;
    if (lanes.some(({ top, bottom }) => py > top + 1 && py < bottom - 1)) return undefined;
    const slack = ((view.to - view.from) / width) * (reach + LEAN);
    let best;
    let distance = reach;
    Model.eachMessage(model.messages, view.from - slack, view.to + slack, (number) => {
      if (!isShown(scene, number)) return;
      const found = away(line(scene, number), px, py);
      if (found < distance) [best, distance] = [number, found];
    });
    return best;
  }

  /** How far a point is from a line. */
  function away([x1, y1, x2, y2], px, py) {
    const [dx, dy] = [x2 - x1, y2 - y1];
    const square = dx * dx + dy * dy;
    const share = square === 0 ? 0 : ((px - x1) * dx + (py - y1) * dy) / square;
    const at = Math.min(1, Math.max(0, share));
    return Math.hypot(px - x1 - at * dx, py - y1 - at * dy);
  }

  return { x, isShown, line, paint, highlight, nearest };
})();
