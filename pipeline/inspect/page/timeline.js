// The time line: what of it is seen, and what pointer, wheel and screen reader do with it.
// Hides zoom and pan; strips.js draws.

import { byId, clock, many, score, styled } from "uncover/dom";
import { go } from "uncover/frame";
import { OUTCOMES } from "uncover/outcomes";
import { eachPaint, on, pair, state } from "uncover/state";
import { drawColumns, drawLine, HIGH } from "uncover/strips";

const FEWEST = 12; // frames that fill the line
const LOW = 16; // pixels of the overview
const canvas = byId("line");
const overview = byId("overview");
const whole = document.createElement("canvas"); // the overview without its window
const view = { from: 0, to: 1 };
let line = null; // what strips.js draws
let stale = true; // the overview must be drawn anew

const count = () => state.cases?.count ?? 0;

/** See these frames, as far as there are so many. */
function see(from, to) {
  const span = Math.min(count(), Math.max(Math.min(FEWEST, count()), to - from));
  view.from = Math.max(0, Math.min(count() - span, from));
  view.to = view.from + span;
  paint();
}

function fitLine() {
  see(0, count());
}

/** Show fewer frames (factor over 1) around one of them. */
export function zoomLine(factor, around = state.frame + 0.5) {
  const kept = 1 / factor;
  see(around - (around - view.from) * kept, around + (view.to - around) * kept);
}

/** Move the line so that the frame that is looked at is seen. */
function follow() {
  const [span, at] = [view.to - view.from, state.frame + 0.5];
  const rim = Math.min(span * 0.05, 3);
  if (at < view.from + rim) see(at - span * 0.3, at + span * 0.7);
  else if (at > view.to - rim) see(at - span * 0.7, at + span * 0.3);
  paint();
}

const paint = eachPaint(() => {
  const width = canvas.clientWidth;
  if (!count() || !width) return;
  const ratio = devicePixelRatio;
  size(canvas, width, HIGH, ratio);
  line = { ...line, ...view, pen: canvas.getContext("2d"), width, ratio, frame: state.frame };
  drawLine(line);
  paintOverview(width, ratio);
});

function paintOverview(width, ratio) {
  const all = view.to - view.from >= count();
  overview.classList.toggle("all", all); // its place stays, else the picture would jump
  if (all) return;
  if (stale || whole.width !== Math.round(width * ratio)) {
    size(whole, width, LOW, ratio);
    drawColumns({ ...line, from: 0, to: count(), pen: whole.getContext("2d") }, [0, LOW], false);
    stale = false;
  }
  size(overview, width, LOW, ratio);
  const pen = overview.getContext("2d");
  pen.setTransform(1, 0, 0, 1, 0, 0);
  pen.clearRect(0, 0, overview.width, overview.height);
  pen.globalAlpha = 0.45;
  pen.drawImage(whole, 0, 0);
  pen.globalAlpha = 1;
  const left = (view.from / count()) * whole.width;
  const wide = Math.max(6 * ratio, ((view.to - view.from) / count()) * whole.width);
  pen.drawImage(whole, left, 0, wide, whole.height, left, 0, wide, whole.height);
  pen.strokeStyle = line.ink.cursor;
  pen.lineWidth = 2 * ratio;
  pen.strokeRect(left + ratio, ratio, wide - 2 * ratio, whole.height - 2 * ratio);
}

function size(one, width, height, ratio) {
  const [x, y] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (one.width !== x || one.height !== y) Object.assign(one, { width: x, height: y });
}

/** Colours and heights of the style sheet. */
function inks() {
  const { fontSize, fontFamily } = getComputedStyle(document.documentElement);
  return {
    track: styled("track"), text: styled("deck-ink"), soft: styled("deck-soft"), edge: styled("deck-edge"),
    dim: styled("deck-dim"), curve: styled("deck-curve"), cursor: styled("deck-cursor"), mark: styled("mark"),
    small: `${Math.round(parseFloat(fontSize) * 0.75)}px ${fontFamily}`,
    hues: OUTCOMES.map(styled), talls: OUTCOMES.map((name) => Number(styled(`${name}-tall`))), hatch: hatch(),
  };
}

/** Black is not seen on a dark ground: what could not be read is hatched. */
function hatch() {
  const tile = new OffscreenCanvas(6, 6);
  const pen = tile.getContext("2d");
  pen.fillStyle = styled("unreadable");
  pen.fillRect(0, 0, 6, 6);
  pen.strokeStyle = styled("hatch");
  pen.lineWidth = 1.6;
  pen.beginPath();
  for (const x of [-6, 0, 6]) {
    pen.moveTo(x, 6);
    pen.lineTo(x + 6, 0);
  }
  pen.stroke();
  return canvas.getContext("2d").createPattern(tile, "repeat");
}

/** Frames in a row that belong together. */
function stretches(cases, names) {
  const all = [];
  for (let i = 0; i < cases.count; i++)
    if (!i || cases.strip[i] !== cases.strip[i - 1]) all.push({ from: i, to: cases.count, name: names[cases.strip[i]] ?? "" });
  all.forEach((one, k) => {
    one.to = all[k + 1]?.from ?? cases.count;
    one.begin = cases.seconds[one.from];
    const long = cases.seconds[one.to - 1] - one.begin;
    one.rate = long > 0 ? (one.to - one.from - 1) / long : 0; // frames to a second; 0: unknown
  });
  return all;
}

const BLOCK = 64;

/**
 * Sums over frames, so that any stretch of the line is told in a few steps, however long. Made anew
 * when outcomes change, not when the line is moved.
 */
class Sums {
  constructor(result, mask) {
    const { outcome, confidence } = result;
    this.count = outcome.length;
    this.sums = OUTCOMES.map(() => new Uint32Array(this.count + 1));
    this.left = new Uint32Array(this.count + 1); // by the filter
    const [a, b, c, d, e] = this.sums; // a loop over five arrays would be half as fast
    for (let i = 0; i < this.count; i++) {
      const code = outcome[i];
      a[i + 1] = a[i] + (code === 0);
      b[i + 1] = b[i] + (code === 1);
      c[i + 1] = c[i] + (code === 2);
      d[i + 1] = d[i] + (code === 3);
      e[i + 1] = e[i] + (code === 4);
      this.left[i + 1] = this.left[i] + mask[i];
    }
    this.confidence = confidence;
    this.blocks(confidence);
  }

  blocks(confidence) {
    const blocks = Math.ceil(this.count / BLOCK);
    this.least = new Float32Array(blocks).fill(Infinity);
    this.most = new Float32Array(blocks).fill(-Infinity);
    for (let i = 0; i < this.count; i++) {
      const [value, block] = [confidence[i], (i / BLOCK) | 0];
      if (value < this.least[block]) this.least[block] = value;
      if (value > this.most[block]) this.most[block] = value;
    }
  }

  /** How many frames from i on, before j, have an outcome. */
  of(code, i, j) {
    return this.sums[code][j] - this.sums[code][i];
  }

  /** How many of them the filter leaves. */
  leftIn(i, j) {
    return this.left[j] - this.left[i];
  }

  /** The least and the highest confidence; Infinity, -Infinity: there is none. */
  range(i, j, into) {
    let [least, most] = [Infinity, -Infinity];
    while (i < j) {
      if (i % BLOCK === 0 && i + BLOCK <= j) {
        const block = i / BLOCK;
        if (this.least[block] < least) least = this.least[block];
        if (this.most[block] > most) most = this.most[block];
        i += BLOCK;
      } else {
        const value = this.confidence[i++];
        if (value < least) least = value;
        if (value > most) most = value;
      }
    }
    into[0] = least;
    into[1] = most;
  }
}

const HANDLES = {
  cases: () => ({ cases: state.cases, strips: stretches(state.cases, state.run.strips) }),
  result: () => ({
    result: state.result,
    thresholds: [[pair().called.toLowerCase(), state.conf], ...(pair().second ? [["stage 2", state.fallback]] : [])],
  }),
  left: () => ({ sums: new Sums(state.result, state.left.mask), mask: state.left.mask }),
  marked: () => ({ marks: [...state.marked.keys()].filter((i) => state.marked[i]) }),
};

function update(keys) {
  for (const [key, handle] of Object.entries(HANDLES)) if (keys.has(key)) line = { ...line, ...handle() };
  if (keys.has("cases") && view.to - view.from <= 1) fitLine();
  if (keys.has("left")) stale = true;
  tellSlider();
  paint();
}

/** What a screen reader says of the frame. */
function tellSlider() {
  canvas.setAttribute("aria-valuemin", 0);
  canvas.setAttribute("aria-valuemax", Math.max(0, count() - 1));
  canvas.setAttribute("aria-valuenow", state.frame);
  canvas.setAttribute("aria-valuetext", words(state.frame).filter(Boolean).join(", "));
}

function words(i) {
  const { cases, result } = state;
  const sure = result.confidence[i];
  return [
    `frame ${i}`, clock(cases.seconds[i], true), OUTCOMES[result.outcome[i]],
    Number.isNaN(sure) ? "" : `confidence ${score(sure)}`, state.marked[i] ? "marked" : "",
  ];
}

const frameAt = (x) => view.from + (x / canvas.clientWidth) * (view.to - view.from);

function showTip(event) {
  const tip = byId("tip");
  const [from, to] = [frameAt(event.offsetX), frameAt(event.offsetX + 1)];
  const i = Math.min(count() - 1, Math.floor(from));
  const here = Math.floor(to) - i;
  tip.hidden = i < 0;
  const shared = here > 1 ? [`${many(here)} frames in this column`] : [];
  const strip = state.run.strips[state.cases.strip[i]];
  tip.textContent = [strip, ...words(i), ...shared].filter(Boolean).join(" · ");
  const left = Math.max(4, Math.min(canvas.clientWidth - tip.offsetWidth - 4, event.offsetX - tip.offsetWidth / 2));
  tip.style.left = `${left}px`;
}

const fingers = new Map();
let drag = null;

function down(event) {
  if (event.button !== 0) return;
  canvas.setPointerCapture(event.pointerId);
  fingers.set(event.pointerId, event.offsetX);
  drag = { x: event.offsetX, view: { ...view }, moved: fingers.size > 1, spread: spread() };
}

function move(event) {
  if (!count()) return;
  if (!fingers.has(event.pointerId)) return showTip(event);
  fingers.set(event.pointerId, event.offsetX);
  byId("tip").hidden = true;
  if (fingers.size === 2 && drag.spread) {
    const now = spread();
    zoomLine(now.wide / drag.spread.wide, frameAt(now.middle));
    drag.spread = now;
  } else if (drag.moved || Math.abs(event.offsetX - drag.x) > 4) {
    drag.moved = true;
    canvas.classList.add("dragged");
    const by = ((drag.x - event.offsetX) / canvas.clientWidth) * (drag.view.to - drag.view.from);
    // all of it is seen already, nothing can be moved: the frame follows the pointer instead
    if (drag.view.to - drag.view.from >= count()) go(Math.floor(frameAt(event.offsetX)));
    else see(drag.view.from + by, drag.view.to + by);
  }
}

function up(event) {
  if (!fingers.delete(event.pointerId)) return;
  if (!drag.moved && event.type === "pointerup") go(Math.floor(frameAt(event.offsetX)));
  canvas.classList.remove("dragged");
  if (fingers.size) drag.moved = true;
}

/** Two fingers. */
function spread() {
  if (fingers.size !== 2) return null;
  const [a, b] = fingers.values();
  return { wide: Math.max(8, Math.abs(a - b)), middle: (a + b) / 2 };
}

function wheel(event) {
  event.preventDefault();
  const span = view.to - view.from;
  const across = event.shiftKey ? event.deltaY || event.deltaX : event.deltaX;
  if (Math.abs(across) > Math.abs(event.deltaY) || event.shiftKey) {
    const by = (across / canvas.clientWidth) * span;
    see(view.from + by, view.to + by);
  } else zoomLine(Math.exp(-event.deltaY * (event.ctrlKey ? 0.012 : 0.0025)), frameAt(event.offsetX));
}

function moveWindow(event) {
  if (!event.buttons) return;
  const middle = (event.offsetX / overview.clientWidth) * count();
  const half = (view.to - view.from) / 2;
  see(middle - half, middle + half);
}

/** Begin. */
export function startTimeline() {
  canvas.style.height = `${HIGH}px`;
  overview.style.height = `${LOW}px`;
  line = { ink: inks(), marks: [] };
  on("cases result left marked", update);
  on("frame", () => (tellSlider(), follow()));
  new ResizeObserver(paint).observe(canvas);
  addEventListener("theme", () => ((line.ink = inks()), (stale = true), paint()));
  const listeners = { pointerdown: down, pointermove: move, pointerup: up, pointercancel: up, dblclick: fitLine };
  for (const [name, listener] of Object.entries(listeners)) canvas.addEventListener(name, listener);
  canvas.addEventListener("wheel", wheel, { passive: false });
  canvas.addEventListener("pointerleave", () => (byId("tip").hidden = true));
  for (const name of ["pointerdown", "pointermove"]) overview.addEventListener(name, moveWindow);
  byId("line-in").addEventListener("click", () => zoomLine(1.6));
  byId("line-out").addEventListener("click", () => zoomLine(1 / 1.6));
  byId("line-fit").addEventListener("click", fitLine);
}
