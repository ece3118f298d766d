// The heatmap over the picture, and what chooses it: map, method, levels, opacity, layout.
// Hides when maps are asked for (only when somebody looks), and that answers may come late.

import { ask } from "uncover/ask";
import { byId, choose, el } from "uncover/dom";
import { bytes, cells, fit, paint, paintLegend } from "uncover/maps";
import { afterPause, newest } from "uncover/pace";
import { layOut, panes } from "uncover/stage";
import { on, partOf, set, state } from "uncover/state";

const EACH = 12; // pixels of the canvas to a cell
/** @type {Uint8Array} the colour of each value */
export let colours;
let lastMap = "average"; // what the key h brings back

/** Whether anybody looks at maps now. */
const looking = () => state.map !== "off" || byId("classes").open;

const load = newest(async (index, pair, method, levels) => {
  set({ drawing: true });
  const maps = await ask.maps(index, pair, method, levels).catch(() => null); // people have been told
  const late = ["frame", "pair", "method", "levels"].some((key, k) => state[key] !== [index, pair, method, levels][k]);
  if (!late) set({ maps, drawing: false });
});

const loadSoon = afterPause(150, () => {
  if (looking()) load(state.frame, state.pair, state.method, state.levels);
});

/** Ask for the maps of the frame that is wanted. */
function want() {
  if (!state.run?.frames || !looking()) return;
  if (state.map === "off") loadSoon(); // only the small ones: they may wait for a pause
  else load(state.frame, state.pair, state.method, state.levels);
}

/** The maps of the frame that is shown, or null. */
export const mapsShown = () =>
  state.maps && state.detail && state.maps.index === state.detail.index ? state.maps : null;

function paintHeat() {
  const maps = mapsShown();
  const one = maps && state.map !== "off" ? cells(maps, partOf(state.map)) : null;
  for (const pane of panes) {
    pane.heat.hidden = pane.grey.hidden = !one; // until it is here the picture is as it is
    if (!one) continue;
    fit(pane.heat, maps, EACH);
    paint(pane.heat, maps, one, colours);
  }
}

/** Why there is nothing to see, in words. */
function explain() {
  const maps = mapsShown();
  let words = "";
  if (state.map !== "off" && maps) {
    if (!maps.width) words = maps.words || state.run.undrawn || "There is no map of this frame.";
    else if (!cells(maps, partOf(state.map)))
      words = state.map === "average"
        ? "The average was not saved."
        : "Only the average was saved, not the map of each part.";
  }
  byId("stage-words").textContent = words;
  byId("stage-words").hidden = !words;
  byId("drawing").hidden = !(state.drawing && state.map !== "off");
  byId("maps-words").textContent = maps
    ? [maps.words, maps.width ? "" : state.run.undrawn].filter(Boolean).join(" ")
    : "";
}

function tellMethod() {
  byId("method").value = state.method;
  byId("levels").value = state.levels;
  const maps = mapsShown();
  const first = byId("method").options[0];
  if (maps) first.textContent = maps.saved ? "as saved" : "the usual";
  // what was saved, and the usual, have levels of their own
  byId("levels").disabled = !state.method;
  byId("levels").title = state.method ? "Inputs of the head" : "Choose a method to choose its levels";
}

/** Heat on or off. */
export function toggleHeat() {
  set({ map: state.map === "off" ? lastMap : "off" });
}

function mapChanged() {
  if (state.map !== "off") lastMap = state.map;
  byId("map").value = state.map;
  byId("legend").hidden = state.map === "off";
  byId("opacity").disabled = state.map === "off";
  want();
  paintHeat();
  explain();
}

/** Begin: fill what chooses. */
export function startHeat() {
  const { run } = state;
  colours = bytes(run.colours);
  paintLegend(byId("legend").querySelector("canvas"), colours);
  for (const name of ["off", "average", ...run.parts]) byId("map").append(el("option", { value: name }, name));
  byId("method").append(el("option", { value: "" }, "as saved"));
  for (const { name, words } of run.methods)
    byId("method").append(el("option", { value: name, title: words }, name));
  byId("method").disabled = !run.methods.length;
  byId("method").title = run.undrawn || run.methods.map(({ name, words }) => `${name}: ${words}`).join("\n");
  listen();
  on("map", mapChanged);
  on("frame method levels cases", want);
  on("maps detail", () => (paintHeat(), tellMethod()));
  on("maps detail drawing", explain);
  on("opacity", showOpacity);
  on("method levels", tellMethod);
  on("layout", () => choose("layout", state.layout));
  showOpacity();
  tellMethod();
  mapChanged();
}

function showOpacity() {
  for (const pane of panes) pane.heat.style.opacity = state.opacity;
  byId("opacity").value = state.opacity;
}

function listen() {
  byId("map").addEventListener("change", (event) => set({ map: event.target.value }));
  byId("method").addEventListener("change", (event) => set({ method: event.target.value }));
  byId("levels").addEventListener("change", (event) => set({ levels: event.target.value }));
  byId("opacity").addEventListener("input", (event) => set({ opacity: Number(event.target.value) }));
  byId("classes").addEventListener("toggle", want);
  for (const one of document.querySelectorAll('input[name="layout"]'))
    one.addEventListener("change", () => {
      // two layouts that compare need something to compare with
      const map = one.value !== "overlay" && state.map === "off" ? lastMap : state.map;
      set({ layout: one.value, map });
      layOut();
    });
}
