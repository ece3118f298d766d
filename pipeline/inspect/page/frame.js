// Going from frame to frame, among those that the filter leaves. The frame that is wanted becomes
// the frame that is shown: its picture and its boxes together, so that no box ever lies on another
// frame's picture. Hides loading, and loading ahead.

import { ask, picture, pictureFailed } from "uncover/ask";
import { byId, many, say } from "uncover/dom";
import { MISSED, placeOf, RECOVERED } from "uncover/outcomes";
import { onMoved, panes, sheetWidth, showPicture, zoomed } from "uncover/stage";
import { afterPause, newest, on, set, state } from "uncover/state";

const SIDE = 1280; // of a picture that is not enlarged
const KEPT = 12; // pictures that stay decoded
const images = new Map();

/** To a frame, wherever it is. */
export function go(frame) {
  if (!state.cases?.count) return;
  set({ frame: Math.max(0, Math.min(state.cases.count - 1, Math.round(frame))) });
}

/** So many frames on, or back. */
export function step(by) {
  const frames = state.left?.frames;
  if (!frames?.length) return noneLeft();
  const place = placeOf(frames, state.frame);
  // a frame that is left out itself lies between two: on from there, the next is the one at `place`
  const between = frames[place] === state.frame ? 0 : by > 0 ? 1 : 0;
  const to = Math.max(0, Math.min(frames.length - 1, place + by - between));
  if (frames[to] === state.frame) say(by > 0 ? "This is the last frame." : "This is the first frame.");
  go(frames[to]);
}

/** To the first frame, or the last. */
export function end(last) {
  const frames = state.left?.frames;
  if (!frames?.length) return noneLeft();
  go(last ? frames[frames.length - 1] : frames[0]);
}

const KINDS = {
  recovered: (i) => state.result.outcome[i] === RECOVERED,
  missed: (i) => state.result.outcome[i] === MISSED,
  "low confidence": (i) => state.result.confidence[i] < state.low,
};

/** To the next frame of a kind, or the last one before. */
export function jump(kind, by) {
  const frames = state.left?.frames;
  if (!frames?.length) return noneLeft();
  const here = placeOf(frames, state.frame);
  const start = by > 0 ? here + (frames[here] === state.frame ? 1 : 0) : here - 1;
  for (let place = start; place >= 0 && place < frames.length; place += by)
    if (KINDS[kind](frames[place])) return go(frames[place]);
  say(`No ${kind} frame ${by > 0 ? "after" : "before"} frame ${many(state.frame)}${among()}.`);
}

function noneLeft() {
  say("No frame passes the filter.");
}

function among() {
  return state.left.frames.length < state.cases.count ? " among those that the filter leaves" : "";
}

/** A picture that is ready to be shown; null: it could not be had. */
function loaded(source) {
  const known = images.get(source);
  images.delete(source);
  const image = known ?? load(source);
  images.set(source, image);
  if (images.size > KEPT) images.delete(images.keys().next().value);
  return image;
}

async function load(source) {
  const image = new Image();
  image.src = source;
  try {
    await image.decode();
    return image;
  } catch {
    images.delete(source);
    return null;
  }
}

/** Fetch what a frame needs, and show it. */
const show = newest(async (index, pair) => {
  const [image, detail] = await Promise.all([
    loaded(picture(index, SIDE)),
    ask.frame(index, pair).catch(() => null), // people have been told
  ]);
  if (!image) pictureFailed();
  nothing(image ? "" : "This picture could not be loaded.");
  const size = detail?.size[0] ? detail.size : [image?.naturalWidth || 16, image?.naturalHeight || 9];
  const which = detail?.number ?? null;
  const name = detail ? detail.source + (which === null ? "" : `, its frame ${which}`) : "";
  if (image) showPicture(image.src, `Frame ${index}: ${name}`, size);
  else panes[0].plain.alt = `Frame ${index}: no picture`;
  set({ detail, image });
  document.documentElement.dataset.ready = "1";
  ahead();
});

/** Say in the place of the picture why there is none. */
export function nothing(words) {
  byId("nothing").textContent = words;
  byId("nothing").hidden = !words;
  byId("stage").classList.toggle("bare", Boolean(words));
  if (words) byId("desk").hidden = false;
}

/** The frames that probably come next. */
const ahead = afterPause(120, () => {
  const frames = state.left?.frames ?? [];
  const place = placeOf(frames, state.frame);
  for (const next of [place + 1, place + 2, place - 1]) {
    const index = frames[next];
    if (index === undefined) continue;
    loaded(picture(index, SIDE));
    ask.frame(index, state.pair).catch(() => null);
    if (state.map !== "off") ask.maps(index, state.pair, state.method, state.levels).catch(() => null);
  }
});

/** All of the picture's pixels, where they would be seen. */
const sharpen = afterPause(200, async () => {
  const { detail } = state;
  if (!zoomed() || !detail || Math.max(...detail.size) <= SIDE) return;
  if (sheetWidth() <= SIDE * 1.1) return;
  const source = picture(detail.index, 0);
  const image = await loaded(source);
  if (!image || state.detail !== detail) return;
  for (const pane of panes) for (const one of [pane.plain, pane.grey]) one.src = source;
});

/** Ask for a frame before anything else is known, so that it is here early; done when it is, or cannot be had. */
export function early(index, pair) {
  return Promise.allSettled([loaded(picture(index, SIDE)), ask.frame(index, pair)]);
}

/** Begin. */
export function startFrame() {
  on("frame pair cases", () => show(state.frame, state.pair));
  onMoved(sharpen);
}
