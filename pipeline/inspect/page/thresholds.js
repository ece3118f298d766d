// From which scores on detectors are believed: sliders, counts, precision and recall.

import { ask } from "uncover/ask";
import { byId, el, exactly, many, styled } from "uncover/dom";
import { judge, lowTenth, OUTCOMES } from "uncover/outcomes";
import { eachPaint, fitting, framesOf, mostFaces, on, pair, set, state, thresholds } from "uncover/state";

const BARS = 50;
const STAGES = [
  { key: "conf", of: "conf", floor: "floor", boxes: "first", hue: "found", box: "stage-1" },
  { key: "fallback", of: "fallback_conf", floor: "fallback_floor", boxes: "second", hue: "recovered", box: "stage-2" },
];

/** Look at other detectors, at thresholds of their own or at given ones; their frames may be on their way. */
export async function choosePair(number, at = {}, asked = ask.frames(number)) {
  const frames = await asked;
  const chosen = state.run.pairs[number];
  const named = chosen.levels.join() === pair().levels.join(); // else their numbers mean other levels
  const { map, method, levels = named ? state.levels : "" } = { map: state.map, method: state.method, ...at };
  const seen = fitting(chosen, { map, method, levels, layout: state.layout });
  const believed = { conf: at.conf ?? chosen.conf, fallback: at.fallback ?? chosen.fallback_conf };
  set({ pair: number, maps: null, ...seen, ...believed, ...framesOf(frames) });
  set({ low: Math.round(lowTenth(state.result) * 100) / 100 });
}

/** Believe a stage from a score on, not under the least that was kept. */
function believe(stage, value) {
  const floor = pair()[stage.floor];
  if (!Number.isFinite(value)) return show();
  set({ [stage.key]: Math.min(1, Math.max(floor, value)) });
  show();
}

function show() {
  for (const stage of STAGES) {
    const value = state[stage.key];
    byId(stage.key).value = value;
    byId(stage.key).setAttribute("aria-valuetext", value.toFixed(2));
    const number = byId(`${stage.key}-number`);
    if (Number(number.value) !== value || !number.value) number.value = exactly(value);
  }
  byId("as-run").disabled = state.conf === pair().conf && state.fallback === pair().fallback_conf;
  count();
}

function count() {
  const { result, cases, run } = state;
  const before = OUTCOMES.map(() => 0);
  for (const code of cases.outcome) before[code]++;
  OUTCOMES.forEach((name, code) => {
    const by = result.counts[code] - before[code];
    document.querySelector(`[data-count="${name}"]`).textContent = result.counts[code];
    const change = document.querySelector(`[data-change="${name}"]`);
    change.textContent = by ? `${by > 0 ? "+" : "−"}${many(Math.abs(by))}` : "";
  });
  byId("unasked").hidden = !result.unasked;
  byId("unasked").textContent =
    `${many(result.unasked)} of these were never shown to stage 2: run detect with --always, or with a higher --conf.`;
  if (run.labelled) judgeSoon();
}

// hits of boxes lie in lists of lists: slower than outcomes, so once a paint is enough
const judgeSoon = eachPaint(() => {
  const scores = judge(state.cases, mostFaces(), thresholds());
  for (const [name, value] of Object.entries(scores))
    document.querySelector(`[data-score="${name}"]`).textContent = value === null ? "–" : value.toFixed(3);
});

/** How many boxes have which score; roots, so that few are seen beside many. */
const drawHistograms = eachPaint(() => {
  if (!state.cases) return;
  for (const stage of STAGES) {
    const canvas = byId(stage.box).querySelector("canvas");
    const bars = histogram(state.cases[stage.boxes].score);
    const most = Math.max(1, ...bars);
    const [width, height, ratio] = [canvas.clientWidth, canvas.clientHeight, devicePixelRatio];
    if (!width) continue;
    Object.assign(canvas, { width: width * ratio, height: height * ratio });
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    const floor = pair()[stage.floor];
    pen.fillStyle = styled(stage.hue);
    bars.forEach((number, k) => {
      const tall = number ? Math.max(1, Math.sqrt(number / most) * height) : 0;
      pen.globalAlpha = (k + 1) / BARS > state[stage.key] ? 1 : 0.4;
      pen.fillRect((k / BARS) * width, height - tall, width / BARS - 1, tall);
    });
    drawFloor(pen, floor * width, height);
  }
});

function histogram(scores) {
  const bars = new Array(BARS).fill(0);
  for (const value of scores) bars[Math.min(BARS - 1, Math.floor(value * BARS))]++;
  return bars;
}

/** Under the floor nothing was kept, so nothing can be said. */
function drawFloor(pen, x, height) {
  pen.globalAlpha = 1;
  pen.strokeStyle = styled("soft");
  pen.setLineDash([2, 2]);
  pen.beginPath();
  pen.moveTo(x + 0.5, 0);
  pen.lineTo(x + 0.5, height);
  pen.stroke();
}

function buildCounts() {
  byId("counts").append(...OUTCOMES.map((name) =>
    el("tr", {},
      el("th", { scope: "row" }, el("i", { class: "glyph", "data-is": name }), name),
      el("td", { "data-change": name, class: "change" }),
      el("td", { "data-count": name }, "0"))));
}

function showPair() {
  const { run } = state;
  byId("pair").value = state.pair;
  byId("stage-2").hidden = !pair().second;
  byId("conf-of").textContent = pair().called.toLowerCase();
  byId("conf-number").ariaLabel = `Threshold of ${pair().called.toLowerCase()}, number`;
  for (const stage of STAGES)
    byId(stage.key).title = `Scores under ${pair()[stage.floor]} were not kept: it cannot go lower.`;
  byId("judged").hidden = !run.labelled;
}

/** Begin. */
export function startThresholds() {
  buildCounts();
  const { pairs } = state.run;
  pairs.forEach(({ name }, number) => byId("pair").append(el("option", { value: number }, name)));
  byId("pair-field").hidden = pairs.length < 2;
  byId("pair").addEventListener("change", (event) => choosePair(Number(event.target.value)).catch(showPair));
  for (const stage of STAGES) {
    byId(stage.key).addEventListener("input", (event) => believe(stage, Number(event.target.value)));
    byId(`${stage.key}-number`).addEventListener("change", (event) => believe(stage, event.target.valueAsNumber));
  }
  byId("as-run").addEventListener("click", () => set({ conf: pair().conf, fallback: pair().fallback_conf }));
  on("pair cases", showPair);
  on("result", () => (show(), drawHistograms()));
  addEventListener("theme", drawHistograms);
  new ResizeObserver(drawHistograms).observe(byId("stage-1"));
}
