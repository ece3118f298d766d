// What the server says, as JSDoc types: ../messages.py is the contract, this is its shadow.
// Hides nothing; every other module may import the names of the outcomes from here.

/** In the order of the run's codes as this page numbers them. */
export const OUTCOMES = ["found", "recovered", "held", "missed", "unreadable"];
export const [FOUND, RECOVERED, HELD, MISSED, UNREADABLE] = OUTCOMES.keys();

/** Colours of Okabe and Ito, as in the annotated videos (pipeline/annotate.py). */
export const COLOURS = ["#56b4e9", "#f0b41e", "#cc79a7", "#d55e00", "#000000"];

/** The height of a frame's bar on the time line, so that nobody needs the colours. */
export const HEIGHTS = [0.5, 0.76, 0.3, 1, 1];

/**
 * @typedef {{name: string, first: string, second: ?string, conf: number, fallback_conf: number,
 *   floor: number, fallback_floor: number}} Pair
 * @typedef {{name: string, words: string}} Method
 * @typedef {{name: string, command: string, folder: string, frames: number, complete: boolean,
 *   warnings: string[], settings: Object<string, string>, strips: string[], outcomes: string[],
 *   levels: string[], parts: string[], pairs: Pair[], faces: number, hold: number, same: number,
 *   labelled: boolean, methods: Method[], undrawn: string, anonymized: boolean,
 *   colours: string}} Run
 * @typedef {{first: number[], second: ?number[], same: number[][], truths: ?number,
 *   hits: number[][][], fallback_hits: number[][][]}} Case
 * @typedef {{name: string[], strip: number[], number: number[], seconds: (?number)[],
 *   outcome: number[], level: number[], weak: boolean[], case: Case[]}} Frames
 * @typedef {{box: number[], score: number}} Scored
 * @typedef {{box: number[], score: number, part: number}} Part
 * @typedef {{index: number, name: string, source: string, number: number, seconds: ?number,
 *   size: number[], reason: string, first: Scored[], second: ?Scored[], parts: Part[],
 *   best: Object<string, number>, truth: number[][], facts: Object<string, string>,
 *   ms: Object<string, number>}} Frame
 * @typedef {{index: number, method: string, levels: number[], saved: boolean, words: string,
 *   width: number, height: number, place: number[], best: Object<string, number>,
 *   weak: string[], stack: string, average: string}} Maps
 * @typedef {{note: string, at: string}} Mark
 * @typedef {{marks: Object<string, Mark>}} Marks
 * @typedef {{names: string[], marked: boolean, note: ?string}} Change
 * @typedef {{run: Run, frames: Frames[], frame: Frame[][], maps: Maps[], pictures: string[],
 *   marks: Marks, words: string}} Embedded
 */
