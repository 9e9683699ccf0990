// What the page knows: members, instances, checks, the latest events and figures. Bounded, kept by key, and told
// to those who show it at most once in a frame.

import { describe, joins, readCheck, readInstance, readMember } from "./changes.js";
import { fold } from "./format.js";

/** Events that are kept; the oldest goes. */
export const EVENTS_MAX = 500;
/** Readings of the counters that are kept: five minutes of one every two seconds. */
const READINGS_MAX = 150;
/** With more instances than this the page asks for those of one service at a time. */
export const INSTANCES_MAX = 10000;
const FRAME_MS = 80;

const SEVERITY = { critical: 3, failed: 3, warning: 2, suspect: 2, maintenance: 1, passing: 0, alive: 0, left: -1 };

/** Worst first. */
export function severity(status) {
  return SEVERITY[status] ?? 0;
}

/** Counts of instances by health, as they are shown. */
export function tally(instances) {
  const counts = { passing: 0, warning: 0, critical: 0, maintenance: 0, all: 0 };
  for (const { status } of instances) {
    counts[status] = (counts[status] ?? 0) + 1;
    counts.all += 1;
  }
  return counts;
}

/** Critical when nobody can use it, warning when something is not as it should be. */
export function healthOf(counts) {
  if (counts.all > 0 && counts.passing + counts.warning === 0) {
    return counts.critical > 0 ? "critical" : "maintenance";
  }
  return counts.critical + counts.warning > 0 ? "warning" : counts.maintenance > 0 ? "maintenance" : "passing";
}

export class Store {
  members = new Map();
  nodeChecks = new Map();
  instances = new Map();
  /** By folded name: name and the instances by key. */
  services = new Map();
  /** Newest first. */
  events = [];
  /** Events that ever came, so that a reader who paused can be told how many there are. */
  eventCount = 0;
  status = null;
  statusAt = 0;
  /** Since when the agent owes an answer; `null` when it owes none. */
  owedSince = null;
  readings = [];
  coordinates = [];
  /** Number of the newest change that is shown. */
  last = 0;
  link = { state: "connecting", since: Date.now(), error: null };
  /** Too many instances to have them all. */
  large = false;
  /** Names without instances, where they are not all here. */
  names = [];
  ready = false;
  #listeners = new Set();
  #dirty = new Set();
  #timer = null;
  #flushed = 0;

  listen(listener) {
    this.#listeners.add(listener);
  }

  /** Something of this kind changed; listeners hear of all that did together. */
  changed(...topics) {
    topics.forEach((topic) => this.#dirty.add(topic));
    if (this.#timer !== null) return;
    const wait = Math.max(0, this.#flushed + FRAME_MS - performance.now());
    this.#timer = setTimeout(() => {
      const dirty = this.#dirty;
      this.#dirty = new Set();
      this.#timer = null;
      this.#listeners.forEach((listener) => listener(dirty));
      this.#flushed = performance.now();
    }, wait);
  }

  setLink(state, error = null) {
    if (this.link.state !== state || this.link.error !== error) {
      const since = this.link.state === state ? this.link.since : Date.now();
      this.link = { state, since, error };
      this.changed("link");
    }
  }

  /** Everything anew. With `service` only the instances of that one. */
  takeSnapshot(snapshot) {
    if (snapshot.members) {
      this.members = new Map(snapshot.members.map(readMember).map((member) => [member.key, member]));
      this.nodeChecks = new Map();
      for (const raw of snapshot.checks ?? []) this.#putNodeCheck(raw.Node, readCheck(raw));
      this.last = snapshot.index;
    }
    if (snapshot.instances && (snapshot.service !== undefined || !this.large)) {
      this.instances = new Map();
      this.services = new Map();
      for (const raw of snapshot.instances) this.#putInstance(readInstance(raw));
    }
    this.ready = true;
    this.changed("members", "services");
  }

  /** A change of the stream of everything; answers what there is to tell of it, or `null`. */
  takeChange(change) {
    this.last = change.index;
    const event = describe(change, this.#subjectOf(change));
    if (event) this.#pushEvent(event);
    const ofInstance = change.instance || change.check?.service_id;
    if (!(this.large && ofInstance)) this.apply(change);
    return event;
  }

  /** What was before the newest snapshot, as far as it is not here yet: it does not change the tables. */
  takeHistory(changes, upTo) {
    const known = this.events.reduce((most, event) => Math.max(most, event.index), 0);
    const floor = known > upTo ? 0 : known;
    const before = new Map();
    const told = [];
    for (const change of changes) {
      const key = this.#keyOf(change);
      const event = describe(change, before.get(key));
      if (change.member) before.set(key, change.member);
      else if (change.instance) before.set(key, { status: change.instance.status });
      if (!event || change.index > upTo || change.index <= floor) continue;
      const last = told[told.length - 1];
      if (joins(event, last)) told[told.length - 1] = { ...last, count: last.count + 1, index: event.index };
      else told.push(event);
    }
    const seen = new Set(this.events.map((event) => event.index));
    const all = [...this.events, ...told.filter((event) => !seen.has(event.index))];
    this.events = all.sort((a, b) => b.index - a.index).slice(0, EVENTS_MAX);
    this.changed("events");
  }

  apply(change) {
    const node = fold(change.node);
    if (change.kind === "member-changed") {
      const member = readMember(change.member);
      this.members.set(member.key, member);
    } else if (change.kind === "member-removed") {
      this.members.delete(node);
      this.nodeChecks.delete(node);
    } else if (change.kind === "instance-removed") {
      this.#removeInstance(`${node}\u0000${change.instance.service.ID}`);
    } else if (change.instance) {
      this.#putInstance(readInstance(change.instance));
    } else if (change.check) {
      this.#applyCheck(node, change);
    }
    this.changed(change.kind.startsWith("member") ? "members" : "services");
  }

  #applyCheck(node, change) {
    const check = readCheck(change.check);
    const removed = change.kind === "check-removed";
    if (!change.check.service_id) {
      if (removed) this.nodeChecks.get(node)?.delete(check.id);
      else this.#putNodeCheck(node, check);
      this.changed("members");
      return;
    }
    const instance = this.instances.get(`${node}\u0000${change.check.service_id}`);
    if (!instance) return;
    const checks = new Map(instance.checks);
    if (removed) checks.delete(check.id);
    else checks.set(check.id, check);
    this.#putInstance({ ...instance, checks, status: change.status ?? instance.status });
  }

  #putNodeCheck(node, check) {
    const key = fold(node);
    if (!this.nodeChecks.has(key)) this.nodeChecks.set(key, new Map());
    this.nodeChecks.get(key).set(check.id, check);
  }

  #putInstance(instance) {
    const before = this.instances.get(instance.key);
    if (before && fold(before.service) !== fold(instance.service)) this.#removeInstance(instance.key);
    this.instances.set(instance.key, instance);
    const name = fold(instance.service);
    let service = this.services.get(name);
    if (!service) {
      service = { key: name, name: instance.service, instances: new Map() };
      this.services.set(name, service);
    }
    service.instances.set(instance.key, instance);
  }

  #removeInstance(key) {
    const instance = this.instances.get(key);
    if (!instance) return;
    this.instances.delete(key);
    const name = fold(instance.service);
    const service = this.services.get(name);
    service?.instances.delete(key);
    if (service?.instances.size === 0) this.services.delete(name);
  }

  #keyOf(change) {
    const node = fold(change.node);
    return change.instance ? `${node}\u0000${change.instance.service?.ID}` : node;
  }

  #subjectOf(change) {
    return change.instance ? this.instances.get(this.#keyOf(change)) : this.members.get(this.#keyOf(change));
  }

  #pushEvent(event) {
    const newest = this.events[0];
    if (joins(event, newest)) {
      this.events[0] = { ...newest, count: newest.count + 1, index: event.index };
    } else {
      this.events.unshift(event);
      this.eventCount += 1;
      if (this.events.length > EVENTS_MAX) this.events.length = EVENTS_MAX;
    }
    this.changed("events");
  }

  takeStatus(status) {
    this.status = status;
    this.statusAt = performance.now();
    const last = this.readings[this.readings.length - 1];
    // Another run of the agent counts from nothing.
    if (last && last.generation !== status.generation) this.readings = [];
    this.readings.push({ at: this.statusAt, generation: status.generation, counters: status.counters ?? {} });
    if (this.readings.length > READINGS_MAX) this.readings.shift();
    this.changed("status");
  }

  /** Seconds since this agent heard anything of another, by its own word and the time since. */
  viewAge() {
    const age = this.status?.view?.age_s;
    return age === null || age === undefined ? null : age + (performance.now() - this.statusAt) / 1000;
  }

  takeMembers(list) {
    // Round-trip times move without being told; whatever else differs, the stream tells it better.
    for (const raw of list) {
      const known = this.members.get(fold(raw.name));
      if (known && known.generation === raw.generation) {
        known.rtt_ms = raw.rtt_ms;
        known.incarnation = raw.incarnation;
        known.held = raw.held;
      }
    }
    this.changed("members");
  }

  takeCoordinates(list) {
    this.coordinates = list;
    this.changed("coordinates");
  }

  /** Change per second of a counter between two readings; `null` where there is none. */
  rates(name) {
    const list = [];
    for (let i = 1; i < this.readings.length; i += 1) {
      const [a, b] = [this.readings[i - 1], this.readings[i]];
      const seconds = (b.at - a.at) / 1000;
      const grown = (b.counters[name] ?? 0) - (a.counters[name] ?? 0);
      list.push({ at: b.at, value: seconds > 0.01 && grown >= 0 ? grown / seconds : null });
    }
    return list;
  }
}
