// The heatmap over the picture, and what chooses it: map, method, levels, opacity, layout. Below,
// from base64 to colours on a canvas. Hides when maps are asked for (only when somebody looks), that
// answers may come late, and how a map's cells lie on the picture.

import { ask } from "uncover/ask";
import { byId, choose, el } from "uncover/dom";
import { layOut, panes } from "uncover/stage";
import { afterPause, newest, on, pair, partOf, set, state, TEN } from "uncover/state";

export const DRAWING = "drawing…";
const UNKNOWN = "as saved, or the usual";
const EACH = 12; // pixels of the canvas to a cell
let colours; // of each value: Uint8Array of 256 * 3
let lastMap = "average"; // what the key h brings back

/** Whether anybody looks at maps now. */
const looking = () => state.map !== "off" || state.layout === TEN || (pair().parts && byId("classes").open);

const load = newest(async (index, pair, method, levels) => {
  const maps = await ask.maps(index, pair, method, levels).catch(() => null); // people have been told
  const late = ["frame", "pair", "method", "levels"].some((key, k) => state[key] !== [index, pair, method, levels][k]);
  if (!late) set({ maps, drawing: false });
});

const loadSoon = afterPause(150, () => {
  if (looking()) load(state.frame, state.pair, state.method, state.levels);
  else set({ drawing: false });
});

/** Ask for the maps of the frame that is wanted. */
function want() {
  if (!state.run?.frames || !looking()) return;
  set({ drawing: true });
  if (state.map === "off" && state.layout !== TEN) loadSoon(); // only the small ones: they may wait for a pause
  else load(state.frame, state.pair, state.method, state.levels);
}

/** The maps of the frame that is shown, or null. */
export const mapsShown = () =>
  state.maps && state.detail && state.maps.index === state.detail.index ? state.maps : null;

/** Whether words stand in the place of the picture. */
export const wordsOnly = () => state.detail?.shown === "none";

function paintHeat() {
  const maps = mapsShown();
  const one = maps && state.map !== "off" && !wordsOnly() ? cells(maps, partOf(state.map)) : null;
  for (const pane of panes) {
    pane.heat.hidden = pane.grey.hidden = !one; // until it is here the picture is as it is
    if (!one) continue;
    fit(pane.heat, maps, EACH);
    paint(pane.heat, maps, one);
  }
}

/** Why there is nothing to see, in words. */
function explain() {
  const maps = mapsShown();
  let words = "";
  const ten = state.layout === TEN;
  const map = ten ? state.run.parts[0] : state.map;
  if (map !== "off" && maps && (ten || !wordsOnly())) {
    if (!maps.width) words = maps.words || pair().undrawn || "There is no map of this frame.";
    else if (!cells(maps, partOf(map)))
      words = map === "average"
        ? "The average was not saved."
        : "Only the average was saved, not the map of each part.";
  }
  byId("legend").hidden = !ten && (state.map === "off" || wordsOnly());
  byId("stage-words").textContent = words;
  byId("stage-words").hidden = !words;
  byId("drawing").hidden = !(state.drawing && state.map !== "off" && !ten && !wordsOnly());
  // where there are no maps, their own words say why
  const undrawn = maps?.width && pair().undrawn ? `None can be drawn here: ${pair().undrawn}` : "";
  byId("maps-words").textContent = [maps?.words, undrawn].filter(Boolean).join(". ");
}

/** The maps, methods and levels that these detectors can be asked for. */
function offer() {
  const { undrawn, parts, levels } = pair();
  const maps = [["off", "off"], ["average", parts ? "average" : "evidence"], ...(parts ? state.run.parts : []).map((name) => [name, name])];
  const inputs = [["", "all"], ...levels.map((name, number) => [number, name])];
  for (const [id, values] of [["map", maps], ["levels", inputs]])
    byId(id).replaceChildren(...values.map(([value, name]) => el("option", { value }, name)));
  byId("map").value = state.map;
  if (!parts) lastMap = "average";
  const methods = undrawn ? [] : state.run.methods;
  byId("method").replaceChildren(
    el("option", { value: "" }, DRAWING),
    ...methods.map(({ name, words }) => el("option", { value: name, title: words }, name)));
  byId("method").disabled = !methods.length;
  byId("method").title = undrawn || methods.map(({ name, words }) => `${name}: ${words}`).join("\n");
  tellMethod();
}

function tellMethod() {
  byId("method").value = state.method;
  byId("levels").value = state.levels;
  const maps = mapsShown();
  const first = byId("method").options[0];
  if (maps && !state.method) first.textContent = maps.saved ? "as saved" : "the usual";
  else if (first.textContent === DRAWING && !state.drawing) first.textContent = UNKNOWN;
  else if (first.textContent === UNKNOWN && state.drawing) first.textContent = DRAWING;
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
  byId("opacity").disabled = state.map === "off";
  want();
  paintHeat();
  explain();
}

/** Begin: fill what chooses. */
export function startHeat() {
  colours = bytes(state.run.colours);
  paintLegend(byId("legend").querySelector("canvas"));
  listen();
  on("map", mapChanged);
  on("frame method levels cases", want);
  on("maps detail", paintHeat);
  on("maps detail drawing", () => (explain(), tellMethod()));
  on("opacity", showOpacity);
  on("method levels", tellMethod);
  on("cases", offer);
  on("layout", () => {
    choose("layout", state.layout);
    if (!mapsShown()) want();
    explain();
  });
  showOpacity();
  offer();
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
      const compares = one.value !== "overlay" && one.value !== TEN;
      const map = compares && state.map === "off" ? lastMap : state.map;
      set({ layout: one.value, map });
      layOut();
    });
}

/** Bytes of base64. */
function bytes(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

const decoded = new WeakMap();
/** The bytes of an answer, decoded once. */
function cellsOf(maps) {
  if (!decoded.has(maps))
    decoded.set(maps, { stack: bytes(maps.stack), average: bytes(maps.average) });
  return decoded.get(maps);
}

/** The cells of a part's map, or of the average (part -1); null: there is none. */
export function cells(maps, part) {
  const size = maps.width * maps.height;
  const { stack, average } = cellsOf(maps);
  const one = part < 0 ? average : stack.subarray(part * size, (part + 1) * size);
  return size && one.length === size ? one : null;
}

/** The largest value of a map. */
export function strongest(one) {
  let most = 0;
  for (const value of one) if (value > most) most = value;
  return most;
}

/** Of a value, how much of the picture it hides: weak evidence shows, strong lets see through. */
const ALPHA = Uint8ClampedArray.from({ length: 256 }, (_, value) => 255 * 0.85 * Math.sqrt(value / 255));

/**
 * Paint a map onto a canvas that is as wide and high as the whole picture.
 * @param {HTMLCanvasElement} canvas
 * @param {Uint8Array} one cells
 * @param {number} most the value that gets the strongest colour
 */
export function paint(canvas, maps, one, most = 255) {
  const { width, height, place } = maps;
  const small = new OffscreenCanvas(width, height);
  const image = new ImageData(width, height);
  for (let i = 0; i < one.length; i++) {
    const value = Math.min(255, Math.round((one[i] * 255) / (most || 255)));
    image.data.set([colours[3 * value], colours[3 * value + 1], colours[3 * value + 2]], 4 * i);
    image.data[4 * i + 3] = ALPHA[value];
  }
  small.getContext("2d").putImageData(image, 0, 0);
  const [left, top, wide, high] = place;
  const pen = canvas.getContext("2d");
  pen.imageSmoothingEnabled = true;
  pen.imageSmoothingQuality = "high";
  // the whole map, so that cells at the rim are blended with the padding as all others are
  const [x, y] = [canvas.width / wide, canvas.height / high];
  pen.drawImage(small, -left * x, -top * y, width * x, height * y);
}

/** Give a canvas the pixels of the picture's cells, so many to a cell. */
export function fit(canvas, maps, each) {
  canvas.width = Math.max(1, Math.round(maps.place[2] * each));
  canvas.height = Math.max(1, Math.round(maps.place[3] * each));
}

/** The bar that says what the colours mean. */
function paintLegend(canvas) {
  const image = new ImageData(256, 1);
  for (let value = 0; value < 256; value++) {
    image.data.set(colours.subarray(3 * value, 3 * value + 3), 4 * value);
    image.data[4 * value + 3] = 255;
  }
  canvas.width = 256;
  canvas.height = 1;
  canvas.getContext("2d").putImageData(image, 0, 0);
}
