// The cluster as its network has it: a plane through the coordinates that agents find by their probes, and the
// same as a list.

import { h, icon, keyed, refill, setAttribute, setText, svg } from "./dom.js";
import { byName, fold, plural, shortTime } from "./format.js";
import { badge } from "./header.js";
import { distance, project } from "./projection.js";
import { Table } from "./table.js";

const MARGIN = 64;
/** Larger heights are drawn as this, in pixels: a slow link of one host should not hide the others. */
const RING_MAX = 56;
const LABEL_HEIGHT = 15;
const MARKS = {
  alive: "M0 -6A6 6 0 1 1 0 6A6 6 0 1 1 0 -6Z",
  suspect: "M0 -7.5L7.5 6.5L-7.5 6.5Z",
  failed: "M-6.5 -6.5L6.5 6.5M6.5 -6.5L-6.5 6.5",
  left: "M0 -6A6 6 0 1 1 0 6A6 6 0 1 1 0 -6Z",
};

/** 1, 2 or 5 of a power of ten, at least `least`. */
function roundStep(least) {
  const power = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 5, 10].map((n) => n * power).find((step) => step >= least) ?? least;
}

/** Puts labels beside their marks where they meet nothing that was put before. */
function placeLabels(nodes, width, height) {
  const taken = nodes.map(({ x, y }) => ({ x: x - 8, y: y - 8, w: 16, h: 16 }));
  const meets = (a) =>
    a.x < 2 || a.y < 2 || a.x + a.w > width - 2 || a.y + a.h > height - 2 ||
    taken.some((b) => a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h);
  const labels = new Map();
  for (const node of nodes) {
    const w = node.name.length * 6.8 + 4;
    const places = [
      { x: node.x + 11, y: node.y - 7, anchor: "start", at: node.x + 12 },
      { x: node.x - 11 - w, y: node.y - 7, anchor: "end", at: node.x - 12 },
      { x: node.x - w / 2, y: node.y - 25, anchor: "middle", at: node.x },
      { x: node.x - w / 2, y: node.y + 10, anchor: "middle", at: node.x },
    ].map((place) => ({ ...place, w, h: LABEL_HEIGHT }));
    const free = places.find((place) => !meets(place));
    if (!free) continue;
    taken.push(free);
    labels.set(node.name, { anchor: free.anchor, dx: free.at - node.x, dy: free.y + 11.5 - node.y });
  }
  return labels;
}

export class NetworkMap {
  #store;
  #chosen = null;
  #places = new Map();
  #heading = h("h2", { tabindex: "-1" }, "Map");
  #about = h("p", { class: "muted" });
  #picture = svg("svg", { class: "map", role: "img" });
  #rings = svg("g", { class: "rings" });
  #nodes = svg("g", {});
  #frame;
  #table;
  #rows = [];
  #from = h("h3", {});
  #missing = h("p", { class: "muted" });
  #size = { width: 0, height: 0 };

  constructor(store) {
    this.#store = store;
    this.#picture.append(this.#rings, this.#nodes);
    this.#frame = h("div", { class: "map-frame" }, this.#picture);
    this.#table = new Table({
      caption: "Round-trip times",
      columns: [
        { id: "name", label: "Node", value: (r) => r.name, cell: (r) => h("a", { href: `#/map/${encodeURIComponent(r.name)}` }, r.name), order: (a, b) => byName(a.name, b.name) },
        { id: "state", label: "State", class: "tight", value: (r) => r.status, cell: (r) => badge(r.status), order: (a, b) => byName(a.status, b.status) || byName(a.name, b.name) },
        { id: "rtt", label: "Round trip", class: "number-cell", value: (r) => `${r.self} ${shortTime(r.rtt)}`, cell: (r) => (r.self ? "–" : shortTime(r.rtt)), order: (a, b) => a.rtt - b.rtt || byName(a.name, b.name) },
        { id: "error", label: "Unsure by", class: "number-cell", value: (r) => r.error.toFixed(2), cell: (r) => `${Math.round(r.error * 100)} %`, order: (a, b) => a.error - b.error || byName(a.name, b.name) },
      ],
      key: (row) => row.name,
      order: "rtt",
      rowClass: (row) => (row.self ? "is-chosen" : ""),
      empty: "No member has told its place yet; agents learn them by their probes, within a minute or two.",
    });
    this.element = h(
      "div",
      { class: "map-view" },
      h("section", { class: "map-pane", "aria-label": "Map of the cluster" }, this.#heading, this.#about, this.#frame, this.#legend()),
      h("section", { class: "map-list", "aria-label": "The same as a list" }, this.#from, this.#table.element, this.#missing),
    );
    new ResizeObserver(() => this.#measure()).observe(this.#frame);
    this.#picture.addEventListener("click", (event) => {
      const name = event.target.closest("[data-name]")?.getAttribute("data-name");
      if (name) location.hash = `#/map/${encodeURIComponent(name)}`;
    });
  }

  #legend() {
    const mark = (state) => h("span", {}, svg("svg", { viewBox: "-10 -10 20 20", class: `legend-mark node is-${state}`, "aria-hidden": "true" }, svg("path", { class: "mark", d: MARKS[state] })), state);
    return h("p", { class: "legend" }, ["alive", "suspect", "failed", "left"].map(mark), h("span", {}, svg("svg", { viewBox: "-10 -10 20 20", class: "legend-mark", "aria-hidden": "true" }, svg("circle", { class: "height", r: 8 })), "the host's own link"));
  }

  #measure() {
    const { clientWidth: width, clientHeight: height } = this.#frame;
    if (width === this.#size.width && height === this.#size.height) return;
    this.#size = { width, height };
    this.#show();
  }

  open([name], focus) {
    this.#chosen = name ?? null;
    this.#measure();
    this.#show();
    if (focus) this.#heading.focus();
  }

  update(topics) {
    if (topics.has("coordinates") || topics.has("members")) this.#show();
  }

  #show() {
    const store = this.#store;
    const located = store.coordinates
      .map(({ Node: name, Coord: coord }) => ({ name, coord, member: store.members.get(fold(name)) }))
      .filter(({ member, coord }) => member && Array.isArray(coord?.Vec));
    const own = fold(store.status?.node ?? "");
    const origin =
      located.find(({ name }) => this.#chosen !== null && fold(name) === fold(this.#chosen)) ??
      located.find(({ name }) => fold(name) === own) ??
      located[0];
    const { points, kept } = project(located, this.#places);
    this.#places = new Map(points.map((point) => [point.name, point]));
    const missing = store.members.size - located.length;
    setText(this.#missing, missing > 0 && located.length > 0 ? `${plural(missing, "member")} of ${store.members.size} have not told this agent their place yet.` : "");
    setText(this.#from, origin ? `Seen from ${origin.name}` : "Round-trip times");
    this.#rows = located.map(({ name, coord, member }) => {
      const self = name === origin?.name;
      const measured = fold(origin?.name ?? "") === own && member.rtt_ms !== null ? member.rtt_ms / 1000 : null;
      return { name, status: member.status, self, error: coord.Error, rtt: self ? -1 : (measured ?? distance(origin.coord, coord)) };
    });
    this.#table.show(this.#rows);
    this.#frame.hidden = located.length === 0;
    const share = `${Math.round(kept * 100)} %`;
    setText(
      this.#about,
      located.length < 2
        ? ""
        : `Near is fast: the distance between two marks, with the rings around them, is about their round-trip time. This plane shows ${share} of what the eight dimensions tell.`,
    );
    setAttribute(this.#picture, "aria-label", `Map of ${plural(located.length, "member")} by round-trip time; the list has the same.`);
    if (located.length > 0 && this.#size.width > 0) this.#draw(located, points, origin);
  }

  #draw(located, points, origin) {
    const { width, height } = this.#size;
    setAttribute(this.#picture, "viewBox", `0 0 ${width} ${height}`);
    const span = (pick) => [Math.min(...points.map(pick)), Math.max(...points.map(pick))];
    const [left, right] = span(({ x }) => x);
    const [top, bottom] = span(({ y }) => y);
    const scale = Math.min(
      (width - 2 * MARGIN) / Math.max(right - left, 1e-6),
      (height - 2 * MARGIN) / Math.max(bottom - top, 1e-6),
    );
    const place = ({ x, y }) => ({
      x: width / 2 + (x - (left + right) / 2) * scale,
      y: height / 2 + (y - (top + bottom) / 2) * scale,
    });
    const own = fold(this.#store.status?.node ?? "");
    const rank = { failed: 1, suspect: 2, alive: 3, left: 4 };
    const nodes = located
      .map(({ name, coord, member }, i) => ({ name, member, ...place(points[i]), ring: Math.min(RING_MAX, coord.Height * scale), first: name === origin.name ? 0 : rank[member.status] ?? 3 }))
      .sort((a, b) => a.first - b.first || byName(a.name, b.name));
    const labels = placeLabels(nodes, width, height);
    this.#drawRings(nodes.find(({ name }) => name === origin.name), scale);
    keyed(this.#nodes, [...nodes].reverse(), ({ name }) => name, (node) => this.#makeNode(node), (element, node) => {
      const label = labels.get(node.name);
      const self = fold(node.name) === own ? " is-own" : "";
      setAttribute(element, "class", `node is-${node.member.status}${self}${node.name === origin.name ? " is-chosen" : ""}`);
      element.style.transform = `translate(${node.x.toFixed(1)}px, ${node.y.toFixed(1)}px)`;
      const [title, ring, mark, text] = element.children;
      setText(title, `${node.name}: ${node.member.status}`);
      setAttribute(ring, "r", Math.max(9, node.ring).toFixed(1));
      setAttribute(mark, "d", MARKS[node.member.status] ?? MARKS.alive);
      text.style.display = label ? "" : "none";
      if (label) {
        setAttribute(text, "text-anchor", label.anchor);
        setAttribute(text, "x", label.dx.toFixed(1));
        setAttribute(text, "y", label.dy.toFixed(1));
      }
    });
  }

  #makeNode({ name }) {
    return svg("g", { class: "node", "data-name": name }, svg("title", {}), svg("circle", { class: "height" }), svg("path", { class: "mark" }), svg("text", {}, name));
  }

  /** Circles of equal time around the node from which the list is told. */
  #drawRings(origin, scale) {
    const { width, height } = this.#size;
    const step = roundStep(70 / scale);
    const most = Math.hypot(Math.max(origin.x, width - origin.x), Math.max(origin.y, height - origin.y));
    const rings = [];
    for (let n = 1; n * step * scale < most && n <= 12; n += 1) rings.push({ n, r: n * step * scale, text: shortTime(n * step) });
    keyed(this.#rings, rings, ({ n }) => n, () => svg("g", {}, svg("circle", {}), svg("text", {})), (element, ring) => {
      const [circle, text] = element.children;
      setAttribute(circle, "cx", origin.x.toFixed(1));
      setAttribute(circle, "cy", origin.y.toFixed(1));
      setAttribute(circle, "r", ring.r.toFixed(1));
      const down = origin.y + ring.r < height - 6 ? 1 : -1;
      setAttribute(text, "x", origin.x.toFixed(1));
      setAttribute(text, "y", (origin.y + down * ring.r - 4 * down + (down < 0 ? 8 : 0)).toFixed(1));
      setText(text, ring.text);
    });
  }
}
