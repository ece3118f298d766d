// The only module that asks the server. On an exported page the same functions answer from
// <script type="application/json" id="embedded">, so nobody else knows which page it is.
// Hides addresses, what was answered lately, and telling people when nothing answers.

const KEPT = 60; // answers about frames and maps
const box = document.getElementById("embedded");
/** @type {?import("uncover/messages").Embedded} */
const embedded = box && JSON.parse(box.textContent);

/** Whether this page was exported: no server, no marks, no exports. */
export const exported = embedded !== null;
/** What was left out of an exported page. */
export const leftOut = embedded?.words ?? "";

let tell = (/** @type {?string} */ words) => words;
/** Call with words when a request fails, with null when one succeeds again. */
export function onTrouble(handler) {
  tell = handler;
}

async function fetched(path, init) {
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
  return body;
}

function fail(words) {
  tell(words);
  throw new Error(words);
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

export const ask = {
  /** @returns {Promise<import("uncover/messages").Run>} */
  run: async () => embedded?.run ?? fetched("api/run"),
  /** @returns {Promise<import("uncover/messages").Frames>} */
  frames: async (pair) => embedded?.frames[pair] ?? fetched(`api/frames?pair=${pair}`),
  /** @returns {Promise<import("uncover/messages").Frame>} */
  frame: async (index, pair) =>
    embedded?.frame[pair][index] ?? remembered(`api/frame/${index}?pair=${pair}`),
  /** @returns {Promise<import("uncover/messages").Maps>} */
  maps: async (index, pair, method, levels) =>
    embedded?.maps[index] ?? remembered(`api/maps/${index}?${query({ pair, ...drawn(method, levels) })}`),
  /** @returns {Promise<import("uncover/messages").Marks>} */
  marks: async () => embedded?.marks ?? fetched("api/marks"),
  /** @returns {Promise<import("uncover/messages").Marks>} */
  change: async (/** @type {import("uncover/messages").Change} */ change) =>
    fetched("api/marks", {
      method: "PUT",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(change),
    }),
};

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
const drawn = (method, levels) => (method ? { method, levels } : {});

function query(settings) {
  return new URLSearchParams(settings).toString();
}
