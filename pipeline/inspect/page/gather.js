// Marks, notes, and taking the marked frames along. Marks lie on the server; here is a copy.

import { ask, exported, gathered } from "uncover/ask";
import { byId, el, many, say } from "uncover/dom";
import { on, pair, set, state } from "uncover/state";

const nameOf = (frame) => state.cases.names[frame];
let noting = null; // the name of the frame that a note is being written for

/** Mark frames, or not; says nothing itself. */
async function change(names, marked, note = null) {
  if (exported || !names.length) return false;
  try {
    set({ marks: (await ask.change({ names, marked, note })).marks, marksLost: false });
    return true;
  } catch {
    show(); // people have been told; what is shown goes back to what is so
    return false;
  }
}

/** Mark the frame that is looked at, or no longer. */
export async function toggleMark() {
  if (exported) return say("Marks need the server: this page was exported.");
  if (!state.cases?.count) return;
  const [frame, marked] = [state.frame, !state.marked[state.frame]];
  if (await change([nameOf(frame)], marked)) say(`Frame ${frame} ${marked ? "marked" : "no longer marked"}.`);
}

export function writeNote() {
  if (exported) return say("Notes need the server: this page was exported.");
  byId("note").focus();
}

async function saveNote() {
  const name = noting;
  const note = byId("note").value.trim();
  if (name === null || note === (state.marks[name]?.note ?? "")) return;
  if (await change([name], true, note)) say(note ? "Note saved, frame marked." : "Note removed.");
}

async function markAll() {
  const names = Array.from(state.left.frames).filter((frame) => !state.marked[frame]).map(nameOf);
  if (!names.length) return say("All that are shown are marked already.");
  if (await change(names, true)) say(`${many(names.length)} frames marked. `, undo(() => change(names, false)));
}

async function unmarkAll() {
  const before = state.marks;
  const names = state.cases.names.filter((_, frame) => state.marked[frame]); // of an older run more may be there
  if (await change(names, false)) say(`${many(names.length)} marks removed. `, undo(() => restore(before, names)));
}

/** Mark again as it was, with the notes; false: it stopped where it failed. */
async function restore(marks, names) {
  const byNote = new Map();
  for (const name of names) {
    const { note } = marks[name];
    if (!byNote.has(note)) byNote.set(note, []);
    byNote.get(note).push(name);
  }
  for (const [note, same] of byNote) if (!(await change(same, true, note))) return false;
  return true;
}

const undo = (work) =>
  el("button", { type: "button", class: "plain", onclick: async () =>
    say((await work()) ? "As it was." : "Not all could be undone: the server did not answer as it should.") }, "Undo");

function show() {
  if (!state.cases?.count) return;
  const count = state.marked.reduce((sum, one) => sum + one, 0);
  byId("marked-count").textContent = state.marksLost ? "unknown" : many(count);
  const stale = Object.keys(state.marks).length - count;
  byId("stale").hidden = !stale;
  byId("stale").textContent = `and ${many(stale)} of frames that this run does not have`;
  byId("mark").checked = Boolean(state.marked[state.frame]);
  if (document.activeElement !== byId("note")) byId("note").value = state.marks[nameOf(state.frame)]?.note ?? "";
  byId("unmark-all").disabled = !count;
  if (!exported) showDownloads(count);
}

function showDownloads(count) {
  const settings = { pair: state.pair, conf: state.conf, fallback_conf: state.fallback };
  const files = {
    "get-list": ["list.csv", settings],
    "get-coco": ["coco.json", settings],
    "get-yolo": ["yolo.zip", { ...settings, labels: byId("labels").value }],
  };
  for (const [id, [file, more]] of Object.entries(files)) {
    const link = byId(id);
    if (count) link.href = gathered(file, more);
    else link.removeAttribute("href"); // its role keeps it a link
    link.setAttribute("aria-disabled", String(!count));
    link.title = count ? "" : "Nothing is marked yet";
  }
  byId("gather-words").textContent = count
    ? `Boxes as believed at these thresholds, of ${many(count)} ${count === 1 ? "frame" : "frames"}.`
    : state.marksLost ? "The marks could not be read."
    : "Nothing is marked yet: mark frames with the key x, then take them along.";
}

/** Who knows no parts has none to give. */
function showPair() {
  const { parts } = pair();
  byId("labels-field").hidden = !parts;
  if (!parts) byId("labels").value = "face";
}

/** Begin. */
export function startGather() {
  byId("mark-tools").hidden = byId("gather-tools").hidden = exported;
  byId("no-marks").hidden = !exported;
  byId("blurred").hidden = !state.run.anonymized;
  byId("no-marks").textContent = "This page was exported: marks are shown as they were. To mark and export frames, open the run with “uncover inspect”.";
  byId("mark").addEventListener("change", toggleMark);
  const note = byId("note");
  note.addEventListener("focus", () => (noting = state.cases ? nameOf(state.frame) : null));
  note.addEventListener("blur", () => (saveNote(), (noting = null), show()));
  note.addEventListener("keydown", (event) => {
    if (event.key === "Escape") note.value = state.marks[noting]?.note ?? "";
    if (event.key === "Enter" || event.key === "Escape") note.blur(); // which saves
  });
  byId("mark-all").addEventListener("click", markAll);
  byId("unmark-all").addEventListener("click", unmarkAll);
  byId("labels").addEventListener("change", show);
  on("cases", showPair);
  on("frame marked marksLost result", show);
  showPair();
}
