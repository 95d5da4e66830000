"use strict";

/**
 * The clients: in which row each is drawn.
 *
 * A few clients have a row each. Many have rows together: then each client is most likely one
 * operation, which takes a row from its first event to its last.
 */
const Clients = (() => {
  const CLIENTS_MAX = 6;
  const ROWS_MAX = 4;

  /** Gives all requests their rows, and finds the operations. */
  function place(model) {
    const byClient = new Map();
    for (const request of model.requests) {
      const known = byClient.get(request.client);
      if (known) known.push(request);
      else byClient.set(request.client, [request]);
    }
    const clients = [...byClient.keys()].sort((a, b) => a - b);
    if (clients.length <= CLIENTS_MAX) {
      model.clientRows = clients.map((client) => `client ${client}`);
      clients.forEach((client, row) => byClient.get(client).forEach((request) => {
        request.row = row;
      }));
    } else {
      pack(model, [...byClient.values()]);
    }
  }

  /** Lets each client take the first row that is free, or else the one that is so the soonest. */
  function pack(model, clients) {
    const room = (model.end - model.start) / 400;
    const free = [];
    for (const requests of clients) {
      const from = requests[0].at;
      const last = requests[requests.length - 1];
      let row = free.findIndex((end) => end <= from);
      if (row < 0) row = free.length < ROWS_MAX ? free.length : free.indexOf(Math.min(...free));
      free[row] = last.at + room;
      // An operation that failed looks so from its beginning.
      requests.forEach((request) => Object.assign(request, { row, failed: last.failed }));
      model.operations.push({ row, from, to: last.at, failed: last.failed });
    }
    model.clientRows = free.map((_, row) => (row === 0 ? "clients" : ""));
  }

  /** Draws operations as lines, requests and answers as ticks, with texts where there is room. */
  function paint(ctx, scene) {
    const { model, view, layout, palette } = scene;
    if (layout.clients.length === 0) return;
    paintRows(ctx, scene);
    const middle = (row) => layout.clients[row].y + layout.clients[row].height / 2;
    for (const { row, from, to, failed } of model.operations) {
      if (to < view.from || from > view.to) continue;
      const [x1, x2] = [from, to].map((at) => Arrows.x(scene, at));
      ctx.fillStyle = failed ? palette.faint : palette.accent;
      ctx.globalAlpha = 0.6;
      ctx.fillRect(x1, middle(row) - 1, Math.max(1, x2 - x1), 2);
      ctx.globalAlpha = 1;
    }
    Pen.letters(ctx, palette, 10);
    ctx.textAlign = "left";
    ctx.textBaseline = "middle";
    const requests = Lanes.inView(model.requests, view);
    const tick = requests.length > 400 ? 1 : 2;
    const next = layout.clients.map(() => layout.width);
    // From right to left, so that each knows where the next one in its row begins.
    for (const { at, row, failed, event } of requests.reverse()) {
      const { y, height } = layout.clients[row];
      const x = Arrows.x(scene, at);
      ctx.fillStyle = failed ? palette.alarm : palette.accent;
      ctx.fillRect(Pen.edge(ctx, x) - tick / 2, y + 1.5, tick, height - 3);
      const { text } = model.events[event].what;
      if (x + Pen.width(ctx, text) + 10 < next[row]) {
        Pen.over(ctx, palette, text, x + 4, y + height / 2, palette.muted);
      }
      next[row] = x;
    }
  }

  /** The line of each row. */
  function paintRows(ctx, { layout, palette }) {
    ctx.strokeStyle = palette.line;
    ctx.lineWidth = 1;
    ctx.beginPath();
    for (const { y, height } of layout.clients) {
      const middle = Pen.sharp(ctx, y + height / 2);
      ctx.moveTo(0, middle);
      ctx.lineTo(layout.width, middle);
    }
    ctx.stroke();
  }

  return { place, paint };
})();
