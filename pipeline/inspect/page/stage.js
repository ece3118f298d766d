// Where the picture lies: two panes (the second for "side by side"), zoom, pan, the wipe.
// Hides geometry; what is drawn on a pane is drawn by others, who are told when a pane has moved.

import { byId, el, svg } from "uncover/dom";
import { set, state, on, TEN } from "uncover/state";

const MOST = 40; // so often enlarged
const STRIDE = 0.1; // of what is seen, by an arrow key
const root = byId("stage");

/**
 * @typedef {object} Pane
 * @property {HTMLElement} box what is seen of it
 * @property {HTMLElement} sheet as large as the whole picture
 * @property {HTMLImageElement} plain
 * @property {HTMLElement} hot the grey picture and the map on it
 * @property {HTMLImageElement} grey
 * @property {HTMLCanvasElement} heat
 * @property {SVGElement} boxes
 * @property {HTMLElement} labels
 * @property {number} scale screen pixels to a pixel of the picture
 */

/** @returns {Pane} */
function makePane(first) {
  const plain = el("img", { alt: first ? "Frame" : "", draggable: "false" });
  if (first) plain.setAttribute("elementtiming", "picture"); // when it was painted, for who measures
  const grey = el("img", { alt: "", class: "grey", draggable: "false" });
  const heat = el("canvas", { "aria-hidden": "true" });
  const hot = el("div", { class: "hot", hidden: true }, grey, heat);
  const boxes = svg("svg", { class: "boxes", preserveAspectRatio: "none", "aria-hidden": "true" });
  const labels = el("div", { class: "labels" });
  const sheet = el("div", { class: "sheet" }, plain, hot, boxes, labels);
  const box = el("div", first ? { class: "pane", role: "group", tabindex: "0" } : { class: "pane" }, sheet);
  return { box, sheet, plain, hot, grey, heat, boxes, labels, scale: 1 };
}

export const panes = [makePane(true), makePane(false)];
const divider = el("div", {
  class: "divider", role: "slider", tabindex: "0", hidden: true, "aria-label": "Wipe",
  "aria-valuemin": "0", "aria-valuemax": "100", "aria-orientation": "horizontal",
});
panes[0].box.append(divider);
root.prepend(...panes.map((pane) => pane.box));

const look = { zoom: 1, x: 0.5, y: 0.5 }; // what of the picture is in the middle
let size = [16, 9];
const moved = [];

/** Call after the panes have been laid out anew. */
export const onMoved = (listener) => moved.push(listener);
export const zoomed = () => look.zoom > 1;
/** Screen pixels that the whole picture is wide. */
export const sheetWidth = () => size[0] * panes[0].scale * devicePixelRatio;

/** Show a picture of so many pixels (of the frame, not of the file). */
export function showPicture(source, alt, pixels) {
  const other = pixels[0] * size[1] !== pixels[1] * size[0];
  size = pixels;
  panes[0].plain.alt = alt;
  for (const pane of panes) for (const image of [pane.plain, pane.grey]) image.src = source;
  if (other) fitPicture();
  else layOut();
}

export function fitPicture() {
  Object.assign(look, { zoom: 1, x: 0.5, y: 0.5 });
  layOut();
}

/** Enlarge around a point of the screen, or around the middle. */
export function zoomPicture(factor, point = null) {
  const pane = panes[0];
  const zoom = Math.min(MOST, Math.max(1, look.zoom * factor));
  const sheet = pane.sheet.getBoundingClientRect();
  const under = point ? paneAt(point).sheet.getBoundingClientRect() : sheet;
  const [x, y] = point
    ? [(point.clientX - under.left) / under.width, (point.clientY - under.top) / under.height]
    : [look.x, look.y];
  const keep = look.zoom / zoom; // what is under the pointer stays there
  look.x = x + (look.x - x) * keep;
  look.y = y + (look.y - y) * keep;
  look.zoom = zoom;
  layOut();
}

const paneAt = (point) => panes.find((pane) => pane.box.contains(point.target)) ?? panes[0];

/** See what lies so many pixels of the screen further on. */
function pan(x, y) {
  look.x += x / (size[0] * panes[0].scale);
  look.y += y / (size[1] * panes[0].scale);
  layOut();
}

/** Put everything where it belongs. */
export function layOut() {
  const two = state.layout === "side by side";
  root.classList.toggle("stacked", two && stacks());
  root.classList.toggle("tiled", state.layout === TEN);
  panes[0].box.hidden = state.layout === TEN;
  panes[1].box.hidden = !two;
  const { clientWidth: wide, clientHeight: high } = panes[0].box;
  if (!wide || !high) return;
  const scale = Math.min(wide / size[0], high / size[1]) * look.zoom;
  look.x = kept(look.x, wide / (size[0] * scale));
  look.y = kept(look.y, high / (size[1] * scale));
  const [width, height] = [size[0] * scale, size[1] * scale];
  for (const pane of panes) {
    pane.scale = scale;
    Object.assign(pane.sheet.style, {
      width: `${width}px`, height: `${height}px`,
      left: `${wide / 2 - look.x * width}px`, top: `${high / 2 - look.y * height}px`,
    });
    pane.boxes.setAttribute("viewBox", `0 0 ${size[0]} ${size[1]}`);
  }
  root.classList.toggle("zoomed", zoomed());
  panes[0].box.setAttribute("aria-label", zoomed() ? "Picture, zoomed: arrow keys move it" : "Picture");
  layWipe(wide, width);
  for (const listener of moved) listener();
}

/** Whether two panes give a larger picture one above the other. */
function stacks() {
  const scale = (wide, high) => Math.min(wide / size[0], high / size[1]);
  const { clientWidth: wide, clientHeight: high } = root;
  return scale(wide, high / 2) > scale(wide / 2, high);
}

/** The middle, so that no more is left empty than has to be; `seen` is the share that fits. */
function kept(middle, seen) {
  return seen >= 1 ? 0.5 : Math.min(1 - seen / 2, Math.max(seen / 2, middle));
}

function layWipe(wide, width) {
  const wiping = state.layout === "wipe" && state.map !== "off";
  const heating = state.map !== "off";
  divider.hidden = !wiping;
  panes[0].hot.hidden = !heating || state.layout === "side by side";
  panes[1].hot.hidden = !heating;
  const left = wide / 2 - look.x * width;
  const [from, to] = [Math.max(0, left), Math.min(wide, left + width)];
  const at = from + state.wipe * (to - from);
  divider.style.left = `${at}px`;
  divider.setAttribute("aria-valuenow", Math.round(state.wipe * 100));
  divider.setAttribute("aria-valuetext", `${Math.round(state.wipe * 100)} % without the map`);
  panes[0].hot.style.clipPath = wiping ? `inset(0 0 0 ${((at - left) / width) * 100}%)` : "none";
}

function wipeTo(clientX) {
  const pane = panes[0].box.getBoundingClientRect();
  const sheet = panes[0].sheet.getBoundingClientRect();
  const from = Math.max(pane.left, sheet.left);
  const to = Math.min(pane.right, sheet.right);
  set({ wipe: Math.min(1, Math.max(0, (clientX - from) / (to - from))) });
}

function listen() {
  divider.addEventListener("pointerdown", (event) => {
    divider.setPointerCapture(event.pointerId);
    event.stopPropagation();
  });
  divider.addEventListener("pointermove", (event) => {
    if (divider.hasPointerCapture(event.pointerId)) wipeTo(event.clientX);
  });
  divider.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -0.02, ArrowRight: 0.02, ArrowDown: -0.02, ArrowUp: 0.02, PageUp: 0.1, PageDown: -0.1, Home: -1, End: 1 };
    if (!(event.key in by)) return;
    event.preventDefault();
    event.stopPropagation(); // else it goes to another frame
    set({ wipe: Math.min(1, Math.max(0, state.wipe + by[event.key])) });
  });
  for (const pane of panes) {
    pane.box.addEventListener("wheel", (event) => {
      event.preventDefault();
      zoomPicture(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.002)), event);
    }, { passive: false });
    pane.box.addEventListener("dblclick", (event) => {
      if (look.zoom > 1) fitPicture();
      else zoomPicture(3, event);
    });
    pane.box.addEventListener("pointerdown", (event) => {
      if (event.button === 0 && look.zoom > 1) pane.box.setPointerCapture(event.pointerId);
    });
    pane.box.addEventListener("pointermove", (event) => {
      if (!pane.box.hasPointerCapture(event.pointerId)) return;
      pan(-event.movementX, -event.movementY);
    });
  }
  panes[0].box.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    const plain = !event.shiftKey && !event.ctrlKey && !event.altKey && !event.metaKey;
    if (!by || !plain || !zoomed() || event.target !== panes[0].box) return;
    event.preventDefault(); // else it goes to another frame
    pan(by[0] * STRIDE * panes[0].box.clientWidth, by[1] * STRIDE * panes[0].box.clientHeight);
  });
  byId("picture-in").addEventListener("click", () => zoomPicture(1.6));
  byId("picture-out").addEventListener("click", () => zoomPicture(1 / 1.6));
  byId("picture-fit").addEventListener("click", fitPicture);
}

/** Begin. */
export function startStage() {
  listen();
  new ResizeObserver(layOut).observe(root);
  on("layout wipe map", layOut);
}
