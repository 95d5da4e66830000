"use strict";

/** Where everything stands in the plot, in CSS pixels from its top left corner. */
const Layout = (() => {
  const AXIS = 26;
  const NETWORK = 20;
  const NOTES = 18;
  const BAND = 18;
  const STRIP = 26;
  const BETWEEN = 3;
  /** The height of a lane's card, and the least and the most from one card to the next. */
  const CARD = BAND + BETWEEN + STRIP;
  const PITCH_MIN = CARD + 38;
  const PITCH_MAX = 230;
  const CLIENT = 12;

  function fixed(model) {
    const rows = model.clientRows.length;
    return {
      network: model.links.length > 0 ? NETWORK : 0,
      notes: model.notes.length > 0 ? NOTES : 0,
      clients: rows > 0 ? rows * CLIENT + 14 : 0,
    };
  }

  /** The least height in which the run can be shown. */
  function heightMin(model) {
    const { network, notes, clients } = fixed(model);
    const lanes = Math.max(0, model.members.length - 1) * PITCH_MIN + CARD;
    return AXIS + network + notes + 30 + lanes + 30 + clients;
  }

  /** Places everything in a plot of this size. */
  function compute(model, width, height) {
    const { network, notes, clients } = fixed(model);
    const top = AXIS + network + notes;
    const room = height - top - clients;
    const gaps = Math.max(1, model.members.length - 1);
    const pitch = Math.min(PITCH_MAX, Math.max(PITCH_MIN, (room - CARD - 44) / gaps));
    const used = (model.members.length - 1) * pitch + CARD;
    const first = top + Math.max(18, (room - used) / 2);
    const lanes = model.members.map((_, lane) => {
      const y = first + lane * pitch;
      return {
        top: y,
        bottom: y + CARD,
        middle: y + CARD / 2,
        band: { y, height: BAND },
        strip: { y: y + BAND + BETWEEN, height: STRIP },
      };
    });
    const clientsTop = height - clients + 4;
    return {
      width,
      height,
      axis: { y: 0, height: AXIS },
      network: { y: AXIS, height: network },
      notes: { y: AXIS + network, height: notes },
      body: { y: top, height: height - top },
      lanes,
      clients: model.clientRows.map((_, row) => ({
        y: clientsTop + row * CLIENT,
        height: CLIENT,
      })),
    };
  }

  return { compute, heightMin };
})();
