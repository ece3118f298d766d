// Drawing the time line: names, outcomes, confidence, times. Hides pixels; timeline.js says what
// of the line is seen. Where many frames share a column, the shares of their outcomes are stacked.

import { clock, many } from "uncover/dom";
import { FOUND, HELD, MISSED, OUTCOMES, RECOVERED, UNREADABLE } from "uncover/outcomes";

const STACK = [FOUND, HELD, RECOVERED, UNREADABLE, MISSED]; // from below; what matters is on top
const ROWS = { names: [0, 20], flags: [20, 9], bars: [30, 46], curve: [82, 44], times: [128, 20] };
export const HIGH = 148;

/**
 * What is drawn.
 * @typedef {object} Line
 * @property {CanvasRenderingContext2D} pen
 * @property {number} width in pixels of the page
 * @property {number} ratio pixels of the screen to one of the page
 * @property {number} from the first frame that is seen; parts of frames count
 * @property {number} to
 * @property {object} sums of timeline.js
 * @property {import("uncover/outcomes").Cases} cases
 * @property {import("uncover/outcomes").Result} result
 * @property {Uint8Array} mask
 * @property {number[]} marks frames, in order
 * @property {{from: number, to: number, name: string, rate: number}[]} strips
 * @property {[string, number][]} thresholds each with whose it is
 * @property {number} frame
 * @property {object} ink colours and heights of the style sheet
 */

/** Where a frame begins. */
const xOf = (line, frame) => ((frame - line.from) / (line.to - line.from)) * line.width;

/** Draw all of it. */
export function drawLine(/** @type {Line} */ line) {
  const { pen, ratio, width } = line;
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, HIGH);
  drawGround(line);
  if (width / (line.to - line.from) >= 1.5) drawFrames(line);
  else drawColumns(line, ROWS.bars, true);
  drawThresholds(line);
  drawStrips(line);
  drawTimes(line);
  drawMarks(line);
  drawCursor(line);
}

function drawGround({ pen, width, ink }) {
  pen.fillStyle = ink.track;
  pen.fillRect(0, ...place(ROWS.bars, width));
  pen.fillRect(0, ...place(ROWS.curve, width));
}

const place = ([top, high], width) => [top, width, high];

/** Each frame a bar of its own. */
function drawFrames(line) {
  const { pen, result, mask } = line;
  const [top, high] = ROWS.bars;
  const [first, last] = seen(line);
  const wide = line.width / (line.to - line.from);
  const gap = wide > 5 ? 1 : 0;
  for (const code of STACK) {
    pen.fillStyle = paintOf(line, code);
    for (let i = first; i < last; i++) {
      if (result.outcome[i] !== code) continue;
      const tall = high * line.ink.talls[code];
      pen.globalAlpha = mask[i] ? 1 : 0.22;
      pen.fillRect(xOf(line, i), top + high - tall, wide - gap, tall);
    }
  }
  const [base, range] = ROWS.curve;
  pen.fillStyle = line.ink.curve;
  for (let i = first; i < last; i++) {
    const value = result.confidence[i];
    if (Number.isNaN(value)) continue;
    pen.globalAlpha = mask[i] ? 1 : 0.3;
    const y = base + range * (1 - value);
    pen.fillRect(xOf(line, i), Math.min(y, base + range - 2), Math.max(1, wide - gap), 2);
    pen.globalAlpha *= 0.22;
    pen.fillRect(xOf(line, i), y, Math.max(1, wide - gap), base + range - y);
  }
  pen.globalAlpha = 1;
}

/** Each column of pixels the shares of its frames. */
export function drawColumns(line, rows, withCurve) {
  const { pen, ratio, sums } = line;
  const columns = Math.round(line.width * ratio);
  const per = (line.to - line.from) / columns; // frames to a column
  const shift = Math.round(line.from / per); // whole columns: else they shimmer while it is moved
  const heights = new Float32Array(columns * OUTCOMES.length);
  const bounds = new Uint32Array(columns + 1);
  for (let c = 0; c <= columns; c++)
    bounds[c] = Math.max(0, Math.min(sums.count, Math.floor((c + shift) * per)));
  for (let c = 0; c < columns; c++)
    share(sums, bounds[c], Math.max(bounds[c + 1], bounds[c] + 1), rows[1], heights, c);
  pen.setTransform(1, 0, 0, ratio, 0, 0);
  drawStacks(line, rows, columns, heights);
  if (withCurve) drawBand(line, columns, bounds);
  pen.fillStyle = line.ink.dim;
  for (let c = 0; c < columns; c++)
    if (!sums.leftIn(bounds[c], Math.min(sums.count, Math.max(bounds[c + 1], bounds[c] + 1))))
      pen.fillRect(c, rows[0], 1, rows[1]);
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
}

/** How high each outcome stands in a column: by its share, but never too small to be seen. */
function share(sums, from, to, high, heights, column) {
  if (to > sums.count) return;
  let [sum, largest] = [0, 0];
  for (let code = 0; code < OUTCOMES.length; code++) {
    const part = sums.of(code, from, to) / (to - from);
    const at = column * OUTCOMES.length + code;
    heights[at] = part ? Math.max(2.5, part * high) : 0;
    sum += heights[at];
    if (heights[at] > heights[column * OUTCOMES.length + largest]) largest = code;
  }
  heights[column * OUTCOMES.length + largest] += high - sum;
}

function drawStacks(line, [top, high], columns, heights) {
  const below = new Float32Array(columns);
  for (const code of STACK) {
    line.pen.fillStyle = paintOf(line, code);
    for (let c = 0; c < columns; c++) {
      const tall = heights[c * OUTCOMES.length + code];
      if (!tall) continue;
      below[c] += tall;
      line.pen.fillRect(c, top + high - below[c], 1, tall);
    }
  }
}

/** From the least to the highest confidence of each column. */
function drawBand(line, columns, bounds) {
  const [top, high] = ROWS.curve;
  const range = [0, 0];
  line.pen.fillStyle = line.ink.curve;
  for (let c = 0; c < columns; c++) {
    const to = Math.min(line.sums.count, Math.max(bounds[c + 1], bounds[c] + 1));
    line.sums.range(bounds[c], to, range);
    if (range[1] < range[0]) continue;
    const y = top + high * (1 - range[1]);
    line.pen.fillRect(c, y, 1, Math.max(1.5, high * (range[1] - range[0])));
  }
}

const paintOf = ({ ink }, code) => (code === UNREADABLE ? ink.hatch : ink.hues[code]);

function drawThresholds({ pen, width, thresholds, ink }) {
  const [top, high] = ROWS.curve;
  let right = width - 6; // their words stand side by side, because they may be equal
  thresholds.forEach(([whose, value], stage) => {
    const y = Math.round(top + high * (1 - value)) + 0.5;
    pen.strokeStyle = ink.hues[stage ? RECOVERED : FOUND];
    pen.setLineDash(stage ? [9, 6] : []);
    stroke(pen, 0, y, width, y);
    pen.setLineDash([]);
    pen.font = ink.small;
    pen.textAlign = "right";
    const words = `${whose}: ${value.toFixed(2)}`;
    const wide = pen.measureText(words).width;
    pen.fillStyle = ink.track;
    pen.fillRect(right - wide - 3, y - 7, wide + 6, 14);
    pen.fillStyle = ink.hues[stage ? RECOVERED : FOUND];
    pen.fillText(words, right, y + 4);
    right -= wide + 12;
  });
}

function drawStrips(line) {
  const { pen, ink } = line;
  pen.font = ink.small;
  pen.textAlign = "left";
  let free = -Infinity; // where the last name ended
  for (const strip of visible(line)) {
    const [left, right] = [xOf(line, strip.from), xOf(line, strip.to)];
    if (right - left > 4 && left > 0) {
      pen.strokeStyle = ink.edge;
      stroke(pen, Math.round(left) + 0.5, 0, Math.round(left) + 0.5, ROWS.curve[0] + ROWS.curve[1]);
    }
    const from = Math.max(left, 0) + 6;
    const room = Math.min(right, line.width) - from - 6;
    if (room < 24 || from < free) continue;
    pen.fillStyle = ink.text;
    pen.fillText(shortened(pen, strip.name, room), from, 14);
    free = from + room;
  }
}

/** The strips that are seen; there may be thousands, so they are searched, not walked. */
function visible({ strips, from, to }) {
  let [low, high] = [0, strips.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (strips[middle].to <= from) low = middle + 1;
    else high = middle;
  }
  let end = low;
  while (end < strips.length && strips[end].from < to) end++;
  return strips.slice(low, end);
}

/** The end of a name tells more than its beginning. */
function shortened(pen, name, room) {
  if (pen.measureText(name).width <= room) return name;
  const letters = Math.max(1, Math.floor((room / pen.measureText(name).width) * name.length) - 1);
  return `…${name.slice(-letters)}`;
}

const SECONDS = [0.1, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400];

function drawTimes(line) {
  const { pen, ink, width } = line;
  pen.font = ink.small;
  pen.textAlign = "left";
  const wide = width / (line.to - line.from);
  for (const strip of visible(line)) {
    const frames = 96 / wide; // between two words
    const timed = strip.rate > 0;
    const wanted = timed ? frames / strip.rate : frames;
    const step = timed ? SECONDS.find((one) => one >= wanted) ?? 28800 : round125(wanted);
    const end = Math.min(strip.to, line.to);
    const from = Math.max(strip.from, line.from);
    const each = timed ? step * strip.rate : step;
    if ((strip.to - strip.from) * wide < 60) continue;
    for (let k = Math.ceil((from - strip.from) / each - 1e-9); ; k++) {
      const frame = strip.from + k * each;
      if (frame >= end) break;
      const x = xOf(line, frame);
      if (x + 50 > xOf(line, strip.to)) break;
      pen.fillStyle = ink.edge;
      pen.fillRect(Math.round(x), ROWS.times[0], 1, 5);
      pen.fillStyle = ink.soft;
      const at = Math.round(frame);
      const words = timed ? clock(strip.begin + k * step, step < 1) : many(line.cases.number[at] ?? at);
      pen.fillText(words, Math.round(x) + 4, ROWS.times[0] + 14);
    }
  }
}

function round125(value) {
  const ten = 10 ** Math.floor(Math.log10(Math.max(1, value)));
  return Math.max(1, [1, 2, 5, 10].find((one) => one * ten >= value) * ten);
}

function drawMarks(line) {
  const { pen, ink } = line;
  const wide = line.width / (line.to - line.from);
  pen.fillStyle = ink.mark;
  let last = -Infinity;
  for (const frame of line.marks) {
    const x = Math.round(xOf(line, frame) + wide / 2);
    if (x < -8 || x > line.width + 8 || x === last) continue;
    last = x;
    pen.beginPath();
    pen.moveTo(x - 5, ROWS.flags[0]);
    pen.lineTo(x + 5, ROWS.flags[0]);
    pen.lineTo(x, ROWS.flags[0] + 8);
    pen.fill();
  }
}

function drawCursor(line) {
  const { pen, ink } = line;
  const wide = line.width / (line.to - line.from);
  const left = xOf(line, line.frame);
  const bottom = ROWS.curve[0] + ROWS.curve[1];
  if (wide >= 4) {
    pen.strokeStyle = ink.cursor;
    pen.lineWidth = 2;
    pen.strokeRect(left - 1, ROWS.bars[0] - 2, wide + 1, bottom - ROWS.bars[0] + 3);
    pen.lineWidth = 1;
    return;
  }
  const x = Math.round(left + wide / 2);
  pen.fillStyle = ink.track;
  pen.fillRect(x - 2, ROWS.flags[0], 5, bottom - ROWS.flags[0]);
  pen.fillStyle = ink.cursor;
  pen.fillRect(x - 1, ROWS.flags[0], 3, bottom - ROWS.flags[0]);
}

/** The frames that are at least partly seen. */
const seen = ({ from, to, cases }) => [Math.max(0, Math.floor(from)), Math.min(cases.count, Math.ceil(to))];

function stroke(pen, x1, y1, x2, y2) {
  pen.beginPath();
  pen.moveTo(x1, y1);
  pen.lineTo(x2, y2);
  pen.stroke();
}
