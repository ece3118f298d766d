// The start: ask for the run, let every part of the page begin, then for the frames.

import { fromAddress, startAddress } from "uncover/address";
import { ask, exported, leftOut, onTrouble } from "uncover/ask";
import { startBoxes } from "uncover/boxes";
import { startClasses } from "uncover/classes";
import { byId, el, many } from "uncover/dom";
import { startFacts } from "uncover/facts";
import { startFiltering } from "uncover/filtering";
import { early, nothing, startFrame } from "uncover/frame";
import { startGather } from "uncover/gather";
import { startHeat } from "uncover/heat";
import { startKeys } from "uncover/keys";
import { startList } from "uncover/list";
import { go, jump, step } from "uncover/moves";
import { startStage } from "uncover/stage";
import { on, set, state } from "uncover/state";
import { startTheme } from "uncover/theme";
import { choosePair, startThresholds } from "uncover/thresholds";
import { startTimeline } from "uncover/timeline";

onTrouble((words) => {
  byId("alert").textContent = words ?? "";
  byId("alert").hidden = !words;
});

startTheme();
start().catch((error) => {
  nothing(`This page could not start. ${error.message}`);
  document.documentElement.dataset.ready = "1";
  console.debug(error);
});

async function start() {
  const run = await ask.run();
  set({ run });
  describe(run);
  notify(run);
  if (!run.frames) return empty(run);
  const told = fromAddress(run);
  early(told.frame, told.pair); // while all frames are on their way
  set({ frame: told.frame, map: told.map, method: told.method, levels: told.levels });
  const marks = ask.marks();
  begin();
  await choosePair(told.pair, told);
  set({ marks: (await marks).marks });
}

function begin() {
  startStage();
  startHeat();
  startBoxes();
  startClasses();
  startFacts();
  startThresholds();
  startFiltering();
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
  on("low", showControls);
  on("show", showControls);
  showControls();
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
  byId("settings").append(...rows.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
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
