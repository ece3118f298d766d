// Going from frame to frame, among those that the filter leaves.

import { many, say } from "uncover/dom";
import { placeOf } from "uncover/filter";
import { MISSED, RECOVERED } from "uncover/messages";
import { set, state } from "uncover/state";

/** To a frame, wherever it is. */
export function go(frame) {
  if (!state.cases?.count) return;
  set({ frame: Math.max(0, Math.min(state.cases.count - 1, Math.round(frame))) });
}

/** So many frames on, or back. */
export function step(by) {
  const frames = state.left?.frames;
  if (!frames?.length) return nothing();
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
  if (!frames?.length) return nothing();
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
  if (!frames?.length) return nothing();
  const here = placeOf(frames, state.frame);
  const start = by > 0 ? here + (frames[here] === state.frame ? 1 : 0) : here - 1;
  for (let place = start; place >= 0 && place < frames.length; place += by)
    if (KINDS[kind](frames[place])) return go(frames[place]);
  say(`No ${kind} frame ${by > 0 ? "after" : "before"} frame ${many(state.frame)}${among()}.`);
}

function nothing() {
  say("No frame passes the filter.");
}

function among() {
  return state.left.frames.length < state.cases.count ? " among those that the filter leaves" : "";
}
