// Building elements and words. All text goes in as text, never as HTML: names of files are
// whatever somebody called a file.

export const byId = (id) => document.getElementById(id);

/** An element with attributes and children; attributes "on…" are listeners, null ones are left out. */
export function el(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** The same for SVG. */
export function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

/** The radio button of a group that is chosen. */
export const chosen = (name) => document.querySelector(`input[name="${name}"]:checked`)?.value;

/** Choose a radio button of a group. */
export function choose(name, value) {
  for (const one of document.querySelectorAll(`input[name="${name}"]`))
    one.checked = one.value === value;
}

/** Say something to everybody, screen readers too, without getting in the way. */
export function say(words, ...more) {
  const said = byId("said");
  said.replaceChildren(words, ...more);
  said.classList.add("fresh");
  clearTimeout(say.timer);
  say.timer = setTimeout(() => said.classList.remove("fresh"), more.length ? 12000 : 5000);
}

/** h:mm:ss; with tenths where they are asked for. */
export function clock(seconds, tenths = false) {
  if (seconds === null || Number.isNaN(seconds)) return "";
  const whole = Math.floor(seconds + 1e-6);
  const two = (value) => String(value).padStart(2, "0");
  const words = `${Math.floor(whole / 3600)}:${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`;
  return tenths ? `${words}.${Math.floor((seconds - whole + 1e-6) * 10)}` : words;
}

/** A score as it is written everywhere. */
export const score = (value) =>
  value === null || value === undefined || Number.isNaN(value) ? "–" : value.toFixed(2);

/** 12345 -> 12,345. */
export const many = (value) => value.toLocaleString("en");
