// Members as a table, and the one that was chosen with all that is on it.

import { h, icon, refill, setAttribute, setText } from "./dom.js";
import { byName, clock, count, date, fold, plural, shortTime } from "./format.js";
import { badge } from "./header.js";
import { checkItem, columns, nodeChecks, pairs } from "./instances.js";
import { severity, tally } from "./store.js";
import { Table } from "./table.js";

const STATES = ["alive", "suspect", "failed", "left"];

function rtt(member) {
  return member.rtt_ms === null || member.rtt_ms === undefined ? null : member.rtt_ms / 1000;
}

/** When this life of a node began: a generation is a time, unless a clock was wrong once. */
function born(generation) {
  return generation > 1e12 && generation < 1e14 ? `${date(generation)} ${clock(generation).slice(0, 8)}` : "–";
}

export class Members {
  #store;
  #query = "";
  #state = "";
  #chosen = null;
  #table;
  #instances;
  #found = h("p", { class: "found" });
  #detail = h("div", { class: "detail" });
  #heading = h("h2", { tabindex: "-1" });
  #facts = h("div", {});
  #services = h("h3", {});

  constructor(store) {
    this.#store = store;
    this.#table = new Table({
      caption: "Members",
      columns: this.#columns(),
      key: (member) => member.key,
      order: "status",
      rowClass: (member) => `is-${member.status}${this.#isChosen(member) ? " is-chosen" : ""}`,
      empty: "No member fits.",
    });
    this.#instances = new Table({
      caption: "Instances on this node",
      columns: columns(store, { withService: true }).filter(({ id }) => id !== "node" && id !== "address"),
      key: (instance) => instance.key,
      order: "status",
      rowClass: (instance) => `is-${instance.status}`,
      empty: "Nothing is registered here.",
    });
    const search = h("input", {
      type: "search",
      id: "member-search",
      placeholder: "Name, address, tag",
      autocomplete: "off",
      spellcheck: "false",
      oninput: (event) => {
        this.#query = fold(event.target.value.trim());
        this.#restart();
      },
    });
    const state = h(
      "select",
      {
        id: "member-state",
        onchange: (event) => {
          this.#state = event.target.value;
          this.#restart();
        },
      },
      h("option", { value: "" }, "All"),
      STATES.map((value) => h("option", { value }, value)),
    );
    this.#detail.append(this.#heading, this.#facts, this.#services, this.#instances.element);
    this.element = h(
      "div",
      { class: "panes panes-wide" },
      h(
        "section",
        { class: "master", "aria-label": "All members" },
        h(
          "div",
          { class: "tools", role: "search", "aria-label": "Members" },
          h("div", { class: "field" }, h("label", { for: "member-search" }, "Search"), search),
          h("div", { class: "field" }, h("label", { for: "member-state" }, "State"), state),
        ),
        this.#found,
        this.#table.element,
      ),
      h("section", { class: "detail-pane", "aria-label": "Member" }, this.#detail),
    );
  }

  #columns() {
    const own = (member) => fold(this.#store.status?.node ?? "") === member.key;
    return [
      {
        id: "name",
        label: "Name",
        value: (m) => `${m.name} ${own(m)}`,
        cell: (m) => [h("a", { href: `#/members/${encodeURIComponent(m.name)}` }, m.name), own(m) && h("span", { class: "tag" }, "this agent")],
        order: (a, b) => byName(a.name, b.name),
      },
      {
        id: "status",
        label: "State",
        class: "tight",
        value: (m) => `${m.status} ${m.held}`,
        cell: (m) => [badge(m.status), m.held && h("span", { class: "tag", title: "Reachable, but shown as failed until it has rested: it kept coming and going" }, "held")],
        order: (a, b) => severity(b.status) - severity(a.status) || byName(a.name, b.name),
      },
      {
        id: "rtt",
        label: "Round trip",
        class: "number-cell",
        value: (m) => (own(m) ? "own" : shortTime(rtt(m))),
        cell: (m) => (own(m) ? "–" : shortTime(rtt(m))),
        order: (a, b) => (rtt(a) ?? Infinity) - (rtt(b) ?? Infinity) || byName(a.name, b.name),
      },
      {
        id: "on",
        label: "Instances",
        class: "tight",
        value: (m) => JSON.stringify(this.#tallies.get(m.key) ?? null),
        cell: (m) => this.#load(m),
        order: (a, b) => (this.#tallies.get(b.key)?.all ?? 0) - (this.#tallies.get(a.key)?.all ?? 0) || byName(a.name, b.name),
      },
      { id: "address", label: "Address", class: "mono clip", value: (m) => m.address, cell: (m) => m.address, order: (a, b) => byName(a.address, b.address) },
      { id: "tags", label: "Tags", class: "optional", value: (m) => JSON.stringify(m.tags), cell: (m) => pairs(m.tags) ?? "–" },
      { id: "version", label: "Version", class: "mono optional", value: (m) => m.version, cell: (m) => m.version || "–" },
    ];
  }

  #tallies = new Map();

  #load(member) {
    const counts = this.#tallies.get(member.key);
    if (!counts) return "–";
    const bad = counts.critical + counts.warning;
    return [count(counts.all), bad > 0 && h("span", { class: `part is-${counts.critical > 0 ? "critical" : "warning"}` }, icon("warning"), `${count(bad)} not passing`)];
  }

  #isChosen(member) {
    return this.#chosen !== null && fold(this.#chosen) === member.key;
  }

  #restart() {
    this.#table.reset();
    this.#show();
  }

  open([name], focus) {
    this.#chosen = name ?? null;
    setAttribute(this.element, "data-open", name === undefined ? null : "");
    this.#instances.reset();
    this.#show();
    if (focus && name !== undefined) this.#heading.focus();
  }

  update(topics) {
    if (topics.has("members") || topics.has("services")) this.#show();
  }

  #show() {
    const store = this.#store;
    const onNode = new Map();
    for (const instance of store.instances.values()) {
      const key = fold(instance.node);
      if (!onNode.has(key)) onNode.set(key, []);
      onNode.get(key).push(instance);
    }
    this.#tallies = new Map([...onNode].map(([key, list]) => [key, tally(list)]));
    const rows = [...store.members.values()].filter(
      (member) => (this.#state === "" || member.status === this.#state) && member.words.includes(this.#query),
    );
    const all = store.members.size;
    setAttribute(this.#found, "role", this.#query !== "" || this.#state !== "" ? "status" : null);
    setText(this.#found, rows.length === all ? plural(all, "member") : `${count(rows.length)} of ${plural(all, "member")}`);
    this.#table.setEmpty(all === 0 && !store.ready ? "Loading …" : "No member fits.");
    this.#table.show(rows);
    this.#showDetail(onNode);
  }

  #showDetail(onNode) {
    const store = this.#store;
    this.#detail.hidden = this.#chosen === null;
    if (this.#chosen === null) return;
    const member = store.members.get(fold(this.#chosen));
    setText(this.#heading, member?.name ?? this.#chosen);
    const checks = nodeChecks(store, this.#chosen);
    refill(this.#facts, JSON.stringify([member ?? null, checks, store.ready]), () => {
      const back = h("a", { class: "back", href: "#/members" }, icon("back"), "Members");
      const close = h("a", { class: "close", href: "#/members", "aria-label": "Close this member" }, icon("close"));
      if (!member) return [back, h("p", { class: "empty" }, store.ready ? "There is no member of this name." : "Loading …")];
      const facts = [
        ["State", [badge(member.status), member.held && h("span", { class: "tag" }, "held: it kept coming and going")]],
        ["Round trip", member.rtt_ms === null ? "not measured yet" : `${shortTime(rtt(member))} from here`],
        ["Address", h("span", { class: "mono" }, member.address)],
        ["Tags", pairs(member.tags) ?? "–"],
        ["Version", h("span", { class: "mono" }, member.version || "–")],
        ["Generation", [h("span", { class: "mono" }, String(member.generation)), h("span", { class: "muted" }, ` began ${born(member.generation)}`)]],
        ["Incarnation", h("span", { class: "mono" }, String(member.incarnation))],
        ["Id", h("span", { class: "mono" }, member.id)],
      ];
      return [
        back,
        close,
        h("dl", { class: "facts" }, facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))),
        checks.length > 0 && h("h3", {}, "Checks of the node"),
        checks.length > 0 && h("ul", { class: "checks" }, checks.sort((a, b) => severity(b.status) - severity(a.status)).map(checkItem)),
      ];
    });
    const instances = onNode.get(fold(this.#chosen)) ?? [];
    setText(this.#services, store.large ? "Instances" : plural(instances.length, "instance"));
    this.#instances.setEmpty(store.large ? "There are too many instances in this cluster to have them all here." : "Nothing is registered here.");
    this.#instances.show(instances);
  }
}
