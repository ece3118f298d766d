// The one store: what is looked at, and what follows from it. Views listen, each at its own pace,
// and change it by set(). Hides in which order things follow: thresholds -> outcomes -> the frames
// that the filter leaves. Run, Frame, Maps and Mark are those of pipeline/inspect/messages.py.

import { decide, flatten, leftBy, NO_FILTER } from "uncover/outcomes";

/** The layout that shows all parts at once. */
export const TEN = "ten classes";

export const state = {
  run: null, // Run
  pair: 0, // number of the detectors
  /** @type {import("uncover/outcomes").Cases} */
  cases: null,
  conf: 0, // thresholds of the two stages
  fallback: 0,
  /** @type {import("uncover/outcomes").Result} */
  result: null,
  filter: { ...NO_FILTER },
  /** @type {{mask: Uint8Array, frames: Uint32Array, unsure: number}} */
  left: null, // by the filter
  marks: {}, // Mark by name; an older run may have left names that are no frames of this one
  marked: new Uint8Array(0), // the same by frame
  marksLost: false, // they could not be read

  frame: 0, // the one that is wanted
  detail: null, // Frame, the one that is shown; it follows when picture and boxes are here
  maps: null, // Maps of the frame that is shown
  image: null, // its picture
  drawing: false, // maps are on their way

  show: { first: true, second: true, parts: true, under: false, truth: true },
  map: "off", // or "average", or a part
  method: "", // as saved, else the usual
  levels: "", // all inputs of the head, or the number of one
  opacity: 0.8,
  layout: "overlay",
  wipe: 0.5,
  oneScale: true,
  low: 0.5, // under it confidence is low
};

const listeners = [];
let changed = null; // while listeners are called

/** Call when any of the keys (words with blanks between) has changed. */
export function on(keys, listener) {
  listeners.push({ keys: keys.split(" "), listener });
}

/** Change some keys; listeners are called before it returns, each once. */
export function set(changes) {
  const keys = Object.keys(changes).filter((key) => state[key] !== changes[key]);
  if (!keys.length) return;
  Object.assign(state, changes);
  if (changed) {
    for (const key of keys) changed.add(key);
    return;
  }
  changed = new Set(keys);
  while (changed.size) {
    follow(changed);
    const now = changed;
    changed = new Set();
    for (const { keys, listener } of listeners)
      if (keys.some((key) => now.has(key))) listener(now);
  }
  changed = null;
}

/** What follows from what has changed. */
function follow(keys) {
  const any = (...names) => state.cases && names.some((name) => keys.has(name));
  if (any("cases", "conf", "fallback")) {
    state.result = decide(state.cases, { faces: mostFaces(), hold: state.run.hold }, Boolean(pair().second), thresholds());
    keys.add("result");
  }
  if (any("cases", "marks")) {
    state.marked = Uint8Array.from(state.cases.names, (name) => (Object.hasOwn(state.marks, name) ? 1 : 0));
    keys.add("marked");
  }
  if (any("filter", "result", "marked")) {
    const { cases, result, marked, filter } = state;
    state.left = leftBy(filter, cases, result, marked);
    keys.add("left");
  }
}

/** Changes for set() that make these the frames that are looked at. */
export function framesOf(frames) {
  return { cases: flatten(frames, state.run.outcomes) };
}

/** The detectors that are looked at. */
export const pair = () => state.run.pairs[state.pair];

/** Of what somebody wants to see, what a pair has; of what it has not, the usual. */
export function fitting(pair, { map, method, levels, layout }) {
  return {
    map: pair.parts || partOf(map) < 0 ? map : "average",
    method: pair.undrawn ? "" : method,
    levels: pair.levels[levels] ? levels : "",
    layout: pair.parts || layout !== TEN ? layout : "overlay",
  };
}

/** So many faces are looked for in each frame. */
export const mostFaces = () => pair().faces ?? Infinity;

export const thresholds = () => ({ conf: state.conf, fallback: state.fallback });

/** A map by its number in the run's parts; -1 is the average. */
export const partOf = (map) => state.run.parts.indexOf(map);

/** Run at the next paint, however often it is called before. */
export function eachPaint(work) {
  let waiting = false;
  return () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      work();
    });
  };
}

/**
 * One at a time, always the newest: wishes that come meanwhile replace each other. So a key that
 * is kept down shows frames as fast as they come, and leaves no queue behind.
 */
export function newest(work) {
  let busy = false;
  let next = null;
  return async (...wish) => {
    next = wish;
    if (busy) return;
    busy = true;
    while (next) {
      const now = next;
      next = null;
      try {
        await work(...now);
      } catch (error) {
        console.debug(error); // ask.js has told people
      }
    }
    busy = false;
  };
}

/** Run once nobody has called for some milliseconds. */
export function afterPause(ms, work) {
  let timer = 0;
  return (...args) => {
    clearTimeout(timer);
    timer = setTimeout(() => work(...args), ms);
  };
}
