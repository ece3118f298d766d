// Which frames a filter leaves: pure functions, no page.

/**
 * @typedef {object} Filter
 * @property {number[]} outcomes
 * @property {?number} level -1: unknown
 * @property {?number} strip
 * @property {number} least confidence
 * @property {number} most
 * @property {boolean} weak only these
 * @property {boolean} marked only these
 */

/** @type {Filter} */
export const NO_FILTER = {
  outcomes: [0, 1, 2, 3, 4],
  level: null,
  strip: null,
  least: 0,
  most: 1,
  weak: false,
  marked: false,
};

/** Whether it leaves anything out at all. */
export function isOn(/** @type {Filter} */ filter) {
  return (
    filter.outcomes.length < NO_FILTER.outcomes.length ||
    Object.keys(NO_FILTER).some((key) => key !== "outcomes" && filter[key] !== NO_FILTER[key])
  );
}

/** The frames that are left, in order, and for every frame whether it is. */
export function leftBy(/** @type {Filter} */ filter, cases, result, marked) {
  const mask = new Uint8Array(cases.count);
  const frames = new Uint32Array(cases.count);
  const wanted = [0, 1, 2, 3, 4].map((code) => filter.outcomes.includes(code));
  const anySure = filter.least <= 0 && filter.most >= 1; // else one without a face is not in it
  let count = 0;
  for (let i = 0; i < cases.count; i++) {
    if (!wanted[result.outcome[i]]) continue;
    if (filter.level !== null && cases.level[i] !== filter.level) continue;
    if (filter.strip !== null && cases.strip[i] !== filter.strip) continue;
    if (filter.weak && !cases.weak[i]) continue;
    if (filter.marked && !marked[i]) continue;
    const sure = result.confidence[i];
    if (!anySure && !(sure >= filter.least && sure <= filter.most)) continue;
    mask[i] = 1;
    frames[count++] = i;
  }
  return { mask, frames: frames.subarray(0, count) };
}

/** The place in sorted frames where a frame is, or would be. */
export function placeOf(frames, frame) {
  let [low, high] = [0, frames.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (frames[middle] < frame) low = middle + 1;
    else high = middle;
  }
  return low;
}
