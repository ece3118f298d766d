// The boxes over the picture and their words. Hides which box of which stage is drawn how, and
// how words find a place where they cover no others.

import { ask } from "uncover/ask";
import { beside, el, score, svg } from "uncover/dom";
import { believed } from "uncover/outcomes";
import { onMoved, panes } from "uncover/stage";
import { eachPaint, mostFaces, on, pair, state, thresholds } from "uncover/state";

const NAMED = 12; // so many candidates get their score written, the best first
const LETTER = 0.4125; // wide, of the words at the boxes; in letters of the page, as in style.css
const LINE = 1.1875; // high

/**
 * @typedef {{kind: string, box: number[], words: string}} Shape
 */

/** Of two detectors, who found a face. */
export const finder = (one) => (one.by ? ` (${one.by})` : "");

/** What there is to draw for the frame that is shown. @returns {Shape[]} */
function shapes() {
  const { detail, show } = state;
  if (!detail || !state.cases || detail.shown === "none") return [];
  const drawn = detail.shown === "annotated"; // the picture has the boxes that the run believed
  const { found, recovered } = believed(state.cases, mostFaces(), thresholds(), detail.index);
  const all = [];
  for (const [list, sure, kind, wanted, least] of [
    [detail.first, found, "found", show.first, state.conf],
    [detail.second ?? [], recovered, "recovered", show.second, state.fallback],
  ]) {
    const is = new Set(sure);
    list.forEach((one, j) => {
      if (is.has(j) && wanted && !drawn) all.push({ kind, box: one.box, words: `${kind} ${score(one.score)}${finder(one)}` });
      if (!is.has(j) && show.under)
        all.push({ kind: `under ${kind}`, box: one.box, words: j < NAMED ? beside(one.score, least) : "" });
    });
  }
  if (!drawn) all.push(...held(detail.index));
  if (show.parts && pair().parts)
    for (const one of detail.parts)
      all.push({ kind: "part", box: one.box, words: `${state.run.parts[one.part]} ${score(one.score)}` });
  if (show.truth) for (const box of detail.truth) all.push({ kind: "truth", box, words: "" });
  return all;
}

/** The boxes that are carried from an earlier frame. */
function held(index) {
  const from = state.result.from[index];
  if (from < 0) return [];
  const earlier = fetched.get(`${from} ${state.pair}`);
  if (!earlier) {
    fetchEarlier(from, state.pair);
    return [];
  }
  const { found, recovered } = believed(state.cases, mostFaces(), thresholds(), from);
  return [
    ...(state.show.first ? found.map((j) => earlier.first[j]) : []),
    ...(state.show.second ? recovered.map((j) => earlier.second[j]) : []),
  ].map((one) => ({ kind: "held", box: one.box, words: `held ${score(one.score)}${finder(one)}` }));
}

const fetched = new Map();
async function fetchEarlier(from, pair) {
  const earlier = await ask.frame(from, pair).catch(() => null); // people have been told
  if (!earlier) return;
  if (fetched.size > 50) fetched.clear();
  fetched.set(`${from} ${pair}`, earlier);
  draw();
}

const ORDER = ["truth", "under found", "under recovered", "part", "held", "recovered", "found"];

/** Draw them on both panes. */
function drawNow() {
  const all = shapes().sort((a, b) => ORDER.indexOf(a.kind) - ORDER.indexOf(b.kind));
  for (const pane of panes) {
    if (pane.box.hidden) continue;
    pane.boxes.replaceChildren(...all.flatMap(({ kind, box: [x1, y1, x2, y2] }) => {
      const place = { x: x1, y: y1, width: Math.max(0, x2 - x1), height: Math.max(0, y2 - y1) };
      // a dark line beneath, so that it is seen on any picture
      return [svg("rect", { ...place, class: `under-line ${kind}` }), svg("rect", { ...place, class: kind })];
    }));
    pane.labels.replaceChildren(...placed([...all].reverse(), pane));
  }
}

const draw = eachPaint(drawNow);

/** The words, each where it covers least of those before it. */
function placed(all, pane) {
  const taken = [];
  const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
  const line = LINE * rem;
  const [wide, high] = [pane.sheet.offsetWidth, pane.sheet.offsetHeight];
  return all.filter((one) => one.words).map(({ kind, box, words }) => {
    const [x1, y1, x2, y2] = box.map((value) => value * pane.scale);
    const width = (words.length * LETTER + 0.65) * rem;
    const spots = [
      [x1, y1 - line], [x1, y2], [x2 - width, y1 - line], [x2 - width, y2],
      [x2, y1], [x1 - width, y1], [x2, y2 - line], [x1 - width, y2 - line], [x1, y1], [x1, y2 - line],
    ].map(([x, y]) => [Math.max(0, Math.min(wide - width, x)), Math.max(0, Math.min(high - line, y))]);
    const best = spots.reduce(
      (least, spot) => {
        const cover = covered(spot, width, line, taken);
        return cover < least.cover ? { cover, spot } : least;
      },
      { cover: Infinity, spot: spots[0] },
    ).spot;
    taken.push([best[0], best[1], width]);
    const label = el("span", { class: `label ${kind}` }, words);
    Object.assign(label.style, { left: `${best[0]}px`, top: `${best[1]}px` });
    return label;
  });
}

function covered([x, y], width, line, taken) {
  let sum = 0;
  for (const [left, top, wide] of taken) {
    const across = Math.min(x + width, left + wide) - Math.max(x, left);
    const down = Math.min(y, top) + line - Math.max(y, top);
    if (across > 0 && down > 0) sum += across * down;
  }
  return sum;
}

/** Begin. */
export function startBoxes() {
  on("detail result show", draw);
  onMoved(draw);
}
