// Every key of the page in one table, which is the help as well.

import { toggleTen } from "uncover/classes";
import { byId, el } from "uncover/dom";
import { end, jump, step } from "uncover/frame";
import { toggleMark, writeNote } from "uncover/gather";
import { toggleHeat } from "uncover/heat";
import { fitPicture, zoomPicture } from "uncover/stage";
import { pair, set, state } from "uncover/state";
import { zoomLine } from "uncover/timeline";

const choosePart = (number) => () => {
  const name = state.run.parts[number];
  if (name && pair().parts) set({ map: name });
};
const digits = Object.fromEntries([..."1234567890"].map((key, number) => [key, choosePart(number)]));
const toggle = (key) => set({ show: { ...state.show, [key]: !state.show[key] } });

let lastBoxes = { first: true, second: true, parts: true };
function toggleBoxes() {
  const { first, second, parts } = state.show;
  const any = first || (second && pair().second) || (parts && pair().parts); // what can be seen
  if (any) lastBoxes = { first, second, parts };
  set({ show: { ...state.show, ...(any ? { first: false, second: false, parts: false } : lastBoxes) } });
}

/** [keys as people read them, what they do, handlers by event.key, whether only where there are parts] */
const KEYS = [
  ["left, right or k, j", "previous or next frame", { ArrowLeft: () => step(-1), ArrowRight: () => step(1), k: () => step(-1), j: () => step(1) }],
  ["Shift + left, right", "ten frames back or on", { "Shift ArrowLeft": () => step(-10), "Shift ArrowRight": () => step(10) }],
  ["Home, End", "first or last frame", { Home: () => end(false), End: () => end(true) }],
  ["n", "next recovered frame; with Shift the one before", { n: () => jump("recovered", 1), "Shift N": () => jump("recovered", -1) }],
  ["m", "next missed frame; with Shift the one before", { m: () => jump("missed", 1), "Shift M": () => jump("missed", -1) }],
  ["l", "next frame with low confidence; with Shift the one before", { l: () => jump("low confidence", 1), "Shift L": () => jump("low confidence", -1) }],
  ["x", "mark this frame, or no longer", { x: toggleMark }],
  ["e", "write a note; Enter saves it", { e: writeNote }],
  ["h", "heatmap on or off", { h: toggleHeat }],
  ["a", "average of all maps", { a: () => set({ map: "average" }) }, true],
  ["1 to 9, 0", "map of one of the ten parts", digits, true],
  ["g", "ten classes at once on the stage, or back", { g: toggleTen }, true],
  ["b", "boxes on or off", { b: toggleBoxes }],
  ["t", "truth on or off", { t: () => state.run.labelled && toggle("truth") }],
  ["z", "picture larger; with Shift the whole picture again", { z: () => zoomPicture(1.6), "Shift Z": fitPicture }],
  ["arrow keys", "in the enlarged picture (Tab goes to it): move it", {}], // by stage.js
  ["+, -", "fewer or more frames on the time line", { "+": () => zoomLine(1.6), "=": () => zoomLine(1.6), "-": () => zoomLine(1 / 1.6) }],
  ["?", "this help", { "?": openHelp }],
];
const HANDLERS = Object.assign({}, ...KEYS.map(([, , handlers]) => handlers));
const WRITING = "input:not([type=checkbox]):not([type=radio]):not([type=range]), textarea, select";
const MOVING = "input[type=range], input[type=radio], [role=listbox]"; // arrows are theirs

function openHelp() {
  if (byId("help").open) return;
  const known = KEYS.filter(([, , , ofParts]) => pair().parts || !ofParts);
  byId("help-keys").replaceChildren(...known.flatMap(([keys, words]) => [
    el("dt", {}, ...keys.split(/(, | or | to | \+ )/).map((part, k) => (k % 2 ? part : el("kbd", {}, part)))),
    el("dd", {}, words),
  ]));
  byId("help").showModal();
}

function pressed(event) {
  if (event.ctrlKey || event.altKey || event.metaKey || event.defaultPrevented) return;
  if (!state.cases || byId("help").open || event.target.matches?.(WRITING)) return;
  const named = event.key.length > 1;
  const arrow = named && event.key !== "Escape";
  if (arrow && event.target.matches?.(MOVING)) return;
  // on its own "?" needs Shift on most keyboards, "+" on some: signs are what they are
  const shift = event.shiftKey && (named || /[a-z]/i.test(event.key));
  const handler = HANDLERS[shift ? `Shift ${named ? event.key : event.key.toUpperCase()}` : letter(event.key)];
  if (!handler) return;
  event.preventDefault();
  handler();
}

// with Caps Lock on, letters are still the same keys
const letter = (key) => (key.length === 1 ? key.toLowerCase() : key);

/** Arrows in the list of frames go up and down. */
function pressedInList(event) {
  const by = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10 }[event.key];
  if (!by && event.key !== "Home" && event.key !== "End") return;
  event.preventDefault();
  if (by) step(by);
  else end(event.key === "End");
}

/** Begin. */
export function startKeys() {
  byId("help-open").addEventListener("click", openHelp);
  byId("list").addEventListener("keydown", pressedInList);
  document.addEventListener("keydown", pressed);
}
