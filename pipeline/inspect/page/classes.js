// Ten small pictures, one for each part: where it was seen, how surely.

import { byId, choose, el, score } from "uncover/dom";
import { colours, mapsShown } from "uncover/heat";
import { cells, fit, paint, strongest } from "uncover/maps";
import { eachPaint } from "uncover/pace";
import { on, set, state } from "uncover/state";

const WIDE = 240; // pixels of each
/** @type {{name: string, button: HTMLElement, canvas: HTMLCanvasElement, sure: HTMLElement, badge: HTMLElement}[]} */
let multiples = [];

function makeMultiple(name) {
  const canvas = el("canvas", { "aria-hidden": "true" });
  const sure = el("span", { class: "sure" });
  const badge = el("span", { class: "badge", hidden: true });
  const words = el("span", { class: "words" }, el("span", { class: "name" }, name), " ", sure, " ", badge);
  // a picture comes first for the eye, the name comes first for the ear
  const button = el("button", { type: "button", class: "multiple", "aria-pressed": "false",
    onclick: () => set({ map: state.map === name ? "off" : name }) }, words, canvas);
  return { name, button, canvas, sure, badge };
}

/** The picture once, grey and small, for all ten. */
function ground(maps) {
  const canvas = document.createElement("canvas");
  fit(canvas, maps, WIDE / maps.place[2]);
  const pen = canvas.getContext("2d");
  pen.fillStyle = "#333";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.filter = "grayscale(1) brightness(0.75)";
  if (state.image) pen.drawImage(state.image, 0, 0, canvas.width, canvas.height);
  return canvas;
}

const draw = eachPaint(() => {
  const maps = mapsShown();
  const any = Boolean(maps?.width);
  byId("multiples").classList.toggle("waiting", !maps);
  const picture = any && byId("classes").open ? ground(maps) : null;
  multiples.forEach((one, part) => drawOne(one, part, any ? maps : null, picture));
});

function drawOne(one, part, maps, picture) {
  const map = maps && cells(maps, part);
  const most = map ? strongest(map) : 0;
  const best = maps?.best[one.name] ?? bestOfFrame(one.name);
  one.sure.textContent = score(best);
  const badge = map && !most ? "empty" : maps?.weak.includes(one.name) ? "weak" : "";
  one.badge.textContent = badge;
  one.badge.hidden = !badge;
  one.button.classList.toggle("faint", Boolean(badge));
  one.canvas.classList.toggle("bare", !map);
  if (!map || !picture) return;
  Object.assign(one.canvas, { width: picture.width, height: picture.height });
  one.canvas.getContext("2d").drawImage(picture, 0, 0);
  paint(one.canvas, maps, map, colours, state.oneScale ? 255 : most);
}

const bestOfFrame = (name) =>
  state.detail && state.detail.index === state.frame ? state.detail.best[name] : undefined;

/** Begin. */
export function startClasses() {
  multiples = state.run.parts.map(makeMultiple);
  byId("multiples").append(...multiples.map((one) => one.button));
  for (const radio of document.querySelectorAll('input[name="scale"]'))
    radio.addEventListener("change", () => set({ oneScale: radio.value === "one" }));
  byId("classes").addEventListener("toggle", draw);
  on("maps detail", draw);
  on("oneScale", () => (choose("scale", state.oneScale ? "one" : "own"), draw()));
  on("map", showChosen);
  showChosen();
}

function showChosen() {
  for (const one of multiples) one.button.setAttribute("aria-pressed", String(one.name === state.map));
}
