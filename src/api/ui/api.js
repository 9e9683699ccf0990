// Asking the agent: with the token where one was told, and never for longer than a while.

const KEY = "shoal-token";
const PATIENCE_MS = 8000;
let kept = null;

/** The token of this tab. It goes with the tab. */
export function token() {
  try {
    return sessionStorage.getItem(KEY) ?? kept;
  } catch {
    return kept;
  }
}

export function setToken(text) {
  kept = text;
  try {
    if (text === null) sessionStorage.removeItem(KEY);
    else sessionStorage.setItem(KEY, text);
  } catch {
    // Without storage it lasts as long as the page.
  }
}

/** What a header can carry. */
export function isToken(text) {
  return /^[\x21-\x7e]{1,512}$/.test(text);
}

/** The agent answered, but not with what was asked for. */
export class Refused extends Error {
  constructor(status, text) {
    super(text || `the agent answered ${status}`);
    this.status = status;
  }

  get wantsToken() {
    return this.status === 403 && this.message.includes("token");
  }
}

/** Asks, and answers a response that is a success. */
export async function ask(path, { headers = {}, signal } = {}) {
  const told = token();
  const response = await fetch(path, {
    headers: told === null ? headers : { ...headers, "X-Consul-Token": told },
    cache: "no-store",
    redirect: "error",
    signal,
  });
  if (!response.ok) {
    const text = (await response.text().catch(() => "")).trim().slice(0, 500);
    throw new Refused(response.status, text);
  }
  return response;
}

export async function getJson(path, { patience = PATIENCE_MS, signal } = {}) {
  const limit = AbortSignal.timeout(patience);
  const response = await ask(path, { signal: signal ? AbortSignal.any([signal, limit]) : limit });
  return response.json();
}

/** The same with the index that a query for a later answer names. */
export async function getIndexed(path, { patience, signal }) {
  const response = await ask(path, { signal: AbortSignal.any([signal, AbortSignal.timeout(patience)]) });
  return { index: Number(response.headers.get("x-consul-index")) || 0, body: await response.json() };
}
