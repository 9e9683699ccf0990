// Small pictures of figures, drawn as SVG and told in words as well.

import { h, svg } from "./dom.js";

/**
 * The age up to which a share of all changes had arrived, by the bounds of the histogram. `beyond` when it lies
 * above the last of them.
 */
export function quantile(propagation, share) {
  if (!propagation || propagation.count === 0) return null;
  const wanted = propagation.count * share;
  const found = propagation.buckets.find((bucket) => bucket.count >= wanted);
  if (found) return { seconds: found.le_s, beyond: false };
  return { seconds: propagation.buckets[propagation.buckets.length - 1].le_s, beyond: true };
}

/** How many arrived in each step of the histogram; the last step has no end. */
export function steps(propagation) {
  let before = 0;
  const list = propagation.buckets.map(({ le_s: le, count }) => {
    const n = Math.max(0, count - before);
    before = count;
    return { le, n };
  });
  list.push({ le: null, n: Math.max(0, propagation.count - before) });
  return list;
}

/** Bars, one for each step, with the text of `label` under them and the number above. */
export function histogram(list, label, words) {
  const most = Math.max(1, ...list.map(({ n }) => n));
  return h(
    "div",
    { class: "histogram", role: "img", "aria-label": words },
    list.map((step) => {
      const bar = svg("svg", { class: "bar", viewBox: "0 0 10 100", preserveAspectRatio: "none", "aria-hidden": "true" });
      const height = step.n === 0 ? 0 : Math.max(2, (step.n / most) * 100);
      bar.append(svg("rect", { x: 0, y: 100 - height, width: 10, height }));
      return h("div", { class: "step" }, h("span", { class: "step-n" }, step.n === 0 ? "" : String(step.n)), bar, h("span", { class: "step-le" }, label(step)));
    }),
  );
}

const WIDTH = 240;
const HEIGHT = 44;

/** A line of `points` ({ at, value }), with gaps where there is no value, on a scale from 0. */
export function sparkline(points, words) {
  const picture = svg("svg", {
    class: "sparkline",
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
    preserveAspectRatio: "none",
    role: "img",
    "aria-label": words,
  });
  const values = points.map(({ value }) => value).filter((value) => value !== null);
  if (values.length < 2) return picture;
  const most = Math.max(...values, 1e-9);
  const last = points[points.length - 1].at;
  // The present is at the right; a minute at least is shown.
  const span = Math.max(60000, last - points[0].at);
  const x = (at) => WIDTH - ((last - at) / span) * WIDTH;
  const y = (value) => HEIGHT - 2 - (value / most) * (HEIGHT - 6);
  let path = "";
  let drawing = false;
  for (const { at, value } of points) {
    if (value === null) {
      drawing = false;
      continue;
    }
    path += `${drawing ? "L" : "M"}${x(at).toFixed(1)} ${y(value).toFixed(1)}`;
    drawing = true;
  }
  const base = HEIGHT - 1;
  picture.append(
    svg("line", { class: "base", x1: 0, y1: base, x2: WIDTH, y2: base }),
    svg("path", { class: "line", d: path, "vector-effect": "non-scaling-stroke" }),
  );
  return picture;
}
