// The only module that asks the server. The page carries the run, an exported one all that can be
// asked, in <script type="application/json" id="embedded">: nobody else knows which page it is.
// Hides addresses, what was answered lately, and telling people when nothing answers.
// All that is said either way is described in pipeline/inspect/messages.py.

const KEPT = 60; // answers about frames and maps
const MARKS = "api/marks";
const carried = JSON.parse(document.getElementById("embedded").textContent);
const embedded = carried.frames ? carried : null;

/** Whether this page was exported: no server, no marks, no exports. */
export const exported = embedded !== null;
/** What was left out of an exported page. */
export const leftOut = embedded?.words ?? "";

let say = (/** @type {?string} */ words) => words;
const troubles = new Map(); // what is wrong, by what it is wrong with
/** What is wrong about something; null: nothing any more. */
function tell(words, about = "") {
  if (words) troubles.set(about, words);
  else troubles.delete(about);
  say([...new Set(troubles.values())].join(" ") || null);
}
/** Call with words when a request fails, with null when one succeeds again. */
export function onTrouble(handler) {
  say = handler;
}

async function fetched(path, init) {
  const marks = path === MARKS;
  const about = marks && !init ? MARKS : ""; // unread marks are a trouble that stays
  const fail = (words) => {
    tell(words, about);
    throw new Error(words);
  };
  let answer, body;
  try {
    answer = await fetch(path, init);
    body = await answer.json().catch(() => null);
  } catch {
    return fail("The server does not answer. Is “uncover inspect” still running?");
  }
  if (!answer.ok) return fail(body?.error ?? `The server answered ${answer.status} to ${path}.`);
  if (body === null) return fail(`The server's answer to ${path} is not JSON.`);
  tell(null);
  if (marks) tell(null, MARKS);
  return body;
}

const answers = new Map();
/** The same question twice is asked once; the oldest answer makes room. */
function remembered(path) {
  let answer = answers.get(path);
  answers.delete(path);
  if (!answer) {
    answer = fetched(path);
    answer.catch(() => answers.delete(path)); // the next one may ask again
  }
  answers.set(path, answer);
  if (answers.size > KEPT) answers.delete(answers.keys().next().value);
  return answer;
}

/** What the page is about. */
export function theRun() {
  if (!carried.trouble) return carried.run;
  tell(carried.trouble);
  throw new Error(carried.trouble);
}

export const ask = {
  frames: async (pair) => embedded?.frames[pair] ?? fetched(`api/frames?pair=${pair}`),
  frame: async (index, pair) =>
    embedded?.frame[pair][index] ?? remembered(`api/frame/${index}?pair=${pair}`),
  maps: async (index, pair, method, levels) =>
    embedded ? embeddedMaps(index, pair) : remembered(`api/maps/${index}?${query({ pair, ...drawn(method, levels) })}`),
  marks: async () => embedded?.marks ?? fetched(MARKS),
  change: async (change) =>
    fetched(MARKS, {
      method: "PUT",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(change),
    }),
};

/** An exported page has those of the first detectors only. */
function embeddedMaps(index, pair) {
  if (pair === 0) return embedded.maps[index];
  const words = "the exported page holds no heatmaps of these detectors";
  const none = { width: 0, height: 0, place: [0, 0, 1, 1], best: {}, weak: [], stack: "", average: "" };
  return { index, method: "", levels: [], saved: false, words, ...none };
}

/** The address of a frame's picture; side 0 is its full size. */
export function picture(index, side) {
  return embedded ? embedded.pictures[index] : `picture/${index}?side=${side}`;
}

/** The address of an export of the marked frames. */
export function gathered(file, settings) {
  return `gather/${file}?${query(settings)}`;
}

/** A picture could not be had. Only a server that is gone does that: it explains all else. */
export function pictureFailed() {
  tell("A picture could not be loaded. Is “uncover inspect” still running?");
}

/** Without a method it is what was saved, and that has the levels that it has. */
const drawn = (method, levels) => (!method ? {} : levels ? { method, levels } : { method });

function query(settings) {
  return new URLSearchParams(settings).toString();
}
