// What is known of the frame, in words, beside the picture.

import { beside, byId, clock, el, exactly, many, score, unbroken } from "uncover/dom";
import { believed, FOUND, HELD, MISSED, OUTCOMES, RECOVERED } from "uncover/outcomes";
import { mostFaces, on, pair, state, thresholds } from "uncover/state";

const SHORT = 14; // letters of a fact that takes half a row

/** Why the frame has its outcome, at the thresholds as they are. */
function reason(i, detail) {
  const { cases, result } = state;
  switch (result.outcome[i]) {
    case FOUND:
      return `${pair().called} gives a face at ${score(result.confidence[i])}${merged() ? finders(detail) : `, believed from ${exactly(state.conf)} on`}.`;
    case RECOVERED: {
      const why = !merged() ? `${pair().called} gives too few faces${silent(i)}. ` : "";
      return `${why}Stage 2 gives one at ${score(recovered(i))}, believed from ${exactly(state.fallback)} on.`;
    }
    case HELD: {
      const from = result.from[i];
      return `No face here; carried from frame ${from}, ${(cases.seconds[i] - cases.seconds[from]).toFixed(2)} s earlier.`;
    }
    case MISSED:
      return [`${pair().called} gives no face from ${exactly(state.conf)} on${silent(i)}.`, second(i), said(detail)].filter(Boolean).join(" ");
    default:
      return said(detail) || "The picture could not be read.";
  }
}

/** Whether faces of two detectors are looked at, each believed at a threshold of its own. */
const merged = () => mostFaces() === Infinity;

function finders(detail) {
  const { found } = believed(state.cases, mostFaces(), thresholds(), state.frame);
  const by = found.map((j) => detail?.first[j]?.by).filter(Boolean);
  return by.length ? `; found by ${[...new Set(by)].join(", ")}` : "";
}

/** The best score of stage 2's faces; the frame's own is of both stages. */
function recovered(i) {
  const { start, score: scores } = state.cases.second;
  return scores[start[i] + believed(state.cases, mostFaces(), thresholds(), i).recovered[0]];
}

function silent(i) {
  const { start, score: scores } = state.cases.first;
  return start[i] < start[i + 1] ? ` (its best is ${beside(scores[start[i]], state.conf)})` : " (it has no candidate)";
}

function second(i) {
  if (!pair().second) return "";
  if (!state.cases.asked[i]) return "Stage 2 was never asked.";
  const { start, score: scores } = state.cases.second;
  return start[i] < start[i + 1] ? `Stage 2's best is ${beside(scores[start[i]], state.fallback)}.` : "Stage 2 has no candidate.";
}

const said = (detail) => (detail?.reason ? `The run says: ${detail.reason}.` : "");

function facts(i, detail) {
  const { cases, run } = state;
  const level = run.levels[cases.level[i]];
  const ms = Object.entries(detail?.ms ?? {}).map(([name, value]) => `${name} ${value.toFixed(value < 10 ? 1 : 0)}`);
  return {
    File: detail?.source ?? "…",
    "Film frame": cases.number[i] === null ? null : many(cases.number[i]),
    Time: cases.number[i] === null ? null : clock(cases.seconds[i], true) || "unknown",
    Size: detail?.size[0] ? `${detail.size[0]} × ${detail.size[1]}` : detail ? "unknown" : "…",
    Level: level ?? (run.levels.length ? "unknown" : null),
    Evidence: cases.weak[i] ? "weak" : null,
    Truth: cases.truths[i] < 0 ? null : `${cases.truths[i]} ${cases.truths[i] === 1 ? "face" : "faces"}`,
    Took: ms.length ? `${ms.join(", ")} ms` : null,
    ...(detail?.facts ?? {}),
    ...(cases.outcome[i] !== state.result.outcome[i] ? { "In the run": OUTCOMES[cases.outcome[i]] } : {}),
  };
}

function show() {
  if (!state.cases?.count) return;
  const i = state.frame;
  const detail = state.detail?.index === i ? state.detail : null;
  const outcome = OUTCOMES[state.result.outcome[i]];
  document.querySelector("[data-outcome]").textContent = outcome;
  byId("outcome-glyph").dataset.is = outcome;
  const sure = state.result.confidence[i];
  byId("frame-sure").textContent = Number.isNaN(sure) ? "" : score(sure);
  byId("frame-sure").title = "Confidence";
  byId("frame-reason").textContent = reason(i, detail);
  const rows = Object.entries(facts(i, detail)).filter(([, value]) => value !== null && value !== "");
  byId("facts").replaceChildren(...rows.map(([name, value]) => row(name, String(value))));
  byId("goto").value = i;
}

/** Short facts stand two in a row. */
function row(name, value) {
  const wide = name.length + value.length > SHORT;
  return el("div", { class: wide ? "wide" : null }, el("dt", {}, name), el("dd", {}, unbroken(value)));
}

/** Begin. */
export function startFacts() {
  on("frame detail result", show);
}
