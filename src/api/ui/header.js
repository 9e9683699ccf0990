// What stands on every page: where this is, how it fares, and what is wrong.

import { h, icon, refill, setAttribute, setText } from "./dom.js";
import { clock, count, duration, plural, shortTime } from "./format.js";
import { healthOf, severity, tally } from "./store.js";
import { quantile } from "./charts.js";

/** Without a word from another agent for so long the view counts as old, unless the agent says otherwise. */
const DEAF_MS = 5000;
/** An answer that takes longer is worth a word. */
const SLOW_MS = 2500;
/** What happens within so long is said together. */
const NEWS_EVERY_MS = 2000;

const STATES = [
  ["alive", "alive"],
  ["suspect", "suspect"],
  ["failed", "failed"],
  ["left", "left"],
];

/** A word with its symbol. */
export function badge(status) {
  return h("span", { class: `badge is-${status}` }, icon(status), h("span", {}, status));
}

function counted(n, status, word = status) {
  return h("span", { class: n === 0 ? "part" : `part is-${status}` }, n > 0 && icon(status), `${count(n)} ${word}`);
}

export function memberCounts(store) {
  const counts = { alive: 0, suspect: 0, failed: 0, left: 0 };
  for (const { status } of store.members.values()) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
}

/** How the agent judges itself. */
export function healthWord(score) {
  return score === 0 ? "good" : score === 1 ? "strained" : "poor";
}

export class Header {
  #store;
  #tiles = {};
  #banner = document.getElementById("banner");
  #alarm = document.getElementById("alarm");
  #alarmed = null;
  #said = document.getElementById("announcer");
  #news = [];
  #newsTimer = null;

  constructor(store) {
    this.#store = store;
    const summary = document.getElementById("summary");
    for (const [name, label] of [
      ["members", "Members"],
      ["instances", "Instances"],
      ["view", "View"],
      ["agreement", "Last difference"],
      ["propagation", "99 % arrive within"],
      ["health", "Agent's own health"],
    ]) {
      this.#tiles[name] = h("dd", {});
      summary.append(h("div", { class: `tile tile-${name}` }, h("dt", {}, label), this.#tiles[name]));
    }
    this.#theme();
  }

  #theme() {
    const button = document.getElementById("theme");
    const root = document.documentElement;
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const now = () => root.dataset.theme ?? (dark.matches ? "dark" : "light");
    const show = () => {
      const other = now() === "dark" ? "light" : "dark";
      setAttribute(button, "aria-label", `Use ${other} colours`);
      setAttribute(button, "title", `Use ${other} colours`);
      refill(button, other, () => icon(other));
    };
    button.addEventListener("click", () => {
      const other = now() === "dark" ? "light" : "dark";
      const isSystem = other === (dark.matches ? "dark" : "light");
      if (isSystem) delete root.dataset.theme;
      else root.dataset.theme = other;
      try {
        if (isSystem) localStorage.removeItem("shoal-theme");
        else localStorage.setItem("shoal-theme", other);
      } catch {
        // It lasts as long as the page then.
      }
      show();
    });
    dark.addEventListener("change", show);
    show();
  }

  update(topics) {
    if (topics.has("members") || topics.has("services") || topics.has("status")) this.#counts();
    this.tick();
  }

  #counts() {
    const store = this.#store;
    const members = memberCounts(store);
    const instances = store.large ? null : tally(store.instances.values());
    refill(this.#tiles.members, JSON.stringify(members), () =>
      STATES.filter(([state]) => state === "alive" || members[state] > 0).map(([state, word]) =>
        counted(members[state], state, word),
      ),
    );
    const catalog = store.status?.catalog;
    refill(this.#tiles.instances, JSON.stringify(instances ?? catalog?.instances), () =>
      instances === null
        ? h("span", { class: "part" }, count(catalog?.instances))
        : ["passing", "warning", "critical", "maintenance"]
            .filter((status) => status === "passing" || instances[status] > 0)
            .map((status) => counted(instances[status], status, status === "maintenance" ? "drained" : status)),
    );
    this.#tabs(members);
    this.#title(members);
  }

  #tabs(members) {
    const store = this.#store;
    const troubled = store.large
      ? 0
      : [...store.services.values()].filter((s) => severity(healthOf(tally(s.instances.values()))) >= 2).length;
    const down = members.failed + members.suspect;
    const services = store.large ? store.names.length : store.services.size;
    this.#tab("services", services, troubled, plural(troubled, "service needs", "services need") + " attention");
    this.#tab("members", store.members.size, down, `${down} not answering`);
  }

  #tab(name, all, bad, words) {
    const place = document.querySelector(`#tab-${name} .tab-count`);
    refill(place, `${all} ${bad}`, () => [
      h("span", { class: "number" }, count(all)),
      bad > 0 && h("span", { class: "trouble" }, icon("warning"), count(bad)),
      bad > 0 && h("span", { class: "visually-hidden" }, `, ${words}`),
    ]);
  }

  #title(members) {
    const store = this.#store;
    const name = store.status?.cluster ?? "Shoal";
    const bad = [...store.instances.values()].filter(({ status }) => status === "critical").length;
    const trouble = [members.failed > 0 && `${members.failed} failed`, bad > 0 && `${count(bad)} critical`].filter(Boolean);
    const title = `${trouble.length > 0 ? `(${trouble.join(", ")}) ` : ""}${name} · Shoal`;
    if (document.title !== title) document.title = title;
  }

  /** What moves with time alone. */
  tick() {
    const { status } = this.#store;
    if (status) {
      setText(document.getElementById("cluster"), status.cluster);
      setText(document.getElementById("node"), status.node);
      const age = this.#store.viewAge();
      const alone = this.#isAlone();
      setText(this.#tiles.view, alone ? "alone" : age === null ? "nothing heard yet" : `heard ${duration(age)} ago`);
      const difference = status.convergence?.since_difference_s;
      setText(this.#tiles.agreement, difference === null || difference === undefined ? "none yet" : `${duration(difference)} ago`);
      const worst = quantile(status.propagation, 0.99);
      setText(this.#tiles.propagation, worst === null ? "nothing yet" : `${worst.beyond ? "more than " : ""}${shortTime(worst.seconds)}`);
      const score = status.local_health ?? 0;
      const word = score === 0 ? "passing" : score === 1 ? "warning" : "critical";
      refill(this.#tiles.health, String(score), () =>
        h("span", { class: `part is-${word}` }, icon(word), healthWord(score)),
      );
    }
    this.#link();
    this.#trouble();
  }

  #isAlone() {
    const others = [...this.#store.members.values()].filter(({ status }) => status !== "left").length;
    return others <= 1;
  }

  #link() {
    const { state } = this.#store.link;
    const pill = document.getElementById("link");
    const words = { connecting: "Connecting", live: "Live", broken: "Not connected", idle: "Resting", refused: "Refused" };
    setAttribute(pill, "class", `pill is-${state}`);
    refill(pill, state, () => [icon(state === "live" ? "passing" : state === "broken" || state === "refused" ? "critical" : "suspect"), h("span", {}, words[state] ?? state)]);
  }

  /** The one thing that a reader has to know before believing the rest. */
  #trouble() {
    const { link, status } = this.#store;
    const age = this.#store.viewAge();
    const deaf = Math.max(DEAF_MS, 2 * (status?.effective?.deaf_after_ms ?? 0)) / 1000;
    const { owedSince } = this.#store;
    const owed = owedSince === null ? 0 : performance.now() - owedSince;
    let told = null;
    if (link.state === "live" && status && owed > SLOW_MS) {
      told = ["bad", "slow", `${status.node} has not answered for ${duration(owed / 1000)}.`];
    } else if (link.state === "broken") {
      const why = link.error?.status ? `The agent refuses: ${link.error.message}` : "The agent cannot be reached.";
      told = ["bad", "broken", `${why} What is shown is as of ${clock(link.since).slice(0, 8)}; trying again.`];
    } else if (link.state === "refused") {
      told = ["bad", "refused", `The agent refuses: ${link.error?.message ?? "no reason told"}`];
    } else if (link.state === "live" && status && !this.#isAlone() && age !== null && age > deaf) {
      told = ["warn", "deaf", `${status.node} has heard no other agent for ${duration(age)}: what it shows may be old. Is its network cut?`];
    } else if (status?.leaving) {
      told = ["warn", "leaving", `${status.node} is leaving the cluster.`];
    } else if (status?.encryption?.advice) {
      told = ["warn", "keys", status.encryption.advice];
    }
    this.#banner.hidden = told === null;
    document.body.classList.toggle("is-stale", told !== null && link.state === "broken");
    if (told === null) {
      this.#banner.filledWith = undefined;
      setText(this.#alarm, "");
      this.#alarmed = null;
      return;
    }
    // Times in it go on; once is enough to hear it.
    const [, kind, text] = told;
    if (this.#alarmed !== kind) setText(this.#alarm, text);
    this.#alarmed = kind;
    setAttribute(this.#banner, "class", `banner is-${told[0]}`);
    refill(this.#banner, text, () => [icon(told[0] === "bad" ? "critical" : "warning"), h("span", {}, text)]);
  }

  /** Says what matters to those who cannot see it; what comes together is said together. */
  announce(event) {
    const matters = event.tone === "bad" || (event.kind === "member" && event.text !== "changed its tags or version");
    if (!matters) return;
    this.#news.push(`${event.subject} ${event.text}`);
    if (this.#newsTimer !== null) return;
    this.#newsTimer = setTimeout(() => {
      const news = this.#news;
      this.#news = [];
      this.#newsTimer = null;
      const more = news.length > 3 ? `, and ${news.length - 3} more changes` : "";
      setText(this.#said, news.slice(0, 3).join(". ") + more);
    }, NEWS_EVERY_MS);
  }
}
