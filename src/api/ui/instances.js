// Instances as rows, and the one that is open with all its checks.

import { h, icon } from "./dom.js";
import { byName, endpoint, fold, plural } from "./format.js";
import { badge } from "./header.js";
import { severity } from "./store.js";

/** A way to another part of the page; names go into the address encoded. */
export function link(part, name, text = name) {
  return h("a", { href: `#/${part}/${encodeURIComponent(name)}` }, text);
}

export function tags(list) {
  return list.length === 0 ? null : h("span", { class: "tags" }, list.map((tag) => h("span", { class: "tag" }, tag)));
}

export function pairs(entries) {
  const list = Object.entries(entries);
  return list.length === 0 ? null : h("span", { class: "tags" }, list.map(([key, value]) => h("span", { class: "tag" }, `${key}=${value}`)));
}

/** The checks of the host of an instance, or of a node by its name. */
export function nodeChecks(store, node) {
  return [...(store.nodeChecks.get(fold(node))?.values() ?? [])];
}

/** The check that says most about why an instance is as it is: its node's count as well. */
function worstCheck(store, instance) {
  const own = [...instance.checks.values()];
  const all = [...own, ...nodeChecks(store, instance.node)].filter((check) => check.status !== "passing");
  return all.sort((a, b) => severity(b.status) - severity(a.status))[0] ?? own[0] ?? null;
}

function reason(store, instance) {
  const check = worstCheck(store, instance);
  if (check === null) return { name: "", text: "no check of its own", output: "", isNotes: true };
  const output = check.output || check.notes;
  return { name: check.name || check.id, text: output.split("\n", 1)[0], output, isNotes: !check.output };
}

/** Columns for instances; the service is one where several are shown. */
export function columns(store, { withService }) {
  const service = {
    id: "service",
    label: "Service",
    value: (i) => i.service,
    cell: (i) => link("services", i.service),
    order: (a, b) => byName(a.service, b.service) || byName(a.id, b.id),
  };
  const id = {
    id: "id",
    label: "Instance",
    class: "mono",
    value: (i) => i.id,
    cell: (i) => h("a", { href: `#/services/${encodeURIComponent(i.service)}/${encodeURIComponent(i.node)}/${encodeURIComponent(i.id)}` }, i.id),
    order: (a, b) => byName(a.id, b.id),
  };
  const status = {
    id: "status",
    label: "Status",
    class: "tight",
    value: (i) => i.status,
    cell: (i) => badge(i.status),
    order: (a, b) => severity(b.status) - severity(a.status) || byName(a.service, b.service) || byName(a.id, b.id),
  };
  return [
    id,
    ...(withService ? [service] : []),
    status,
    {
      id: "node",
      label: "Node",
      class: "clip",
      value: (i) => i.node,
      cell: (i) => link("members", i.node),
      order: (a, b) => byName(a.node, b.node) || byName(a.id, b.id),
    },
    {
      id: "address",
      label: "Address",
      class: "mono clip",
      value: (i) => `${endpoint(i.address, i.port)} ${i.socket}`,
      cell: (i) => i.socket || endpoint(i.address, i.port),
    },
    ...(withService ? [] : [{ id: "tags", label: "Tags", value: (i) => i.tags.join("\n"), cell: (i) => tags(i.tags) ?? "–" }]),
    {
      id: "why",
      label: "Check",
      class: "wide",
      value: (i) => JSON.stringify(reason(store, i)),
      cell: (i) => {
        const { name, text, output, isNotes } = reason(store, i);
        return h("span", { class: "why", title: output || null }, name && h("span", { class: "why-name" }, name), text && h("span", { class: isNotes ? "why-text is-notes" : "why-text" }, text));
      },
    },
  ];
}

/** A check with all that is known of it. */
export function checkItem(check) {
  return h(
    "li",
    { class: `check is-${check.status}` },
    h("div", { class: "check-head" }, badge(check.status), h("strong", {}, check.name || check.id), check.type && h("span", { class: "muted" }, check.type), h("span", { class: "mono muted" }, check.id)),
    check.notes && h("p", { class: "notes" }, check.notes),
    check.output ? h("pre", { class: "output", tabindex: "0", "aria-label": `Output of ${check.name || check.id}` }, check.output) : null,
  );
}

const order = (a, b) => severity(b.status) - severity(a.status) || byName(a.id, b.id);

/** Everything about one instance. */
export function instanceCard(store, instance) {
  const node = nodeChecks(store, instance.node).sort(order);
  const own = [...instance.checks.values()].sort(order);
  const weights = instance.weights;
  const facts = [
    ["Node", link("members", instance.node)],
    ["Address", h("span", { class: "mono" }, instance.socket || endpoint(instance.address, instance.port))],
    ["Tags", tags(instance.tags) ?? "–"],
    ["Meta", pairs(instance.meta) ?? "–"],
    weights && ["Weights", `${weights.Passing} passing, ${weights.Warning} warning`],
  ].filter(Boolean);
  return h(
    "section",
    { class: "card", "aria-labelledby": "instance-name" },
    h(
      "div",
      { class: "card-head" },
      h("h3", { id: "instance-name", class: "mono", tabindex: "-1" }, instance.id),
      badge(instance.status),
      h("a", { class: "close", href: `#/services/${encodeURIComponent(instance.service)}`, "aria-label": `Close ${instance.id}` }, icon("close")),
    ),
    h("dl", { class: "facts" }, facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))),
    h("h4", {}, plural(own.length, "check")),
    own.length > 0 && h("ul", { class: "checks" }, own.map(checkItem)),
    h("h4", {}, `Of its node ${instance.node}`),
    h("ul", { class: "checks" }, node.map(checkItem)),
  );
}

/** What the card of an instance depends on. */
export function cardSignature(store, instance) {
  const node = nodeChecks(store, instance.node);
  return JSON.stringify([instance.id, instance.status, instance.address, instance.port, instance.tags, instance.meta, [...instance.checks.values()], node]);
}
