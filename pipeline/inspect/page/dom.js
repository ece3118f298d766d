// Building elements and words, and reading the style sheet. All text goes in as text, never as
// HTML: names of files are whatever somebody called a file.

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

/** A score that may miss a threshold, exactly enough that it is seen to miss it. */
export function beside(value, threshold) {
  const missed = value < threshold && Number(score(value)) >= threshold;
  return missed ? (Math.floor(value * 1000) / 1000).toFixed(3) : score(value);
}

/** A threshold with all that it has, but at least two places. */
export function exactly(value) {
  const short = value.toFixed(2);
  return Number(short) === value ? short : String(Number(value.toFixed(4)));
}

/** 640 × 480 stays on one line. */
export const unbroken = (words) => String(words).replaceAll(" × ", "\u00a0×\u00a0");

/** 12345 -> 12,345. By hand: the browser's own way first reads all it knows of languages. */
export const many = (value) => String(value).replace(/\B(?=(\d{3})+$)/g, ",");

/** A colour or number of :root in style.css, for canvases: they have no style sheet. */
export const styled = (name) =>
  getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
