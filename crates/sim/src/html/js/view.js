"use strict";

/** The part of the run that is in view: `{ from, to }` in microseconds. */
const View = (() => {
  /** No view is shorter, in microseconds. */
  const SPAN_MIN = 50;
  /** What is left free at both ends of the run, as a share of it. */
  const MARGIN = 0.015;

  /** The whole run, with a little room. */
  function whole({ start, end }) {
    const room = Math.max((end - start) * MARGIN, SPAN_MIN);
    return { from: start - room, to: end + room };
  }

  /** The nearest view that lies within the run. */
  function clamp(model, { from, to }) {
    const all = whole(model);
    const span = Math.min(Math.max(to - from, SPAN_MIN), all.to - all.from);
    const start = Math.min(Math.max(from, all.from), all.to - span);
    return { from: start, to: start + span };
  }

  /** Makes the view `factor` times as long, so that `at` stays where it is. */
  function zoom(model, { from, to }, at, factor) {
    const all = whole(model);
    const span = to - from;
    const limited = Math.min(Math.max(span * factor, SPAN_MIN), all.to - all.from);
    const share = (at - from) / span;
    return clamp(model, { from: at - share * limited, to: at + (1 - share) * limited });
  }

  /** Moves the view by a time. */
  const pan = (model, { from, to }, by) => clamp(model, { from: from + by, to: to + by });

  /** Moves the view only if `at` is not well inside. */
  function reveal(model, view, at) {
    const span = view.to - view.from;
    if (at >= view.from + span * 0.05 && at <= view.to - span * 0.05) return view;
    return clamp(model, { from: at - span / 2, to: at + span / 2 });
  }

  /** Distances of marks on the axis, in microseconds: at least `least`, a round number. */
  function step(least) {
    const power = 10 ** Math.floor(Math.log10(least));
    const factor = [1, 2, 5, 10].find((round) => round * power >= least);
    return Math.max(1, factor * power);
  }

  return { whole, clamp, zoom, pan, reveal, step };
})();
