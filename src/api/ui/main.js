// The page: asks, listens, and shows the part that the address names.

import { Access } from "./access.js";
import { getIndexed, getJson, Refused } from "./api.js";
import { setAttribute } from "./dom.js";
import { Events } from "./events.js";
import { Figures } from "./figures.js";
import { Header } from "./header.js";
import { NetworkMap } from "./map.js";
import { Members } from "./members.js";
import { Services } from "./services.js";
import { INSTANCES_MAX, Store } from "./store.js";
import { Stream } from "./stream.js";

const STATUS_EVERY_MS = 2000;
const PATIENCE_MS = 5000;
/** Round-trip times and places move slowly, and nobody is told of it. */
const PLACES_EVERY_MS = 10000;
/** Browsers keep six connections to an agent, for all tabs together: one that nobody looks at gives its own up. */
const REST_AFTER_MS = 60000;
const HISTORY = 300;
/** A stream that is behind the agent's own word for so long has been lost without a sign. */
const BEHIND_MAX_MS = 4000;

const store = new Store();
const header = new Header(store);
const views = {
  services: new Services(store),
  members: new Members(store),
  map: new NetworkMap(store),
  events: new Events(store),
  figures: new Figures(store),
};
const access = new Access(() => start());
const main = document.getElementById("main");

let stream = null;
let focused = null;
let shown = null;
let running = 0;
let naming = null;
let hiddenSince = null;
let behindSince = null;

// ---- what is shown

function parts() {
  const path = location.hash.replace(/^#\/?/, "");
  const read = (part) => {
    try {
      return decodeURIComponent(part);
    } catch {
      return part;
    }
  };
  const [view, ...rest] = path.split("/").map(read);
  return Object.hasOwn(views, view) ? [view, rest.filter((part) => part !== "")] : ["services", []];
}

/** Where a view shows one thing at a time, the thing that was chosen is where reading goes on. */
const narrow = matchMedia("(max-width: 900px)");

function route(byReader) {
  const [name, rest] = parts();
  const hadFocus = document.activeElement !== document.body;
  const focus = byReader && (shown !== name || narrow.matches || rest.length > 1);
  if (shown !== name) {
    views[shown]?.close?.();
    main.replaceChildren(views[name].element);
    shown = name;
    scrollTo(0, 0);
  }
  for (const tab of document.querySelectorAll("#tabs a")) {
    setAttribute(tab, "aria-current", tab.id === `tab-${name}` ? "page" : null);
  }
  views[name].open(rest, focus);
  // What had the focus may be gone with what was closed.
  if (byReader && hadFocus && document.activeElement === document.body) main.focus({ preventScroll: true });
  if (name === "map" || name === "members") refreshPlaces();
}

addEventListener("hashchange", () => route(true));
document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
store.listen((topics) => {
  header.update(topics);
  views[shown]?.update(topics);
});

// ---- what is known

/** Whatever goes wrong becomes the state of the link; being refused for want of a token asks for it. */
function failed(error) {
  if (error instanceof Refused) {
    if (error.wantsToken) {
      stop();
      access.open();
    }
    store.setLink("refused", error);
  } else {
    store.setLink("broken", error);
  }
}

async function start() {
  stop();
  const run = running;
  store.setLink("connecting");
  try {
    const status = await getJson("/v1/shoal/status");
    if (run !== running) return;
    access.close();
    store.takeStatus(status);
    follow((status.catalog?.instances ?? 0) > INSTANCES_MAX);
  } catch (error) {
    if (run !== running) return;
    failed(error);
    if (access.isOpen) return;
    setTimeout(() => run === running && start(), 2000);
    return;
  }
  pollStatus(run);
  if (shown === "map" || shown === "members") refreshPlaces();
}

function stop() {
  running += 1;
  store.owedSince = null;
  stream?.stop();
  stream = null;
  focused?.stop();
  focused = null;
  naming?.abort();
}

function follow(large) {
  store.large = large;
  stream?.stop();
  stream = new Stream(large ? "/v1/shoal/watch?snapshot=members" : "/v1/shoal/watch", take, (state, error) => {
    if (state === "live") store.setLink("live");
    else if (error instanceof Refused) failed(error);
    else store.setLink("broken", error);
  });
  if (large) {
    followNames(running);
    choose(parts()[0] === "services" ? (parts()[1][0] ?? null) : null);
  }
}

function take(type, data) {
  if (type === "snapshot") {
    store.takeSnapshot(data);
    takeHistory(data.index);
  } else if (type === "change") {
    const event = store.takeChange(data);
    if (event) header.announce(event);
    if (!store.large && store.instances.size > INSTANCES_MAX * 1.2) follow(true);
  }
}

async function takeHistory(upTo) {
  try {
    const { changes } = await getJson(`/v1/shoal/changes?limit=${HISTORY}`);
    store.takeHistory(changes, upTo);
  } catch {
    // The list begins with the page then.
  }
}

/** In a large directory: the names, as they change. */
async function followNames(run) {
  naming?.abort();
  naming = new AbortController();
  const { signal } = naming;
  let index = 0;
  while (run === running && !signal.aborted) {
    try {
      const answer = await getIndexed(`/v1/catalog/services?wait=55s&index=${index}`, { patience: 70000, signal });
      store.names = Object.keys(answer.body);
      index = answer.index;
      store.changed("services");
    } catch {
      index = 0;
    }
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
}

/** In a large directory: the instances of the service that is looked at. */
function choose(service) {
  if (!store.large) return;
  focused?.stop();
  focused = null;
  store.takeSnapshot({ service: "", instances: [] });
  if (service === null) return;
  focused = new Stream(
    `/v1/shoal/watch?service=${encodeURIComponent(service)}`,
    (type, data) => (type === "snapshot" ? store.takeSnapshot(data) : store.apply(data)),
    () => {},
  );
}
views.services.onChoose = choose;

// ---- what has to be asked for

async function pollStatus(run) {
  while (run === running) {
    await new Promise((resolve) => setTimeout(resolve, STATUS_EVERY_MS));
    if (run !== running) return;
    if (document.hidden) continue;
    store.owedSince = performance.now();
    try {
      store.takeStatus(await getJson("/v1/shoal/status", { patience: PATIENCE_MS }));
      if (run !== running) return;
      catchUp();
    } catch (error) {
      if (run !== running) return;
      failed(error);
    }
    store.owedSince = null;
  }
}

/** The agent says how far it is; a stream that does not get there is made anew. */
function catchUp() {
  const { state } = store.link;
  if (state === "broken" || state === "refused") stream?.retry();
  const behind = (store.status.view?.change ?? 0) > store.last && state === "live" && store.ready;
  behindSince = behind ? (behindSince ?? performance.now()) : null;
  if (behind && performance.now() - behindSince > BEHIND_MAX_MS) {
    behindSince = null;
    stream?.retry();
  }
}

async function refreshPlaces() {
  if (store.link.state === "refused" || access.isOpen) return;
  try {
    if (shown === "map") store.takeCoordinates(await getJson("/v1/coordinate/nodes"));
    store.takeMembers(await getJson("/v1/shoal/members"));
  } catch {
    // The next time will do; that the agent is away is told elsewhere.
  }
}

setInterval(() => {
  if (!document.hidden && (shown === "map" || shown === "members")) refreshPlaces();
}, PLACES_EVERY_MS);

setInterval(() => {
  if (!document.hidden) {
    header.tick();
  } else if (hiddenSince !== null && stream !== null && performance.now() - hiddenSince > REST_AFTER_MS) {
    stop();
    store.setLink("idle");
  }
}, 1000);

document.addEventListener("visibilitychange", () => {
  hiddenSince = document.hidden ? performance.now() : null;
  if (!document.hidden && store.link.state === "idle") start();
});

route(false);
start();
