"use strict";

/** Colours and letters for the canvases, read from the style sheet. */
const Palette = (() => {
  const ROLES = ["follower", "pre-candidate", "candidate", "leader"];
  const CURSORS = ["last", "durable", "committed", "applied", "skyline", "text"];

  /** The palette of the theme that holds now. */
  function read() {
    const style = getComputedStyle(document.documentElement);
    const value = (name) => style.getPropertyValue(`--${name}`).trim();
    const role = (name) => [name, { fill: value(`role-${name}`), text: value(`on-${name}`) }];
    return {
      page: value("page"),
      surface: value("surface"),
      ink: value("ink"),
      muted: value("muted"),
      faint: value("faint"),
      line: value("line"),
      accent: value("accent"),
      alarm: value("alarm"),
      cut: value("cut"),
      down: value("down"),
      kinds: Kinds.ALL.map(({ key }) => value(`kind-${key}`)),
      roles: Object.fromEntries(ROLES.map(role)),
      log: Object.fromEntries(CURSORS.map((name) => [name, value(`log-${name}`)])),
      font: value("font"),
      patterns: new Map(),
    };
  }

  /** A pattern of slanted lines, `gap` CSS pixels apart. */
  function hatch(ctx, palette, colour, gap) {
    const scale = ctx.getTransform().a;
    const key = `${colour} ${gap} ${scale}`;
    const known = palette.patterns.get(key);
    if (known) return known;
    const made = newHatch(ctx, colour, gap * scale, scale);
    palette.patterns.set(key, made);
    return made;
  }

  function newHatch(ctx, colour, gap, scale) {
    const tile = document.createElement("canvas");
    const side = Math.max(2, Math.round(gap));
    tile.width = side;
    tile.height = side;
    const pen = tile.getContext("2d");
    pen.strokeStyle = colour;
    pen.lineWidth = scale;
    pen.lineCap = "square";
    pen.beginPath();
    for (const shift of [-side, 0, side]) {
      pen.moveTo(shift, side);
      pen.lineTo(shift + side, 0);
    }
    pen.stroke();
    const pattern = ctx.createPattern(tile, "repeat");
    // The tile is in device pixels, and must not be scaled a second time.
    pattern.setTransform(new DOMMatrix().scale(1 / scale));
    return pattern;
  }

  return { read, hatch };
})();

/** Small things that all painters need. */
const Pen = (() => {
  const widths = new Map();

  /** Sets the letters: `weight` and `size` as in style sheets. */
  function letters(ctx, palette, size, weight = 400) {
    ctx.font = `${weight} ${size}px ${palette.font}`;
  }

  /** The width of a text in the letters that are set. */
  function width(ctx, text) {
    const key = `${ctx.font}\n${text}`;
    let found = widths.get(key);
    if (found === undefined) {
      if (widths.size > 20000) widths.clear();
      found = ctx.measureText(text).width;
      widths.set(key, found);
    }
    return found;
  }

  /** The first of `texts` that fits into `room`, if one does. */
  const fitting = (ctx, texts, room) => texts.find((text) => width(ctx, text) <= room);

  /** The nearest place where a line of one device pixel is sharp. */
  function sharp(ctx, at) {
    const scale = ctx.getTransform().a;
    return (Math.floor(at * scale) + 0.5) / scale;
  }

  /** The nearest edge between device pixels. */
  function edge(ctx, at) {
    const scale = ctx.getTransform().a;
    return Math.round(at * scale) / scale;
  }

  /** A cross around a point. */
  function cross(ctx, x, y, size) {
    ctx.moveTo(x - size, y - size);
    ctx.lineTo(x + size, y + size);
    ctx.moveTo(x - size, y + size);
    ctx.lineTo(x + size, y - size);
  }

  /** A text with a border in the colour of the page, so that it can be read over lines. */
  function over(ctx, palette, text, x, y, colour) {
    ctx.lineJoin = "round";
    ctx.lineWidth = 3.5;
    ctx.strokeStyle = palette.page;
    ctx.strokeText(text, x, y);
    ctx.fillStyle = colour;
    ctx.fillText(text, x, y);
  }

  return { letters, width, fitting, sharp, edge, cross, over };
})();
