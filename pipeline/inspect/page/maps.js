// From base64 to colours on a canvas. Hides how a map's cells lie on the picture.

/** Bytes of base64. */
export function bytes(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

const decoded = new WeakMap();
/** The bytes of an answer, decoded once. */
function cellsOf(maps) {
  if (!decoded.has(maps))
    decoded.set(maps, { stack: bytes(maps.stack), average: bytes(maps.average) });
  return decoded.get(maps);
}

/** The cells of a part's map, or of the average (part -1); null: there is none. */
export function cells(/** @type {import("uncover/messages").Maps} */ maps, part) {
  const size = maps.width * maps.height;
  const { stack, average } = cellsOf(maps);
  const one = part < 0 ? average : stack.subarray(part * size, (part + 1) * size);
  return size && one.length === size ? one : null;
}

/** The largest value of a map. */
export function strongest(one) {
  let most = 0;
  for (const value of one) if (value > most) most = value;
  return most;
}

/** Of a value, how much of the picture it hides: weak evidence shows, strong lets see through. */
const ALPHA = Uint8ClampedArray.from({ length: 256 }, (_, value) => 255 * 0.85 * Math.sqrt(value / 255));

/**
 * Paint a map onto a canvas that is as wide and high as the whole picture.
 * @param {HTMLCanvasElement} canvas
 * @param {Uint8Array} one cells
 * @param {Uint8Array} colours 256 * 3
 * @param {number} most the value that gets the strongest colour
 */
export function paint(canvas, maps, one, colours, most = 255) {
  const { width, height, place } = maps;
  const small = new OffscreenCanvas(width, height);
  const image = new ImageData(width, height);
  for (let i = 0; i < one.length; i++) {
    const value = Math.min(255, Math.round((one[i] * 255) / (most || 255)));
    image.data.set([colours[3 * value], colours[3 * value + 1], colours[3 * value + 2]], 4 * i);
    image.data[4 * i + 3] = ALPHA[value];
  }
  small.getContext("2d").putImageData(image, 0, 0);
  const [left, top, wide, high] = place;
  const pen = canvas.getContext("2d");
  pen.imageSmoothingEnabled = true;
  pen.imageSmoothingQuality = "high";
  // the whole map, so that cells at the rim are blended with the padding as all others are
  const [x, y] = [canvas.width / wide, canvas.height / high];
  pen.drawImage(small, -left * x, -top * y, width * x, height * y);
}

/** Give a canvas the pixels of the picture's cells, so many to a cell. */
export function fit(canvas, maps, each) {
  canvas.width = Math.max(1, Math.round(maps.place[2] * each));
  canvas.height = Math.max(1, Math.round(maps.place[3] * each));
}

/** The bar that says what the colours mean. */
export function paintLegend(canvas, colours) {
  const image = new ImageData(256, 1);
  for (let value = 0; value < 256; value++) {
    image.data.set(colours.subarray(3 * value, 3 * value + 3), 4 * value);
    image.data[4 * value + 3] = 255;
  }
  canvas.width = 256;
  canvas.height = 1;
  canvas.getContext("2d").putImageData(image, 0, 0);
}
