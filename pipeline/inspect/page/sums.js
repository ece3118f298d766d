// Sums over frames, so that any stretch of the time line is told in a few steps, however long.
// Made anew when outcomes change, not when the line is moved.

import { OUTCOMES } from "uncover/messages";

const BLOCK = 64;

export class Sums {
  constructor(result, mask) {
    const { outcome, confidence } = result;
    this.count = outcome.length;
    this.sums = OUTCOMES.map(() => new Uint32Array(this.count + 1));
    this.left = new Uint32Array(this.count + 1); // by the filter
    const [a, b, c, d, e] = this.sums; // a loop over five arrays would be half as fast
    for (let i = 0; i < this.count; i++) {
      const code = outcome[i];
      a[i + 1] = a[i] + (code === 0);
      b[i + 1] = b[i] + (code === 1);
      c[i + 1] = c[i] + (code === 2);
      d[i + 1] = d[i] + (code === 3);
      e[i + 1] = e[i] + (code === 4);
      this.left[i + 1] = this.left[i] + mask[i];
    }
    this.confidence = confidence;
    this.blocks(confidence);
  }

  blocks(confidence) {
    const blocks = Math.ceil(this.count / BLOCK);
    this.least = new Float32Array(blocks).fill(Infinity);
    this.most = new Float32Array(blocks).fill(-Infinity);
    for (let i = 0; i < this.count; i++) {
      const [value, block] = [confidence[i], (i / BLOCK) | 0];
      if (value < this.least[block]) this.least[block] = value;
      if (value > this.most[block]) this.most[block] = value;
    }
  }

  /** How many frames from i on, before j, have an outcome. */
  of(code, i, j) {
    return this.sums[code][j] - this.sums[code][i];
  }

  /** How many of them the filter leaves. */
  leftIn(i, j) {
    return this.left[j] - this.left[i];
  }

  /** The least and the highest confidence; Infinity, -Infinity: there is none. */
  range(i, j, into) {
    let [least, most] = [Infinity, -Infinity];
    while (i < j) {
      if (i % BLOCK === 0 && i + BLOCK <= j) {
        const block = i / BLOCK;
        if (this.least[block] < least) least = this.least[block];
        if (this.most[block] > most) most = this.most[block];
        i += BLOCK;
      } else {
        const value = this.confidence[i++];
        if (value < least) least = value;
        if (value > most) most = value;
      }
    }
    into[0] = least;
    into[1] = most;
  }
}
