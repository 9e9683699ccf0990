// Numbers, times and names as people read them.

const UNITS = [
  [86400, "d"],
  [3600, "h"],
  [60, "min"],
];

/** `0 s`, `59 s`, `3 min`, `5 h`, `12 d`. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return "–";
  for (const [size, unit] of UNITS) {
    if (seconds >= size) return `${Math.floor(seconds / size)} ${unit}`;
  }
  return `${Math.max(0, Math.floor(seconds))} s`;
}

/** A short time with the unit that suits it: `180 µs`, `2.4 ms`, `1.20 s`. */
export function shortTime(seconds) {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return "–";
  const ms = seconds * 1000;
  // Both ends in one turn of the loop: there it has no finer clock.
  if (ms === 0) return "< 0.1 ms";
  if (ms < 1) return `${Math.round(ms * 1000)} µs`;
  if (ms < 10) return `${Number(ms.toFixed(1))} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  return seconds < 10 ? `${Number(seconds.toFixed(2))} s` : duration(seconds);
}

export function count(n) {
  return Number.isFinite(n) ? Math.round(n).toLocaleString("en") : "–";
}

/** A rate or another figure that may be small: `0`, `0.4`, `12`, `15k`. */
export function figure(n) {
  if (n === null || n === undefined || !Number.isFinite(n)) return "–";
  if (n === 0) return "0";
  if (n < 10) return n.toFixed(1);
  if (n < 10000) return String(Math.round(n));
  return n < 1e7 ? `${Math.round(n / 1000)}k` : `${(n / 1e6).toFixed(1)}M`;
}

export function bytes(n) {
  if (n === null || n === undefined || !Number.isFinite(n)) return "–";
  if (n < 1000) return `${Math.round(n)} B`;
  return n < 1e6 ? `${(n / 1000).toFixed(1)} kB` : `${(n / 1e6).toFixed(1)} MB`;
}

export function plural(n, one, many = `${one}s`) {
  return `${count(n)} ${n === 1 ? one : many}`;
}

const pad = (n, width = 2) => String(n).padStart(width, "0");

/** The time of day here, to the millisecond. */
export function clock(ms) {
  const at = new Date(ms);
  return `${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}.${pad(at.getMilliseconds(), 3)}`;
}

export function date(ms) {
  const at = new Date(ms);
  return `${at.getFullYear()}-${pad(at.getMonth() + 1)}-${pad(at.getDate())}`;
}

/** The same for all spellings of a name that the directory does not tell apart. */
export function fold(name) {
  return String(name).toLowerCase();
}

/** An address with its port, as a URL would have it. */
export function endpoint(address, port) {
  if (!address) return port ? `:${port}` : "–";
  const host = address.includes(":") ? `[${address}]` : address;
  return port ? `${host}:${port}` : address;
}

/** Order of names in which `web-2` comes before `web-10`. */
const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

export function byName(a, b) {
  return collator.compare(a, b) || (a < b ? -1 : a > b ? 1 : 0);
}
