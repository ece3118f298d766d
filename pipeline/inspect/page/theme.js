// Light, dark, or as the system has it; remembered where the browser lets us.

import { choose } from "uncover/dom";

const KEY = "uncover theme";
const dark = matchMedia("(prefers-color-scheme: dark)");
let wanted = "auto";

function show() {
  const theme = wanted === "auto" ? (dark.matches ? "dark" : "light") : wanted;
  document.documentElement.dataset.theme = theme;
  dispatchEvent(new Event("theme")); // canvases have no style sheet
}

/** Begin. */
export function startTheme() {
  try {
    wanted = localStorage.getItem(KEY) ?? "auto";
  } catch {
    // a page from a file may not remember: it follows the system
  }
  choose("theme", wanted);
  for (const radio of document.querySelectorAll('input[name="theme"]'))
    radio.addEventListener("change", () => {
      wanted = radio.value;
      try {
        localStorage.setItem(KEY, wanted);
      } catch {
        // then it holds until the page is closed
      }
      show();
    });
  dark.addEventListener("change", show);
  show();
}
