// The start: ask for the frames, let every part of the page begin. Then what belongs to the page as
// a whole: its address, its colours, its head.

import { ask, exported, leftOut, onTrouble, theRun } from "uncover/ask";
import { startBoxes } from "uncover/boxes";
import { startClasses } from "uncover/classes";
import { byId, choose, el, many, unbroken } from "uncover/dom";
import { startFacts } from "uncover/facts";
import { early, go, jump, nothing, startFrame, step } from "uncover/frame";
import { startGather } from "uncover/gather";
import { startHeat } from "uncover/heat";
import { startKeys } from "uncover/keys";
import { startList } from "uncover/list";
import { NO_FILTER, OUTCOMES } from "uncover/outcomes";
import { startStage } from "uncover/stage";
import { afterPause, fitting, on, pair, set, state } from "uncover/state";
import { choosePair, startThresholds } from "uncover/thresholds";
import { startTimeline } from "uncover/timeline";

// Light, dark, or as the system has it; remembered where the browser lets us.
const KEY = "uncover theme";
// Milliseconds that the page waits for what it will show: laid out and painted once it is there sooner.
const UNSEEN = 300;
const dark = matchMedia("(prefers-color-scheme: dark)");
let wanted = "auto";

onTrouble((words) => {
  byId("alert").textContent = words ?? "";
  byId("alert").hidden = !words;
});

async function start() {
  const run = theRun();
  set({ run });
  describe(run);
  notify(run);
  if (!run.frames) return empty(run);
  const told = fromAddress(run);
  const frames = ask.frames(told.pair);
  const first = Promise.allSettled([frames, early(told.frame, told.pair)]);
  set({ frame: told.frame, pair: told.pair, filter: told.filter });
  set(shownBy(told));
  const marks = ask.marks().catch(() => null); // people have been told
  await Promise.race([first, pause(UNSEEN)]);
  begin();
  await choosePair(told.pair, told, frames);
  performance.mark("all frames"); // are decided and counted, for who measures
  const known = await marks;
  set(known ? { marks: known.marks } : { marksLost: true });
}

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

function begin() {
  byId("desk").hidden = false;
  startStage();
  startHeat();
  startBoxes();
  startClasses();
  startFacts();
  startThresholds();
  startGather();
  startList();
  startTimeline();
  startAddress();
  startKeys();
  startControls();
  startFrame();
}

/** Buttons that move, and what is shown over the picture. */
function startControls() {
  for (const button of document.querySelectorAll("[data-step]"))
    button.addEventListener("click", () => step(Number(button.dataset.step)));
  for (const button of document.querySelectorAll("[data-jump]"))
    button.addEventListener("click", () => jump(button.dataset.jump, 1));
  byId("goto").max = state.run.frames - 1;
  byId("goto-of").textContent = `of 0 to ${many(state.run.frames - 1)}`;
  byId("goto").addEventListener("change", (event) => {
    if (Number.isFinite(event.target.valueAsNumber)) go(event.target.valueAsNumber);
  });
  byId("low").addEventListener("change", (event) => {
    if (Number.isFinite(event.target.valueAsNumber)) set({ low: event.target.valueAsNumber });
  });
  for (const box of document.querySelectorAll("[data-show]"))
    box.addEventListener("change", () => set({ show: { ...state.show, [box.dataset.show]: box.checked } }));
  byId("show-truth").hidden = !state.run.labelled;
  on("cases", showPair);
  on("low", showControls);
  on("show", showControls);
  showPair();
  showControls();
}

/** Only what these detectors have. */
function showPair() {
  const { called, second, parts } = pair();
  byId("first-called").textContent = called.toLowerCase();
  byId("show-second").hidden = !second;
  byId("show-parts").hidden = !parts;
}

function showControls() {
  byId("low").value = state.low;
  for (const box of document.querySelectorAll("[data-show]")) box.checked = state.show[box.dataset.show];
}

function describe(run) {
  document.title = `${run.name} · uncover inspect`;
  byId("run-name").textContent = run.name;
  byId("run-name").title = run.folder;
  byId("run-command").textContent = run.command;
  byId("run-command").hidden = false;
  byId("run-frames").textContent = [
    `${many(run.frames)} frames`, run.anonymized ? "faces blurred" : "", exported ? "exported page" : "",
  ].filter(Boolean).join(" · ");
  byId("about").hidden = false;
  const rows = Object.entries({ Folder: run.folder, ...run.settings });
  byId("settings").append(...rows.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, unbroken(value))]));
}

/** What people should know of the run before they believe it. */
function notify(run) {
  if (!run.complete)
    notice(`Still being written or interrupted: ${many(run.frames)} frames so far.`,
      exported ? null : el("button", { type: "button", onclick: () => location.reload() }, "Read again"));
  for (const words of [...run.warnings, leftOut]) if (words) notice(words);
}

function notice(words, more = null) {
  const close = el("button", { type: "button", class: "plain", "aria-label": "Dismiss", onclick: () => bar.remove() }, "Dismiss");
  const bar = el("div", { class: "bar" }, el("span", {}, words), more, el("span", { class: "grow" }), close);
  byId("notices").append(bar);
}

function empty(run) {
  nothing(run.complete
    ? "This run has no frames: nothing was read, so there is nothing to look at."
    : "There are no frames yet. Read again when the run has come further.");
  document.body.classList.add("no-frames");
  document.documentElement.dataset.ready = "1";
}

/**
 * What is looked at stands in the address, so that it can be reloaded and sent to a colleague. Keys
 * that it does not have are missing.
 */
function fromAddress(run) {
  const told = new URLSearchParams(location.hash.slice(1));
  const number = (key, most) => {
    const value = told.get(key);
    return value === null || value === "" || !(Number(value) >= 0 && Number(value) <= most) ? undefined : Number(value);
  };
  const among = (key, values) => (values.includes(told.get(key)) ? told.get(key) : undefined);
  const chosen = Math.floor(number("pair", run.pairs.length - 1) ?? 0);
  return {
    frame: Math.floor(number("frame", run.frames - 1) ?? 0),
    pair: chosen,
    conf: number("conf", 1),
    fallback: number("fallback", 1),
    map: among("map", ["off", "average", ...run.parts]) ?? "off",
    method: among("method", run.methods.map(({ name }) => name)) ?? "",
    levels: told.get("levels") ?? "",
    filter: {
      outcomes: told.has("outcomes") ? codesOf(told.get("outcomes")) : NO_FILTER.outcomes,
      level: placeIn([...run.levels, "unknown"], told.get("level"), -1),
      strip: placeIn(run.strips, told.get("source")),
      least: number("least", 1) ?? NO_FILTER.least,
      most: number("most", 1) ?? NO_FILTER.most,
      weak: told.get("weak") === "1",
      marked: told.get("marked") === "1",
    },
  };
}

const codesOf = (names) => NO_FILTER.outcomes.filter((code) => names.split(",").includes(OUTCOMES[code]));

/** The number of a name; null: there is none such. The last may have a number of its own. */
function placeIn(names, name, last = names.length - 1) {
  const place = names.indexOf(name);
  return place < 0 ? null : place === names.length - 1 ? last : place;
}

/** What the filter leaves out, for the address. */
function filterWords() {
  const { filter, run } = state;
  const all = filter.outcomes.length === NO_FILTER.outcomes.length;
  return Object.entries({
    outcomes: all ? null : filter.outcomes.map((code) => OUTCOMES[code]).join(),
    level: filter.level === null ? null : run.levels[filter.level] ?? "unknown",
    source: filter.strip === null ? null : run.strips[filter.strip],
    least: filter.least === NO_FILTER.least ? null : filter.least,
    most: filter.most === NO_FILTER.most ? null : filter.most,
    weak: filter.weak ? 1 : null,
    marked: filter.marked ? 1 : null,
  }).filter(([, value]) => value !== null);
}

function write() {
  const told = new URLSearchParams({ frame: state.frame });
  if (state.pair) told.set("pair", state.pair);
  if (state.conf !== pair().conf) told.set("conf", state.conf);
  if (state.fallback !== pair().fallback_conf) told.set("fallback", state.fallback);
  if (state.map !== "off") told.set("map", state.map);
  if (state.method) told.set("method", state.method);
  if (state.levels) told.set("levels", state.levels);
  for (const [key, value] of filterWords()) told.set(key, value);
  history.replaceState(null, "", `#${told}`);
}

/** What an address wants to see, as far as these detectors have it. */
const shownBy = (told) => fitting(pair(), { ...told, layout: state.layout });

/** Somebody has changed the address. */
async function read() {
  const told = fromAddress(state.run);
  set({ filter: told.filter });
  if (told.pair !== state.pair) await choosePair(told.pair, told).catch(() => null); // people have been told
  else set({ conf: told.conf ?? pair().conf, fallback: told.fallback ?? pair().fallback_conf, ...shownBy(told) });
  go(told.frame);
}

function startAddress() {
  // browsers allow so many changes a second and no more
  on("frame pair conf fallback map method levels filter", afterPause(250, write));
  addEventListener("hashchange", read);
}

function showTheme() {
  const theme = wanted === "auto" ? (dark.matches ? "dark" : "light") : wanted;
  document.documentElement.dataset.theme = theme;
  dispatchEvent(new Event("theme")); // canvases have no style sheet
}

function startTheme() {
  try {
    wanted = localStorage.getItem(KEY) ?? "auto";
  } catch {
    // a page from a file may not remember: it follows the system
  }
  choose("theme", wanted);
  for (const radio of document.querySelectorAll('input[name="theme"]'))
    radio.addEventListener("change", () => {
      wanted = radio.value;
      try {
        localStorage.setItem(KEY, wanted);
      } catch {
        // then it holds until the page is closed
      }
      showTheme();
    });
  dark.addEventListener("change", showTheme);
  showTheme();
}

startTheme();
start().catch((error) => {
  nothing(`This page could not start. ${error.message}`);
  document.documentElement.dataset.ready = "1";
  console.debug(error);
});
