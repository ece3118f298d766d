// Thresholds in, outcome of every frame out, and which frames a filter leaves: pure functions, no
// page, no server. What the server says has the shapes of pipeline/inspect/messages.py.
// Hides how cases are kept: flat typed arrays, so that 270,000 frames are decided while a slider
// is dragged. Scores come best first, so what is believed of stage 1 is always "the first k".

/** In the order of the codes by which this page numbers them. */
export const OUTCOMES = ["found", "recovered", "held", "missed", "unreadable"];
export const [FOUND, RECOVERED, HELD, MISSED, UNREADABLE] = OUTCOMES.keys();

const NOBODY = 0x7fffffff; // a box of stage 2 that repeats none of stage 1

/**
 * @typedef {object} Cases all frames of one pair of detectors, one slot a frame
 * @property {number} count
 * @property {string[]} names
 * @property {Int32Array} strip
 * @property {(?number)[]} number in its film; null: a picture
 * @property {Float64Array} seconds NaN: unknown
 * @property {Uint8Array} outcome as the run has it
 * @property {Int16Array} level
 * @property {boolean[]} weak
 * @property {Uint8Array} asked whether stage 2 was asked
 * @property {Int32Array} truths -1: nobody knows
 * @property {Boxes} first
 * @property {Boxes} second
 * @property {Int32Array} repeats for each box of stage 2, the surest box of stage 1 it repeats
 *
 * @typedef {object} Boxes all boxes of a stage; those of frame i are start[i] to start[i + 1]
 * @property {Uint32Array} start
 * @property {Float32Array} score as the networks gave them: thresholds are rounded to the same
 * @property {number[][][]} hits [truth, IoU] of each box; truth -1: a face that counts nowhere
 *
 * @typedef {{conf: number, fallback: number}} Thresholds
 *
 * @typedef {object} Result
 * @property {Uint8Array} outcome
 * @property {Float32Array} confidence NaN: none
 * @property {Int32Array} from the frame that a held face is carried from, else -1
 * @property {number[]} counts by outcome
 * @property {number} unasked frames that lack a face, and were never shown to stage 2
 */

/** Flatten what the server sent (Frames). @returns {Cases} */
export function flatten(frames, outcomes) {
  const codes = outcomes.map((name) => OUTCOMES.indexOf(name));
  const cases = frames.case;
  return {
    count: cases.length,
    names: frames.name,
    strip: Int32Array.from(frames.strip),
    number: frames.number,
    seconds: Float64Array.from(frames.seconds, (value) => value ?? NaN),
    outcome: Uint8Array.from(frames.outcome, (code) => codes[code]),
    level: Int16Array.from(frames.level),
    weak: frames.weak,
    asked: Uint8Array.from(cases, (one) => (one.second ? 1 : 0)),
    truths: Int32Array.from(cases, (one) => one.truths ?? -1),
    first: flattenBoxes(cases, "first", "hits"),
    second: flattenBoxes(cases, "second", "fallback_hits"),
    repeats: flattenRepeats(cases),
  };
}

function flattenBoxes(cases, scores, hits) {
  const start = new Uint32Array(cases.length + 1);
  cases.forEach((one, i) => (start[i + 1] = start[i] + (one[scores]?.length ?? 0)));
  const flat = { start, score: new Float32Array(start[cases.length]), hits: [] };
  cases.forEach((one, i) => {
    if (one[scores]) flat.score.set(one[scores], start[i]);
    // only where truth is known: of 270,000 frames without labels these would be a heap of nothing
    if (one.truths !== null)
      one[hits].forEach((each, j) => (flat.hits[start[i] + j] = each));
  });
  return flat;
}

function flattenRepeats(cases) {
  const flat = [];
  for (const one of cases)
    for (let j = 0; j < (one.second?.length ?? 0); j++)
      flat.push(one.same[j]?.length ? Math.min(...one.same[j]) : NOBODY);
  return Int32Array.from(flat);
}

/**
 * Decide every frame.
 * @param {Cases} cases
 * @param {{faces: number, hold: number}} run of the pair, of the run
 * @param {boolean} paired whether there is a stage 2
 * @param {Thresholds} at
 * @returns {Result}
 */
export function decide(cases, run, paired, at) {
  const { count } = cases;
  const result = {
    outcome: new Uint8Array(count),
    confidence: new Float32Array(count).fill(NaN),
    from: new Int32Array(count).fill(-1),
    counts: OUTCOMES.map(() => 0),
    unasked: 0,
  };
  for (let i = 0; i < count; i++) {
    if (cases.outcome[i] === UNREADABLE) result.outcome[i] = UNREADABLE;
    else decideOne(cases, run.faces, paired, at, i, result);
  }
  if (run.hold > 0) hold(cases, run.hold, result);
  for (let i = 0; i < count; i++) result.counts[result.outcome[i]]++;
  return result;
}

function decideOne(cases, faces, paired, at, i, result) {
  const { first, second } = cases;
  const found = foundIn(cases, at.conf, i);
  const more = found < faces ? nextRecovered(cases, at, i, found, second.start[i]) : -1;
  if (paired && found < faces && faces < Infinity && !cases.asked[i]) result.unasked++;
  // as Detections.outcome: the stage that had the last word names the frame
  result.outcome[i] = more >= 0 ? RECOVERED : found ? FOUND : MISSED;
  if (found) result.confidence[i] = first.score[first.start[i]];
  else if (more >= 0) result.confidence[i] = second.score[more];
}

/** How many boxes of stage 1 are believed. */
function foundIn(cases, conf, i) {
  const { start, score } = cases.first;
  const least = Math.fround(conf);
  let k = start[i];
  while (k < start[i + 1] && score[k] >= least) k++;
  return k - start[i];
}

/** The next box of stage 2, from j on, that is believed and new; -1: there is none. */
function nextRecovered(cases, at, i, found, j) {
  const { start, score } = cases.second;
  const least = Math.fround(at.fallback);
  for (; j < start[i + 1] && score[j] >= least; j++)
    if (cases.repeats[j] >= found) return j;
  return -1;
}

/** Carry the last face of each strip over short gaps. */
function hold(cases, longest, result) {
  const last = new Map();
  for (let i = 0; i < cases.count; i++) {
    const outcome = result.outcome[i];
    if (Number.isNaN(cases.seconds[i]) || outcome === UNREADABLE) continue;
    if (outcome !== MISSED) {
      last.set(cases.strip[i], i);
      continue;
    }
    const from = last.get(cases.strip[i]);
    if (from === undefined || cases.seconds[i] - cases.seconds[from] > longest) continue;
    result.outcome[i] = HELD;
    result.from[i] = from;
    result.confidence[i] = result.confidence[from];
  }
}

/** Which boxes of one frame are believed: numbers of boxes, of each stage. */
export function believed(cases, faces, at, i) {
  const found = cases.outcome[i] === UNREADABLE ? 0 : foundIn(cases, at.conf, i);
  const recovered = [];
  let j = cases.second.start[i];
  while (recovered.length < faces - found) {
    j = nextRecovered(cases, at, i, found, j);
    if (j < 0) break;
    recovered.push(j++ - cases.second.start[i]);
  }
  return { found: Array.from({ length: found }, (_, k) => k), recovered };
}

/** Precision and recall where the truth is known; null: nothing to divide by. */
export function judge(cases, faces, at) {
  let [boxes, right, truths] = [0, 0, 0];
  for (let i = 0; i < cases.count; i++) {
    if (cases.truths[i] < 0 || cases.outcome[i] === UNREADABLE) continue;
    const free = new Array(cases.truths[i]).fill(true);
    truths += cases.truths[i];
    const { found, recovered } = believed(cases, faces, at, i);
    const { first, second } = cases;
    const hits = [
      ...found.map((k) => first.hits[first.start[i] + k]),
      ...recovered.map((k) => second.hits[second.start[i] + k]),
    ];
    for (const each of hits) {
      const hit = take(each, free);
      right += hit;
      boxes += hit || !each.some(([truth]) => truth < 0); // neither right nor wrong: not counted
    }
  }
  return { precision: boxes ? right / boxes : null, recall: truths ? right / truths : null };
}

/** Give a box its best truth that is still free: 1, or 0 where there is none. */
function take(hits, free) {
  let best = null;
  for (const hit of hits) if (free[hit[0]] && (!best || hit[1] > best[1])) best = hit;
  if (best) free[best[0]] = false;
  return best ? 1 : 0;
}

/** The confidence under which a tenth of all that is believed lies. */
export function lowTenth(result) {
  const sure = result.confidence.filter((_, i) => result.outcome[i] <= RECOVERED).sort();
  return sure.length ? sure[Math.floor(sure.length / 10)] : 0.5;
}

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
  outcomes: [...OUTCOMES.keys()],
  level: null,
  strip: null,
  least: 0,
  most: 1,
  weak: false,
  marked: false,
};

/**
 * The frames that are left, in order, and for every frame whether it is; how many are left out only
 * because they have no confidence that could lie in the range.
 */
export function leftBy(/** @type {Filter} */ filter, cases, result, marked) {
  const mask = new Uint8Array(cases.count);
  const frames = new Uint32Array(cases.count);
  const wanted = OUTCOMES.map((_, code) => filter.outcomes.includes(code));
  const anySure = filter.least <= 0 && filter.most >= 1; // else one without a face is not in it
  let [count, unsure] = [0, 0];
  for (let i = 0; i < cases.count; i++) {
    if (!wanted[result.outcome[i]]) continue;
    if (filter.level !== null && cases.level[i] !== filter.level) continue;
    if (filter.strip !== null && cases.strip[i] !== filter.strip) continue;
    if (filter.weak && !cases.weak[i]) continue;
    if (filter.marked && !marked[i]) continue;
    const sure = result.confidence[i];
    if (!anySure && !(sure >= filter.least && sure <= filter.most)) {
      unsure += Number.isNaN(sure);
      continue;
    }
    mask[i] = 1;
    frames[count++] = i;
  }
  return { mask, frames: frames.subarray(0, count), unsure };
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
