// The controls of the filter.

import { byId, el, many } from "uncover/dom";
import { isOn, NO_FILTER } from "uncover/filter";
import { OUTCOMES } from "uncover/messages";
import { on, set, state } from "uncover/state";

const change = (changes) => set({ filter: { ...state.filter, ...changes } });
const orNull = (value) => (value === "" ? null : Number(value));

function buildOutcomes() {
  byId("filter-outcomes").append(...OUTCOMES.map((name, code) =>
    el("label", {},
      el("input", { type: "checkbox", "data-outcome-filter": code, onchange: readOutcomes }),
      el("i", { class: "glyph", "data-is": name }), name)));
}

function readOutcomes() {
  const boxes = [...document.querySelectorAll("[data-outcome-filter]")];
  change({ outcomes: boxes.filter((box) => box.checked).map((box) => Number(box.dataset.outcomeFilter)) });
}

function buildSelects() {
  const { levels, strips } = state.run;
  byId("level").append(el("option", { value: "" }, "any"),
    ...levels.map((name, number) => el("option", { value: number }, name)),
    el("option", { value: -1 }, "unknown"));
  byId("level-field").hidden = !levels.length;
  byId("strip").append(el("option", { value: "" }, strips.length > 1 ? `all ${many(strips.length)}` : "all"),
    ...strips.map((name, number) => el("option", { value: number }, name)));
}

function show() {
  const { filter, left, cases } = state;
  for (const box of document.querySelectorAll("[data-outcome-filter]"))
    box.checked = filter.outcomes.includes(Number(box.dataset.outcomeFilter));
  byId("level").value = filter.level ?? "";
  byId("strip").value = filter.strip ?? "";
  for (const key of ["least", "most"])
    if (Number(byId(key).value) !== filter[key]) byId(key).value = filter[key];
  byId("only-weak").checked = filter.weak;
  byId("only-marked").checked = filter.marked;
  byId("no-filter").hidden = !isOn(filter);
  if (left) byId("left").textContent = `${many(left.frames.length)} of ${many(cases.count)}`;
}

/** Begin. */
export function startFiltering() {
  buildOutcomes();
  buildSelects();
  byId("level").addEventListener("change", (event) => change({ level: orNull(event.target.value) }));
  byId("strip").addEventListener("change", (event) => change({ strip: orNull(event.target.value) }));
  for (const key of ["least", "most"])
    byId(key).addEventListener("input", (event) => {
      const value = event.target.valueAsNumber;
      if (Number.isFinite(value)) change({ [key]: Math.min(1, Math.max(0, value)) });
    });
  byId("only-weak").addEventListener("change", (event) => change({ weak: event.target.checked }));
  byId("only-marked").addEventListener("change", (event) => change({ marked: event.target.checked }));
  byId("no-filter").addEventListener("click", () => set({ filter: { ...NO_FILTER } }));
  on("filter left", show);
  show();
}
