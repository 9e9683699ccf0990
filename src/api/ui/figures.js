// How fast news travel, how failures are found, what goes over the network, and how this agent keeps up.

import { histogram, quantile, sparkline, steps } from "./charts.js";
import { h, refill } from "./dom.js";
import { byName, bytes, count, date, clock, duration, figure, shortTime } from "./format.js";
import { healthWord } from "./header.js";

function total(name) {
  return `shoal_${name}_total`;
}

const TRAFFIC = [
  ["Received", "datagrams_received_bytes", (n) => `${bytes(n)}/s`],
  ["Sent", "datagrams_sent_bytes", (n) => `${bytes(n)}/s`],
  ["Datagrams in", "datagrams_received", (n) => `${figure(n)}/s`],
  ["Datagrams out", "datagrams_sent", (n) => `${figure(n)}/s`],
  ["Probes", "probes_sent", (n) => `${figure(n)}/s`],
  ["Rumours sent", "rumours_sent", (n) => `${figure(n)}/s`],
];

export class Figures {
  #store;
  #parts = {};
  #open = false;

  constructor(store) {
    this.#store = store;
    this.element = h("div", { class: "figures" }, h("h2", { tabindex: "-1" }, "Figures"));
    for (const [name, title] of [
      ["propagation", "How fast changes arrive"],
      ["detection", "How failures are found"],
      ["traffic", "What goes over the network"],
      ["agreement", "Agreement"],
      ["loop", "This agent"],
      ["counters", "Every counter"],
    ]) {
      const body = h("div", {});
      this.#parts[name] = body;
      this.element.append(h("section", { class: `card figure-${name}`, "aria-labelledby": `figure-${name}` }, h("h3", { id: `figure-${name}` }, title), body));
    }
  }

  open(_, focus) {
    if (focus) this.element.querySelector("h2").focus();
    this.#open = true;
    this.#show();
  }

  close() {
    this.#open = false;
  }

  update(topics) {
    if (topics.has("status")) this.#show();
  }

  #counter(name) {
    return this.#store.status?.counters?.[total(name)];
  }

  #gauge(name) {
    return this.#store.status?.counters?.[`shoal_${name}`];
  }

  #show() {
    const { status } = this.#store;
    if (!this.#open || !status) return;
    this.#propagation(status.propagation);
    this.#detection(status);
    this.#traffic();
    this.#agreement(status);
    this.#loop(status);
    this.#counters(status);
  }

  #facts(name, facts) {
    const known = facts.filter(([, value]) => value !== undefined && value !== null);
    refill(this.#parts[name], JSON.stringify(known), () =>
      h("dl", { class: "facts" }, known.map(([term, value, note]) => h("div", {}, h("dt", {}, term), h("dd", {}, h("strong", {}, value), note && h("span", { class: "muted" }, ` ${note}`))))),
    );
  }

  #propagation(ages) {
    refill(this.#parts.propagation, JSON.stringify(ages ?? null), () => {
      if (!ages || ages.count === 0) return h("p", { class: "empty" }, "No change of another node has arrived yet.");
      const all = steps(ages);
      const first = all.findIndex(({ n }) => n > 0);
      const last = all.findLastIndex(({ n }) => n > 0);
      const shown = all.slice(Math.max(0, Math.min(first, all.length - 7)), Math.max(last + 1, Math.min(all.length, first + 7)));
      const label = ({ le }) => (le === null ? "more" : shortTime(le));
      const words = shown.filter(({ n }) => n > 0).map((step) => `${step.n} up to ${label(step)}`).join(", ");
      const shares = [0.5, 0.9, 0.99].map((share) => {
        const found = quantile(ages, share);
        return h("div", {}, h("dt", {}, `${share * 100} % within`), h("dd", {}, h("strong", {}, `${found.beyond ? "more than " : ""}${shortTime(found.seconds)}`)));
      });
      const mean = h("div", {}, h("dt", {}, "Mean"), h("dd", {}, h("strong", {}, shortTime(ages.sum_s / ages.count))));
      return [
        h("dl", { class: "facts facts-row" }, shares, mean),
        histogram(shown, label, `Ages of changes: ${words}`),
        h("p", { class: "muted" }, `How old ${count(ages.count)} changes of other nodes were, at most, when they arrived here; since this agent started. No two clocks are compared.`),
      ];
    });
  }

  #detection(status) {
    const { effective = {} } = status;
    const seconds = (ms) => (ms === undefined ? null : shortTime(ms / 1000));
    this.#facts("detection", [
      ["Suspicions raised", count(this.#counter("suspicions_raised")), "a member did not answer"],
      ["Refuted", count(this.#counter("suspicions_refuted")), "it was alive after all"],
      ["Confirmed", this.#counter("suspicions_confirmed") === undefined ? null : count(this.#counter("suspicions_confirmed")), "it had failed"],
      ["Probes failed", `${count(this.#counter("probes_failed"))} of ${count(this.#counter("probes_sent"))}`],
      ["Witness checks", this.#counter("witness_checks") === undefined ? null : count(this.#counter("witness_checks")), "own looks at somebody else's suspect"],
      ["Members held", this.#gauge("members_held") === undefined ? null : count(this.#gauge("members_held")), "shown as failed until they rest"],
      ["Own rejoins", count(this.#counter("rejoins")), "others took this node for failed"],
      ["Probe interval", seconds(effective.probe_interval_ms), effective.probe_timeout_ms === undefined ? "" : `an answer is awaited ${seconds(effective.probe_timeout_ms)}`],
      ["A suspect may refute", seconds(effective.suspicion_shortest_ms), effective.suspicion_longest_ms === undefined ? "" : `when a crowd accuses it, ${seconds(effective.suspicion_longest_ms)} when one does`],
      ["Deaf after", seconds(effective.deaf_after_ms), "without a datagram: no verdicts then"],
    ]);
  }

  #traffic() {
    const store = this.#store;
    const body = this.#parts.traffic;
    if (body.childElementCount === 0) {
      body.append(
        h("div", { class: "sparklines" }, TRAFFIC.map(([label, name]) => h("div", { class: "spark", "data-name": name }, h("div", { class: "spark-head" }, h("span", {}, label), h("strong", {})), h("div", {})))),
        h("p", { class: "muted" }, "The last five minutes at most, from when this page was opened."),
      );
    }
    TRAFFIC.forEach(([label, name, unit], at) => {
      const points = store.rates(total(name));
      const now = points.length > 0 ? points[points.length - 1].value : null;
      const most = Math.max(0, ...points.map(({ value }) => value ?? 0));
      const spark = body.firstChild.children[at];
      const text = now === null ? "–" : unit(now);
      refill(spark.firstChild.lastChild, text, () => text);
      refill(spark.lastChild, String(points.length > 0 ? points[points.length - 1].at : 0), () => sparkline(points, `${label}: ${text} now, ${unit(most)} at most`));
    });
  }

  #agreement(status) {
    const ago = (seconds) => (seconds === null || seconds === undefined ? "never" : `${duration(seconds)} ago`);
    this.#facts("agreement", [
      ["Last difference to a peer", ago(status.convergence?.since_difference_s)],
      ["Root digest", status.convergence?.root_digest, "equal on agents that agree"],
      ["Repairs begun", count(this.#counter("sync_rounds"))],
      ["Records repaired", count(this.#counter("sync_records"))],
      ["Rumours waiting", count(this.#gauge("rumours_waiting"))],
      ["Rumours shed", count(this.#counter("rumours_shed")), "left to repair"],
      ["Change index", String(status.view?.index ?? "–")],
    ]);
  }

  #loop(status) {
    const started = status.started_unix_ms;
    const score = status.local_health ?? 0;
    this.#facts("loop", [
      ["Own health", `${score} (${healthWord(score)})`, `of at most ${status.settings?.health_max ?? "–"}`],
      ["Longest stall of the loop", `${count(this.#gauge("loop_stall_longest_milliseconds"))} ms`],
      ["Stalls", count(this.#counter("loop_stalls"))],
      ["State writes failed", `${count(this.#counter("state_writes_failed"))} of ${count(this.#counter("state_writes"))}`],
      ["Started", started ? `${date(started)} ${clock(started).slice(0, 8)}` : null],
      ["Gossip address", status.gossip_addr],
      ["Sealed", status.encryption?.sealed ? `with key ${status.encryption.primary}` : "no: plaintext"],
      ["Profile", status.settings?.profile],
      ["Version", status.versions?.shoal],
    ]);
  }

  #counters(status) {
    const counters = Object.entries(status.counters ?? {}).sort(([a], [b]) => byName(a, b));
    const body = this.#parts.counters;
    if (body.childElementCount === 0) {
      body.append(h("details", {}, h("summary", {}, "Show them"), h("table", { class: "counters" }, h("caption", { class: "visually-hidden" }, "Every counter of this agent"), h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Name"), h("th", { scope: "col", class: "number-cell" }, "Value"))), h("tbody", {}))));
      body.firstChild.addEventListener("toggle", () => this.#show());
    }
    if (!body.firstChild.open) return;
    const rows = body.querySelector("tbody");
    refill(rows, JSON.stringify(counters), () => counters.map(([name, value]) => h("tr", {}, h("th", { scope: "row", class: "mono" }, name), h("td", { class: "number-cell" }, count(value)))));
  }
}
