// The controls of the filter, and the frames that it leaves as a list. Hides that only the rows
// that are seen exist; which frames are left is worked out in outcomes.js.

import { picture } from "uncover/ask";
import { byId, clock, el, many, score } from "uncover/dom";
import { go } from "uncover/frame";
import { NO_FILTER, OUTCOMES, placeOf } from "uncover/outcomes";
import { afterPause, eachPaint, on, set, state } from "uncover/state";

const TALL = 56; // pixels of a row, as in style.css
const MORE = 3; // rows beyond what is seen
const THUMB = 160;
const box = byId("list");
const inner = el("div", { class: "rows", role: "presentation" });
const none = el("p", { class: "empty", hidden: true }, "No frame passes the filter.");
const rows = new Map(); // by place

function makeRow(place) {
  const frame = state.left.frames[place];
  const number = state.cases.number[frame];
  const time = clock(state.cases.seconds[frame], true);
  const sure = el("span", { class: "sure" });
  const glyph = el("i", { class: "glyph" });
  const outcome = el("span");
  const flag = el("i", { class: "flag", role: "img", "aria-label": "marked", hidden: true });
  const note = el("span");
  const image = el("img", { alt: "", class: "thumb", draggable: "false" });
  const row = el("div", { class: "row", role: "option", id: `row-${place}`, "aria-posinset": place + 1, onclick: () => go(frame) },
    image,
    el("span", { class: "what" },
      el("span", { class: "title" }, glyph, outcome, " ", sure),
      el("span", { class: "soft small" }, [`frame ${frame}`, time || (number === null ? "" : `no. ${number}`)].filter(Boolean).join(" · "), note)),
    flag);
  row.style.transform = `translateY(${place * TALL}px)`;
  return { frame, row, image, sure, glyph, outcome, flag, note };
}

function fill(one) {
  const { frame } = one;
  const outcome = OUTCOMES[state.result.outcome[frame]];
  one.glyph.dataset.is = outcome;
  one.outcome.textContent = outcome;
  one.sure.textContent = score(state.result.confidence[frame]);
  one.flag.hidden = !state.marked[frame];
  const note = state.marks[state.cases.names[frame]]?.note;
  one.note.textContent = note ? ` · ${note}` : "";
  one.row.setAttribute("aria-selected", String(frame === state.frame));
}

const draw = eachPaint(() => {
  const { frames } = state.left ?? {};
  if (!frames) return;
  none.hidden = frames.length > 0;
  inner.style.height = `${frames.length * TALL}px`;
  const first = Math.max(0, Math.floor(box.scrollTop / TALL) - MORE);
  const last = Math.min(frames.length, Math.ceil((box.scrollTop + box.clientHeight) / TALL) + MORE);
  for (const [place, one] of rows)
    if (place < first || place >= last || frames[place] !== one.frame) {
      one.image.removeAttribute("src"); // what is still on its way need not come
      one.row.remove();
      rows.delete(place);
    }
  for (let place = first; place < last; place++) {
    if (!rows.has(place)) {
      rows.set(place, makeRow(place));
      inner.append(rows.get(place).row);
    }
    fill(rows.get(place));
    rows.get(place).row.setAttribute("aria-setsize", frames.length);
  }
  tellActive(frames);
  loadThumbs();
});

function tellActive(frames) {
  const place = placeOf(frames, state.frame);
  if (rows.has(place) && frames[place] === state.frame) box.setAttribute("aria-activedescendant", `row-${place}`);
  else box.removeAttribute("aria-activedescendant");
}

// rows that fly by while somebody scrolls need no picture
const loadThumbs = afterPause(90, () => {
  for (const one of rows.values())
    if (!one.image.hasAttribute("src")) one.image.src = picture(one.frame, THUMB);
});

/** Scroll so that the frame that is looked at is seen. */
function reveal() {
  const frames = state.left?.frames;
  if (!frames) return;
  inner.style.height = `${frames.length * TALL}px`; // else it cannot be scrolled so far yet
  const top = placeOf(frames, state.frame) * TALL;
  if (top < box.scrollTop) box.scrollTop = top;
  else if (top + TALL > box.scrollTop + box.clientHeight) box.scrollTop = top + TALL - box.clientHeight;
  draw();
}

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
  byId("source").append(el("option", { value: "" }, strips.length > 1 ? `all ${many(strips.length)}` : "all"),
    ...strips.map((name, number) => el("option", { value: number }, name)));
}

function showFilter() {
  const { filter, left, cases } = state;
  for (const box of document.querySelectorAll("[data-outcome-filter]"))
    box.checked = filter.outcomes.includes(Number(box.dataset.outcomeFilter));
  byId("level").value = filter.level ?? "";
  byId("source").value = filter.strip ?? "";
  for (const key of ["least", "most"])
    if (Number(byId(key).value) !== filter[key]) byId(key).value = filter[key];
  byId("only-weak").checked = filter.weak;
  byId("only-marked").checked = filter.marked;
  byId("no-filter").hidden = !isOn(filter);
  byId("unsure").hidden = !left?.unsure;
  if (left) byId("unsure").textContent = `${many(left.unsure)} hidden: frames without a face have no confidence and are left out.`;
  if (left) byId("left").textContent = `${many(left.frames.length)} of ${many(cases.count)}`;
}

/** Whether it leaves anything out at all. */
function isOn(filter) {
  return (
    filter.outcomes.length < NO_FILTER.outcomes.length ||
    Object.keys(NO_FILTER).some((key) => key !== "outcomes" && filter[key] !== NO_FILTER[key])
  );
}

function startFilter() {
  buildOutcomes();
  buildSelects();
  byId("level").addEventListener("change", (event) => change({ level: orNull(event.target.value) }));
  byId("source").addEventListener("change", (event) => change({ strip: orNull(event.target.value) }));
  for (const key of ["least", "most"])
    byId(key).addEventListener("input", (event) => {
      const value = event.target.valueAsNumber;
      if (Number.isFinite(value)) change({ [key]: Math.min(1, Math.max(0, value)) });
    });
  byId("only-weak").addEventListener("change", (event) => change({ weak: event.target.checked }));
  byId("only-marked").addEventListener("change", (event) => change({ marked: event.target.checked }));
  byId("no-filter").addEventListener("click", () => set({ filter: { ...NO_FILTER } }));
  on("filter left", showFilter);
  showFilter();
}

/** Begin. */
export function startList() {
  startFilter();
  box.append(inner, none);
  box.addEventListener("scroll", draw, { passive: true });
  new ResizeObserver(draw).observe(box);
  on("left result marked", draw);
  on("left frame", reveal);
}
