// What is looked at stands in the address, so that it can be reloaded and sent to a colleague.

import { go } from "uncover/moves";
import { afterPause } from "uncover/pace";
import { on, pair, set, state } from "uncover/state";
import { choosePair } from "uncover/thresholds";

/** What the address says; keys that it does not have are missing. */
export function fromAddress(run) {
  const told = new URLSearchParams(location.hash.slice(1));
  const number = (key, most) => {
    const value = told.get(key);
    return value === null || value === "" || !(Number(value) >= 0 && Number(value) <= most) ? undefined : Number(value);
  };
  const among = (key, values) => (values.includes(told.get(key)) ? told.get(key) : undefined);
  return {
    frame: Math.floor(number("frame", run.frames - 1) ?? 0),
    pair: Math.floor(number("pair", run.pairs.length - 1) ?? 0),
    conf: number("conf", 1),
    fallback: number("fallback", 1),
    map: among("map", ["off", "average", ...run.parts]) ?? "off",
    method: among("method", run.methods.map(({ name }) => name)) ?? "",
    levels: among("levels", ["0,1,2", "0", "1", "2"]) ?? "0,1,2",
  };
}

// browsers allow so many changes a second and no more
const write = afterPause(250, () => {
  const told = new URLSearchParams({ frame: state.frame });
  if (state.pair) told.set("pair", state.pair);
  if (state.conf !== pair().conf) told.set("conf", state.conf);
  if (state.fallback !== pair().fallback_conf) told.set("fallback", state.fallback);
  if (state.map !== "off") told.set("map", state.map);
  if (state.method) told.set("method", state.method);
  if (state.levels !== "0,1,2") told.set("levels", state.levels);
  history.replaceState(null, "", `#${told}`);
});

/** Somebody has changed the address. */
async function read() {
  const told = fromAddress(state.run);
  set({ map: told.map, method: told.method, levels: told.levels });
  if (told.pair !== state.pair) await choosePair(told.pair, told).catch(() => null); // people have been told
  else set({ conf: told.conf ?? pair().conf, fallback: told.fallback ?? pair().fallback_conf });
  go(told.frame);
}

/** Begin. */
export function startAddress() {
  on("frame pair conf fallback map method levels", write);
  addEventListener("hashchange", read);
}
