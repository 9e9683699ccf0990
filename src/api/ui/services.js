// Services at the left, worst first; at the right what needs attention, or the service that was chosen.

import { h, icon, keyed, refill, setAttribute, setText, svg } from "./dom.js";
import { byName, count, fold, plural } from "./format.js";
import { badge } from "./header.js";
import { cardSignature, columns, instanceCard, link, nodeChecks, tags } from "./instances.js";
import { healthOf, severity, tally } from "./store.js";
import { Table } from "./table.js";

const PAGE = 200;
/** Hosts that are told above the instances; the members have all of them. */
const CAUSES_MAX = 20;
const FILTERS = [
  ["", "All"],
  ["attention", "Needs attention"],
  ["critical", "Critical"],
  ["warning", "Warning"],
  ["maintenance", "Maintenance"],
  ["passing", "Passing"],
];
const PARTS = ["passing", "warning", "critical", "maintenance"];

/** The share of each health as one thin line. */
function shareBar(counts) {
  const bar = svg("svg", { class: "share", viewBox: "0 0 100 4", preserveAspectRatio: "none", "aria-hidden": "true" });
  let x = 0;
  for (const part of PARTS) {
    const width = counts.all === 0 ? 0 : (counts[part] / counts.all) * 100;
    if (width > 0) bar.append(svg("rect", { class: `fill-${part}`, x, y: 0, width, height: 4 }));
    x += width;
  }
  return bar;
}

function sumOf(counts) {
  const parts = PARTS.filter((part) => counts[part] > 0).map((part) => `${count(counts[part])} ${part}`);
  return parts.join(", ") || "no instances";
}

/** Hosts that explain by themselves why what is on them needs attention: worst first. */
function causesOf(store) {
  const causes = [];
  for (const member of store.members.values()) {
    const bad = nodeChecks(store, member.name).filter(({ status }) => status !== "passing");
    if (bad.length === 0 || member.status === "left") continue;
    const check = bad.sort((a, b) => severity(b.status) - severity(a.status))[0];
    const drained = check.id === "_node_maintenance";
    const text = check.id === "serfHealth" ? "its agent does not answer" : `${check.name || check.id}${check.output || check.notes ? `: ${(check.output || check.notes).split("\n", 1)[0]}` : ""}`;
    const status = drained ? "maintenance" : check.id === "serfHealth" ? member.status : check.status;
    causes.push({ node: member.name, status, text, on: 0 });
  }
  const byNode = new Map(causes.map((cause) => [fold(cause.node), cause]));
  for (const instance of store.instances.values()) {
    const cause = byNode.get(fold(instance.node));
    if (cause) cause.on += 1;
  }
  return causes.sort((a, b) => severity(b.status) - severity(a.status) || byName(a.node, b.node)).slice(0, CAUSES_MAX);
}

function causeItem({ node, status, text, on }) {
  return h(
    "li",
    { class: `cause is-${status}` },
    h("span", { class: "cause-head" }, badge(status), link("members", node), h("span", {}, text)),
    on > 0 && h("span", { class: "muted" }, plural(on, "instance")),
  );
}

export class Services {
  #store;
  #query = "";
  #filter = "";
  #limit = PAGE;
  #chosen = null;
  #list = h("ul", { class: "service-list" });
  #more;
  #found = h("p", { class: "found" });
  #detail = h("div", { class: "detail" });
  #heading = h("h2", { tabindex: "-1" });
  #about = h("div", { class: "about" });
  #card = h("div", {});
  #attention;
  #instances;
  onChoose = () => {};

  constructor(store) {
    this.#store = store;
    const search = h("input", {
      type: "search",
      id: "service-search",
      placeholder: "Name, tag, node, address, meta",
      autocomplete: "off",
      spellcheck: "false",
      oninput: (event) => {
        this.#query = fold(event.target.value.trim());
        this.#restart();
      },
    });
    const filter = h(
      "select",
      {
        id: "service-filter",
        onchange: (event) => {
          this.#filter = event.target.value;
          this.#restart();
        },
      },
      FILTERS.map(([value, text]) => h("option", { value }, text)),
    );
    this.#more = h("button", { type: "button", class: "more", onclick: () => {
      this.#limit += PAGE;
      this.#showList();
    } });
    const table = (withService, caption, empty) =>
      new Table({
        caption,
        columns: columns(store, { withService }),
        key: (instance) => instance.key,
        order: "status",
        rowClass: (instance) => `is-${instance.status}`,
        empty,
      });
    this.#attention = table(true, "Instances that need attention", "Every instance that is looked for passes its checks.");
    this.#instances = table(false, "Instances", "No instance fits.");
    this.#detail.append(this.#heading, this.#about, this.#card, this.#attention.element, this.#instances.element);
    this.element = h(
      "div",
      { class: "panes" },
      h(
        "section",
        { class: "master", "aria-label": "All services" },
        h(
          "div",
          { class: "tools", role: "search", "aria-label": "Services" },
          h("div", { class: "field" }, h("label", { for: "service-search" }, "Search"), search),
          h("div", { class: "field" }, h("label", { for: "service-filter" }, "Status"), filter),
        ),
        this.#found,
        this.#list,
        this.#more,
      ),
      h("section", { class: "detail-pane", "aria-label": "Instances" }, this.#detail),
    );
  }

  #restart() {
    this.#limit = PAGE;
    this.#attention.reset();
    this.#instances.reset();
    this.#show();
  }

  /** `parts`: the service, and node and id of the instance that is open. */
  open(parts, focus) {
    const [service, node, id] = parts;
    const before = this.#chosen?.service;
    this.#chosen = service === undefined ? null : { service, node, id };
    setAttribute(this.element, "data-open", service === undefined ? null : "");
    if (before !== service) {
      this.#instances.reset();
      this.onChoose(service ?? null);
    }
    this.#show();
    if (focus) (this.#card.querySelector("h3") ?? this.#heading).focus({ preventScroll: false });
  }

  update(topics) {
    if (topics.has("services") || topics.has("members")) this.#show();
  }

  #show() {
    this.#showList();
    this.#showDetail();
  }

  #fits(instance) {
    const { status } = instance;
    const filtered =
      this.#filter === "" || status === this.#filter || (this.#filter === "attention" && severity(status) >= 2);
    return filtered && (this.#query === "" || instance.words.includes(this.#query));
  }

  #rows() {
    const store = this.#store;
    if (store.large) {
      const names = store.names.filter((name) => fold(name).includes(this.#query)).sort(byName);
      return names.map((name) => ({ key: fold(name), name, counts: null, health: null, fitting: null }));
    }
    const rows = [];
    for (const service of store.services.values()) {
      const fitting = [...service.instances.values()].filter((instance) => this.#fits(instance));
      if (fitting.length === 0) continue;
      const counts = tally(service.instances.values());
      rows.push({ key: service.key, name: service.name, counts, health: healthOf(counts), fitting });
    }
    return rows.sort((a, b) => severity(b.health) - severity(a.health) || byName(a.name, b.name));
  }

  #showList() {
    const rows = this.#rows();
    const shown = rows.slice(0, this.#limit);
    keyed(this.#list, shown, (row) => row.key, () => h("li", {}), (element, row) => this.#fillRow(element, row));
    this.#more.hidden = rows.length <= this.#limit;
    setText(this.#more, `Show more of ${count(rows.length)}`);
    const all = this.#store.large ? this.#store.names.length : this.#store.services.size;
    const narrowed = this.#query !== "" || this.#filter !== "";
    // How many are found is news to who searches, and to nobody else.
    setAttribute(this.#found, "role", narrowed ? "status" : null);
    setText(this.#found, narrowed ? `${count(rows.length)} of ${plural(all, "service")}` : plural(all, "service"));
  }

  #fillRow(element, row) {
    const current = this.#chosen !== null && fold(this.#chosen.service) === row.key;
    refill(element, JSON.stringify([row.name, row.counts, current]), () =>
      h(
        "a",
        {
          href: `#/services/${encodeURIComponent(row.name)}`,
          class: row.health ? `service is-${row.health}` : "service",
          "aria-current": current ? "true" : null,
        },
        row.health && h("span", { class: "service-state" }, icon(row.health), h("span", { class: "visually-hidden" }, `${row.health}: `)),
        h("span", { class: "service-name" }, row.name),
        row.counts &&
          h(
            "span",
            { class: "service-sum" },
            h("span", { "aria-hidden": "true" }, `${count(row.counts.passing + row.counts.warning)}/${count(row.counts.all)}`),
            h("span", { class: "visually-hidden" }, `, ${sumOf(row.counts)}`),
          ),
        row.counts && shareBar(row.counts),
      ),
    );
  }

  #showDetail() {
    const store = this.#store;
    const chosen = this.#chosen;
    this.#attention.element.hidden = chosen !== null || store.large;
    this.#instances.element.hidden = chosen === null;
    if (chosen === null) {
      this.#instances.show([]);
      this.#showAttention();
      return;
    }
    this.#attention.show([]);
    const service = store.services.get(fold(chosen.service));
    const instances = [...(service?.instances.values() ?? [])];
    const counts = tally(instances);
    const name = service?.name ?? chosen.service;
    setText(this.#heading, name);
    const labels = [...new Set(instances.flatMap((instance) => instance.tags))].sort(byName).slice(0, 24);
    refill(this.#about, JSON.stringify([name, counts, labels, store.ready]), () => [
      h("a", { class: "back", href: "#/services" }, icon("back"), "Services"),
      service
        ? h("span", { class: "about-sum" }, badge(healthOf(counts)), sumOf(counts))
        : h("span", { class: "about-sum" }, store.ready ? "There is no instance of it." : "Loading …"),
      labels.length > 0 && tags(labels),
    ]);
    const open = chosen.id === undefined ? null : store.instances.get(`${fold(chosen.node)}\u0000${chosen.id}`);
    const missing = chosen.id !== undefined && !open;
    refill(this.#card, open ? cardSignature(store, open) : String(missing), () =>
      open ? instanceCard(store, open) : missing ? h("p", { class: "empty" }, `${chosen.id} on ${chosen.node} is not registered any more.`) : null,
    );
    const fitting = instances.filter((instance) => this.#fits(instance));
    this.#instances.setEmpty(instances.length > 0 ? "No instance fits the search and the filter." : "There is no instance of it.");
    setText(this.#instances.caption, `Instances of ${name}`);
    this.#instances.show(fitting);
  }

  #showAttention() {
    const store = this.#store;
    const narrowed = this.#query !== "" || this.#filter !== "";
    const causes = narrowed ? [] : causesOf(store);
    refill(this.#card, JSON.stringify(causes), () => (causes.length === 0 ? null : h("ul", { class: "causes" }, causes.map(causeItem))));
    if (store.large) {
      setText(this.#heading, "A large directory");
      const all = count(store.status?.catalog?.instances);
      refill(this.#about, `large ${all}`, () => h("p", { class: "muted" }, `There are ${all} instances, more than this page takes at one time. Search finds services by name; choose one to see its instances.`));
      return;
    }
    let rows = [...store.instances.values()].filter((instance) =>
      narrowed ? this.#fits(instance) : severity(instance.status) >= 1,
    );
    setText(this.#heading, narrowed ? "Instances found" : "Needs attention");
    const all = count(store.instances.size);
    const sum = narrowed ? `${plural(rows.length, "instance")} of ${all} fit.` : `${plural(rows.length, "instance")} of ${all} cannot be used as they should, or were drained.`;
    refill(this.#about, `${sum} ${store.ready}`, () => h("p", { class: "muted" }, !store.ready ? "Loading …" : rows.length === 0 ? "" : sum));
    if (causes.length > 0) {
      // What their host explains is not listed once more.
      const explained = new Set(causes.map(({ node }) => fold(node)));
      rows = rows.filter((instance) => !explained.has(fold(instance.node)) || [...instance.checks.values()].some(({ status }) => status !== "passing"));
    }
    this.#attention.element.hidden = rows.length === 0 && causes.length > 0;
    this.#attention.setEmpty(
      !store.ready ? "" : narrowed ? "No instance fits." : store.instances.size === 0 ? "Nothing is registered in this cluster yet: shoal register web http://10.0.0.7:8080 does it." : "Every instance passes its checks.",
    );
    setText(this.#attention.caption, narrowed ? "Instances found" : "Instances that need attention");
    this.#attention.show(rows);
  }
}
