// The frames that the filter leaves, as a list. Hides that only the rows that are seen exist.

import { picture } from "uncover/ask";
import { byId, clock, el, score } from "uncover/dom";
import { placeOf } from "uncover/filter";
import { OUTCOMES } from "uncover/messages";
import { go } from "uncover/moves";
import { afterPause, eachPaint } from "uncover/pace";
import { on, state } from "uncover/state";

const TALL = 56; // pixels of a row, as in style.css
const MORE = 3; // rows beyond what is seen
const THUMB = 160;
const box = byId("list");
const inner = el("div", { class: "rows", role: "presentation" });
const rows = new Map(); // by place

function makeRow(place) {
  const frame = state.left.frames[place];
  const number = state.cases.number[frame];
  const time = clock(state.cases.seconds[frame], true);
  const sure = el("span", { class: "sure" });
  const glyph = el("i", { class: "glyph" });
  const outcome = el("span");
  const flag = el("i", { class: "flag", role: "img", "aria-label": "marked", hidden: true });
  const note = el("span");
  const image = el("img", { alt: "", class: "thumb", draggable: "false" });
  const row = el("div", { class: "row", role: "option", id: `row-${place}`, "aria-posinset": place + 1, onclick: () => go(frame) },
    image,
    el("span", { class: "what" },
      el("span", { class: "title" }, glyph, outcome, " ", sure),
      el("span", { class: "soft small" }, [`frame ${frame}`, time || (number === null ? "" : `no. ${number}`)].filter(Boolean).join(" · "), note)),
    flag);
  row.style.transform = `translateY(${place * TALL}px)`;
  return { frame, row, image, sure, glyph, outcome, flag, note };
}

function fill(one) {
  const { frame } = one;
  const outcome = OUTCOMES[state.result.outcome[frame]];
  one.glyph.dataset.is = outcome;
  one.outcome.textContent = outcome;
  one.sure.textContent = score(state.result.confidence[frame]);
  one.flag.hidden = !state.marked[frame];
  const note = state.marks[state.cases.names[frame]]?.note;
  one.note.textContent = note ? ` · ${note}` : "";
  one.row.setAttribute("aria-selected", String(frame === state.frame));
}

const draw = eachPaint(() => {
  const { frames } = state.left ?? {};
  if (!frames) return;
  inner.style.height = `${frames.length * TALL}px`;
  const first = Math.max(0, Math.floor(box.scrollTop / TALL) - MORE);
  const last = Math.min(frames.length, Math.ceil((box.scrollTop + box.clientHeight) / TALL) + MORE);
  for (const [place, one] of rows)
    if (place < first || place >= last || frames[place] !== one.frame) {
      one.image.removeAttribute("src"); // what is still on its way need not come
      one.row.remove();
      rows.delete(place);
    }
  for (let place = first; place < last; place++) {
    if (!rows.has(place)) {
      rows.set(place, makeRow(place));
      inner.append(rows.get(place).row);
    }
    fill(rows.get(place));
    rows.get(place).row.setAttribute("aria-setsize", frames.length);
  }
  tellActive(frames);
  loadThumbs();
});

function tellActive(frames) {
  const place = placeOf(frames, state.frame);
  if (rows.has(place) && frames[place] === state.frame) box.setAttribute("aria-activedescendant", `row-${place}`);
  else box.removeAttribute("aria-activedescendant");
}

// rows that fly by while somebody scrolls need no picture
const loadThumbs = afterPause(90, () => {
  for (const one of rows.values())
    if (!one.image.hasAttribute("src")) one.image.src = picture(one.frame, THUMB);
});

/** Scroll so that the frame that is looked at is seen. */
function reveal() {
  const frames = state.left?.frames;
  if (!frames) return;
  inner.style.height = `${frames.length * TALL}px`; // else it cannot be scrolled so far yet
  const top = placeOf(frames, state.frame) * TALL;
  if (top < box.scrollTop) box.scrollTop = top;
  else if (top + TALL > box.scrollTop + box.clientHeight) box.scrollTop = top + TALL - box.clientHeight;
  draw();
}

/** Begin. */
export function startList() {
  box.append(inner);
  box.addEventListener("scroll", draw, { passive: true });
  new ResizeObserver(draw).observe(box);
  on("left result marked", draw);
  on("left frame", reveal);
}
