// Ten small pictures, one for each part: where it was seen, how surely. They stand in the panel, and
// larger on the stage, as a layout of its own; both are painted by the same hand.

import { byId, choose, el, score } from "uncover/dom";
import { cells, DRAWING, fit, mapsShown, paint, strongest, wordsOnly } from "uncover/heat";
import { panes } from "uncover/stage";
import { eachPaint, on, pair, set, state, TEN } from "uncover/state";

const WIDE = 240; // pixels of each in the panel
const GAP = 10; // between two on the stage, as in style.css
const EDGE = 10; // a tile is wider than its picture, as in style.css
const READABLE = 118; // so wide a tile is at least where it can be, for its words
const COLUMNS = [5, 2]; // on a stage that is wide, or tall

/**
 * @typedef {{name: string, button: HTMLElement, canvas: HTMLCanvasElement, sure: HTMLElement, badge: HTMLElement}} Tile
 * @typedef {object} Place where the ten tiles stand
 * @property {HTMLElement} box
 * @property {() => boolean} seen
 * @property {number} wide pixels of each picture
 * @property {Tile[]} tiles
 */

/** @type {Place} */
let panel;
/** @type {Place} */
let stage;
let before = "overlay"; // the layout that the key g goes back to

/** @returns {Place} */
function makePlace(box, seen, chosen) {
  const tiles = state.run.parts.map((name) => makeTile(name, chosen));
  box.append(...tiles.map((one) => one.button));
  return { box, seen, wide: WIDE, tiles };
}

function makeTile(name, chosen) {
  const canvas = el("canvas", { "aria-hidden": "true" });
  const sure = el("span", { class: "sure" });
  const badge = el("span", { class: "badge", hidden: true });
  const words = el("span", { class: "words" }, el("span", { class: "name" }, name), " ", sure, " ", badge);
  // a picture comes first for the eye, the name comes first for the ear
  const button = el("button", { type: "button", class: "multiple", "aria-pressed": "false",
    onclick: () => chosen(name) }, words, canvas);
  return { name, button, canvas, sure, badge };
}

/** The picture once, grey and small, for all ten. */
function ground(maps, wide) {
  const canvas = document.createElement("canvas");
  fit(canvas, maps, wide / maps.place[2]);
  const pen = canvas.getContext("2d");
  pen.fillStyle = "#333";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.filter = "grayscale(1) brightness(0.75)";
  if (state.image && !wordsOnly()) pen.drawImage(state.image, 0, 0, canvas.width, canvas.height);
  return canvas;
}

const draw = eachPaint(() => {
  const maps = mapsShown();
  for (const place of [panel, stage]) {
    if (!place.seen()) continue;
    place.box.classList.toggle("waiting", !maps);
    const picture = maps?.width ? ground(maps, place.wide) : null;
    place.tiles.forEach((one, part) => drawOne(one, part, maps, picture));
  }
});

const clear = (canvas) => canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);

function drawOne(one, part, maps, picture) {
  const map = maps && cells(maps, part);
  const most = map ? strongest(map) : 0;
  one.sure.textContent = score(maps?.best[one.name] ?? bestOfFrame(one.name, part));
  const weak = maps?.weak.includes(one.name) ? "weak" : "";
  const badge = !maps && state.drawing ? DRAWING : map && !most ? "empty" : weak;
  one.badge.textContent = badge;
  one.badge.hidden = !badge;
  one.badge.classList.toggle("late", badge === DRAWING);
  if (maps && !map) clear(one.canvas); // else it would show another frame's
  if (!map || !picture) return;
  Object.assign(one.canvas, { width: picture.width, height: picture.height });
  one.canvas.getContext("2d").drawImage(picture, 0, 0);
  paint(one.canvas, maps, map, state.oneScale ? 255 : most);
}

/** What is known of a part before its map is here. */
function bestOfFrame(name, part) {
  const { detail } = state;
  if (!detail || detail.index !== state.frame) return undefined;
  const seen = detail.parts.filter((one) => one.part === part).map((one) => one.score);
  return detail.best[name] ?? (seen.length ? Math.max(...seen) : undefined);
}

/** The ten as large as they fit on the stage, all of them. */
function arrange() {
  const { box, tiles } = stage;
  const { clientWidth: wide, clientHeight: high } = box;
  if (!wide || !high || !tiles.length) return;
  const [x, y] = state.detail?.size[0] ? state.detail.size : [16, 9];
  const words = tiles[0].button.offsetHeight - tiles[0].canvas.offsetHeight;
  const [best] = COLUMNS.map((columns) => {
    const rows = Math.ceil(tiles.length / columns);
    const across = (wide - GAP * (columns - 1)) / columns - EDGE;
    const down = (high - GAP * (rows - 1)) / rows - words;
    return { columns, across, picture: Math.max(1, Math.min(across, (down * x) / y)) };
  }).sort((a, b) => b.picture - a.picture);
  const column = Math.max(best.picture, Math.min(best.across, READABLE)) + EDGE;
  for (const [name, value] of Object.entries({
    columns: best.columns, column: `${column}px`, picture: `${best.picture}px`, aspect: `${x} / ${y}`,
  })) box.style.setProperty(`--${name}`, value);
  stage.wide = Math.ceil(best.picture * devicePixelRatio);
  draw();
}

/** All ten on the stage, or what was there before. */
export function toggleTen() {
  if (!pair().parts) return;
  if (state.layout === TEN) return set({ layout: before });
  set({ layout: TEN });
  (stage.tiles.find((one) => one.name === state.map) ?? stage.tiles[0])?.button.focus();
}

function showLayout() {
  const { box } = stage;
  const left = box.contains(document.activeElement);
  box.hidden = state.layout !== TEN;
  if (box.hidden) before = state.layout;
  if (box.hidden && left) panes[0].box.focus(); // what had the focus is gone
  arrange();
}

/** Begin. */
export function startClasses() {
  panel = makePlace(byId("multiples"), () => pair().parts && byId("classes").open,
    (name) => set({ map: state.map === name ? "off" : name }));
  stage = makePlace(byId("ten"), () => state.layout === TEN, (name) => set({ map: name, layout: "overlay" }));
  for (const radio of document.querySelectorAll('input[name="scale"]'))
    radio.addEventListener("change", () => set({ oneScale: radio.value === "one" }));
  byId("classes").addEventListener("toggle", draw);
  new ResizeObserver(arrange).observe(stage.box);
  on("maps detail drawing", draw);
  on("detail", arrange); // another film may have another shape
  on("layout", showLayout);
  on("oneScale", () => (choose("scale", state.oneScale ? "one" : "own"), draw()));
  on("map", showChosen);
  on("cases", showPair);
  showPair();
  showChosen();
  draw();
}

/** Detectors that know no parts have one map, and nothing to put side by side. */
function showPair() {
  const { parts } = pair();
  byId("classes-title").textContent = parts ? "Ten classes" : "Evidence";
  for (const id of ["scales", "multiples", "layout-ten"]) byId(id).hidden = !parts;
}

function showChosen() {
  for (const one of [...panel.tiles, ...stage.tiles]) one.button.setAttribute("aria-pressed", String(one.name === state.map));
}
