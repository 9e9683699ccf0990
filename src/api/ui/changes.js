// What a change means: to the tables, and to whoever reads the list of events.

import { endpoint, fold, plural } from "./format.js";

const TONES = {
  passing: "good",
  alive: "good",
  warning: "warn",
  suspect: "warn",
  critical: "bad",
  failed: "bad",
  maintenance: "quiet",
  left: "quiet",
};

export function tone(status) {
  return TONES[status] ?? "quiet";
}

/** A check, however the agent spelled it: in Consul's words or in its own. */
export function readCheck(raw) {
  return {
    id: String(raw.id ?? raw.CheckID ?? ""),
    name: String(raw.name ?? raw.Name ?? ""),
    status: String(raw.status ?? raw.Status ?? ""),
    output: String(raw.output ?? raw.Output ?? ""),
    notes: String(raw.notes ?? raw.Notes ?? ""),
    type: String(raw.type ?? raw.Type ?? ""),
  };
}

/** An instance with what the page shows and searches. */
export function readInstance(raw) {
  const service = raw.service ?? {};
  const checks = (raw.checks ?? []).map(readCheck);
  const instance = {
    key: `${fold(raw.node)}\u0000${service.ID}`,
    node: String(raw.node),
    id: String(service.ID),
    service: String(service.Service),
    address: raw.address ?? service.Address ?? "",
    port: raw.port ?? service.Port ?? 0,
    socket: service.SocketPath ?? "",
    tags: service.Tags ?? [],
    meta: service.Meta ?? {},
    weights: service.Weights ?? null,
    status: raw.status ?? "passing",
    checks: new Map(checks.map((check) => [check.id, check])),
  };
  const meta = Object.entries(instance.meta).map(([key, value]) => `${key}=${value}`);
  const words = [instance.service, instance.id, instance.node, endpoint(instance.address, instance.port)];
  instance.words = fold([...words, ...instance.tags, ...meta].join("\n"));
  return instance;
}

export function readMember(raw) {
  const tags = Object.entries(raw.tags ?? {}).map(([key, value]) => `${key}=${value}`);
  return { ...raw, key: fold(raw.name), words: fold([raw.name, raw.address, raw.status, ...tags].join("\n")) };
}

const RETURNED = { suspect: "answers again", failed: "is back", left: "joined again" };

function ofMember(change, before) {
  const { member } = change;
  if (!member) return { text: "was forgotten", tone: "quiet" };
  const now = member.status;
  if (!before) return { text: now === "alive" ? "joined" : `is ${now}`, tone: tone(now) };
  if (before.status !== now) {
    const words = {
      alive: RETURNED[before.status] ?? "is alive",
      suspect: "does not answer: suspected",
      failed: "failed",
      left: "left",
    };
    return { text: words[now] ?? `is ${now}`, tone: tone(now) };
  }
  if (before.generation !== member.generation) return { text: "started anew", tone: "good" };
  if (before.address !== member.address) return { text: `moved to ${member.address}`, tone: "quiet" };
  return { text: "changed its tags or version", tone: "quiet" };
}

function ofInstance(change, before) {
  const status = change.instance.status ?? "";
  if (change.kind === "instance-removed") return { text: "deregistered", tone: "quiet" };
  if (change.kind === "instance-added") return { text: `registered, ${status}`, tone: tone(status) };
  if (before && before.status === status) return { text: "registered anew", tone: "quiet" };
  return { text: `became ${status}`, tone: tone(status) };
}

const MAINTENANCE = /^_(node_maintenance$|service_maintenance:)/;

function ofCheck(change) {
  const { id, name, output, notes } = readCheck(change.check);
  const status = change.check.status;
  if (MAINTENANCE.test(id)) {
    if (change.kind === "check-removed") return { text: "is back from maintenance", tone: "good" };
    return { text: `was put into maintenance${notes ? `: ${notes.slice(0, 200)}` : ""}`, tone: "quiet" };
  }
  const what = name || id;
  if (change.kind === "check-removed") return { text: `lost its check ${what}`, tone: "quiet" };
  if (change.previous === status) return { text: `changed its check ${what}`, tone: "quiet" };
  const was = change.previous ? ` (was ${change.previous})` : "";
  const why = output ? `: ${output.split("\n", 1)[0].slice(0, 200)}` : "";
  return { text: `${what} is ${status}${was}${why}`, tone: tone(status) };
}

/**
 * A line of the list of events; `before` is what the change is about as it was, if that is known. `null` for
 * what another change tells already.
 */
export function describe(change, before) {
  const event = { index: change.index, at: change.at_unix_ms, node: change.node, service: null, count: 1 };
  if (change.kind.startsWith("member")) {
    return { ...event, kind: "member", subject: change.node, group: null, ...ofMember(change, before) };
  }
  if (change.check) {
    // A member's own change says it.
    if (change.check.id === "serfHealth") return null;
    // A new instance is told with its health.
    const isNew = change.kind === "check-changed" && !change.previous;
    if (isNew && change.check.status === "passing") return null;
    const owner = change.check.service_id;
    const subject = owner ? owner : change.node;
    const service = owner ? change.service : null;
    return { ...event, kind: "check", subject, service, group: null, ...ofCheck(change) };
  }
  const said = ofInstance(change, before);
  const subject = change.instance.service?.ID ?? change.service;
  const service = change.instance.service?.Service ?? change.service;
  // All instances of a host that fails say the same at the same time.
  return { ...event, kind: "service", subject, service, group: `${change.node}\u0000${said.text}`, ...said };
}

/** Whether `event` only says once more, of another instance, what `last` said. */
export function joins(event, last) {
  return Boolean(last) && event.group !== null && event.group === last.group && event.at - last.at < 500;
}

/** What an event is about, in words. */
export function subject(event) {
  return event.count > 1 ? plural(event.count, "instance") : event.subject;
}
