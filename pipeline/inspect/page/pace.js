// When to do things: at most once a paint, only for the newest wish, only after a pause.

/** Run at the next paint, however often it is called before. */
export function eachPaint(work) {
  let waiting = false;
  return () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      work();
    });
  };
}

/**
 * One at a time, always the newest: wishes that come meanwhile replace each other. So a key that
 * is kept down shows frames as fast as they come, and leaves no queue behind.
 */
export function newest(work) {
  let busy = false;
  let next = null;
  return async (...wish) => {
    next = wish;
    if (busy) return;
    busy = true;
    while (next) {
      const now = next;
      next = null;
      try {
        await work(...now);
      } catch (error) {
        console.debug(error); // ask.js has told people
      }
    }
    busy = false;
  };
}

/** Run once nobody has called for some milliseconds. */
export function afterPause(ms, work) {
  let timer = 0;
  return (...args) => {
    clearTimeout(timer);
    timer = setTimeout(() => work(...args), ms);
  };
}
