// Marks, notes, and taking the marked frames along. Marks lie on the server; here is a copy.

import { ask, exported, gathered } from "uncover/ask";
import { byId, el, many, say } from "uncover/dom";
import { on, set, state } from "uncover/state";

const nameOf = (frame) => state.cases.names[frame];
let noting = null; // the name of the frame that a note is being written for

/** Mark frames, or not; says nothing itself. */
async function change(names, marked, note = null) {
  if (exported || !names.length) return false;
  try {
    set({ marks: (await ask.change({ names, marked, note })).marks });
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
  const names = Array.from(state.left.frames, nameOf).filter((name) => !state.marks[name]);
  if (!names.length) return say("All that are shown are marked already.");
  if (await change(names, true)) say(`${many(names.length)} frames marked. `, undo(() => change(names, false)));
}

async function unmarkAll() {
  const before = state.marks;
  const names = Object.keys(before);
  if (await change(names, false)) say(`${many(names.length)} marks removed. `, undo(() => restore(before)));
}

/** Mark again as it was, with the notes. */
async function restore(marks) {
  const byNote = Map.groupBy
    ? Map.groupBy(Object.keys(marks), (name) => marks[name].note)
    : new Map(Object.keys(marks).map((name) => [marks[name].note + "\n" + name, [name]]));
  for (const names of byNote.values()) await change(names, true, marks[names[0]].note);
}

const undo = (work) => el("button", { type: "button", class: "plain", onclick: async () => (await work(), say("As it was.")) }, "Undo");

function show() {
  if (!state.cases?.count) return;
  const count = Object.keys(state.marks).length;
  byId("marked-count").textContent = many(count);
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
    else link.removeAttribute("href");
    link.toggleAttribute("role", false);
    if (!count) link.setAttribute("role", "link"); // without an address it would not be one
    link.setAttribute("aria-disabled", String(!count));
    link.title = count ? "" : "Nothing is marked yet";
  }
  byId("gather-words").textContent = count
    ? `Boxes as believed at these thresholds, of ${many(count)} ${count === 1 ? "frame" : "frames"}.`
    : "Nothing is marked yet: mark frames with the key x, then take them along.";
}

/** Begin. */
export function startGather() {
  byId("mark-tools").hidden = byId("gather-tools").hidden = exported;
  byId("no-marks").hidden = !exported;
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
  on("frame marked result", show);
}
