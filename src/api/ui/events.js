// What changed, newest first. Pausing stops the list, not the page.

import { h, icon, keyed, refill, setAttribute, setText } from "./dom.js";
import { clock, count, date, plural } from "./format.js";
import { subject } from "./changes.js";
import { EVENTS_MAX } from "./store.js";

const KINDS = [
  ["member", "Members"],
  ["service", "Services"],
  ["check", "Checks"],
];
const ICONS = { good: "passing", warn: "warning", bad: "critical", quiet: "note" };

export class Events {
  #store;
  #kinds = new Set(KINDS.map(([kind]) => kind));
  #onlyTrouble = false;
  /** What is shown while it is paused, and how many had come then. */
  #paused = null;
  #list = h("ol", { class: "events", reversed: true, "aria-label": "Events, newest first" });
  #empty = h("p", { class: "empty" });
  #pause;
  #found = h("p", { class: "found" });

  constructor(store) {
    this.#store = store;
    this.#pause = h("button", { type: "button", class: "pause", "aria-pressed": "false", onclick: () => this.#toggle() });
    const box = (id, text, checked, change) =>
      h("label", { class: "choice" }, h("input", { type: "checkbox", id, checked, onchange: change }), text);
    this.element = h(
      "section",
      { class: "events-view" },
      h("h2", { tabindex: "-1" }, "Events"),
      h(
        "div",
        { class: "tools" },
        h(
          "fieldset",
          { class: "choices" },
          h("legend", { class: "visually-hidden" }, "Show events of"),
          KINDS.map(([kind, text]) =>
            box(`event-${kind}`, text, true, (event) => {
              if (event.target.checked) this.#kinds.add(kind);
              else this.#kinds.delete(kind);
              this.#show();
            }),
          ),
          box("event-trouble", "Only trouble", false, (event) => {
            this.#onlyTrouble = event.target.checked;
            this.#show();
          }),
        ),
        this.#pause,
      ),
      this.#found,
      this.#list,
      this.#empty,
    );
    this.#show();
  }

  open(_, focus) {
    if (focus) this.element.querySelector("h2").focus();
    this.#show();
  }

  update(topics) {
    if (topics.has("events")) this.#show();
  }

  #toggle() {
    this.#paused = this.#paused === null ? { events: [...this.#store.events], came: this.#store.eventCount } : null;
    this.#show();
  }

  #show() {
    const paused = this.#paused !== null;
    const all = paused ? this.#paused.events : this.#store.events;
    const missed = paused ? this.#store.eventCount - this.#paused.came : 0;
    setAttribute(this.#pause, "aria-pressed", String(paused));
    refill(this.#pause, `${paused} ${missed}`, () => [icon(paused ? "play" : "pause"), paused ? `Go on${missed > 0 ? ` (${count(missed)} new)` : ""}` : "Pause"]);
    const shown = all.filter(
      ({ kind, tone }) => this.#kinds.has(kind) && (!this.#onlyTrouble || tone === "bad" || tone === "warn"),
    );
    keyed(this.#list, shown, (event) => event.key ?? event.index, () => h("li", {}), (element, event) => this.#fill(element, event));
    const narrowed = shown.length < all.length;
    setText(this.#found, narrowed ? `${count(shown.length)} of ${plural(all.length, "event")}` : `${plural(all.length, "event")}${all.length === EVENTS_MAX ? ", the latest" : ""}`);
    this.#empty.hidden = shown.length > 0;
    setText(this.#empty, all.length === 0 ? "Nothing has changed yet." : "No event fits.");
  }

  #fill(element, event) {
    setAttribute(element, "class", `event is-${event.tone}`);
    refill(element, `${event.text} ${event.count} ${event.at}`, () => {
      const name = subject(event);
      const part = event.kind === "member" || (event.kind === "check" && event.service === null) ? "members" : "services";
      const target = part === "members" ? event.node : event.service;
      const at = new Date(event.at);
      return [
        h("time", { datetime: at.toISOString(), title: `${date(event.at)} ${clock(event.at)}` }, clock(event.at)),
        h("span", { class: "event-mark" }, icon(ICONS[event.tone]), h("span", { class: "visually-hidden" }, event.tone === "bad" ? "trouble: " : event.tone === "warn" ? "warning: " : "")),
        h(
          "span",
          { class: "event-text" },
          h("a", { href: `#/${part}/${encodeURIComponent(target)}` }, name),
          event.kind !== "member" && part === "services" && h("span", { class: "muted" }, ` on ${event.node}`),
          ` ${event.text}`,
        ),
      ];
    });
  }
}
