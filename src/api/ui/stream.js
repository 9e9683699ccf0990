// Server-sent events over fetch: an EventSource cannot send the token.

import { ask, Refused } from "./api.js";

/** A stream without a sign of life for so long is taken for dead; the agent gives one every 15 seconds. */
const SILENCE_MAX_MS = 40000;
const RETRY_FIRST_MS = 250;
const RETRY_MAX_MS = 5000;

/** Cuts text into events (WHATWG HTML, 9.2.6), whatever the pieces it comes in. */
export class Frames {
  #line = [];
  #event = { type: "message", data: [], id: null };

  *push(text) {
    const parts = text.split("\n");
    for (let i = 0; i < parts.length - 1; i += 1) {
      // A long line comes in many pieces, which are put together once.
      const whole = this.#line.length === 0 ? parts[i] : this.#line.join("") + parts[i];
      this.#line = [];
      const line = whole.endsWith("\r") ? whole.slice(0, -1) : whole;
      if (line !== "") {
        this.#field(line);
      } else if (this.#event.data.length > 0) {
        const { type, data, id } = this.#event;
        this.#event = { type: "message", data: [], id: null };
        yield { type, id, data: data.join("\n") };
      }
    }
    const rest = parts[parts.length - 1];
    if (rest !== "") this.#line.push(rest);
  }

  #field(line) {
    const colon = line.indexOf(":");
    if (colon === 0) return;
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + (line[colon + 1] === " " ? 2 : 1));
    if (name === "event") this.#event.type = value;
    else if (name === "data") this.#event.data.push(value);
    else if (name === "id") this.#event.id = value;
  }
}

/**
 * Follows a stream for ever, from where it broke off. `take(type, data)` gets each event; `tell(state, error)`
 * hears of `live` and `broken`.
 */
export class Stream {
  #path;
  #take;
  #tell;
  #last = null;
  #stopped = false;
  #current = null;
  #wake = null;

  constructor(path, take, tell) {
    this.#path = path;
    this.#take = take;
    this.#tell = tell;
    this.#run();
  }

  stop() {
    this.#stopped = true;
    this.retry();
  }

  /** Breaks the connection off, or does not wait any longer to make one. */
  retry() {
    this.#current?.abort();
    this.#wake?.();
  }

  async #run() {
    let wait = RETRY_FIRST_MS;
    while (!this.#stopped) {
      let error = null;
      try {
        await this.#follow(() => (wait = RETRY_FIRST_MS));
      } catch (caught) {
        error = caught;
      }
      if (this.#stopped) return;
      this.#tell("broken", error);
      // Some time apart from each other: many pages may have lost the same agent.
      const rest = error instanceof Refused ? RETRY_MAX_MS : wait * (0.75 + Math.random() / 2);
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, rest);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      wait = Math.min(wait * 2, RETRY_MAX_MS);
    }
  }

  async #follow(onLife) {
    this.#current = new AbortController();
    const { signal } = this.#current;
    let silence = setTimeout(() => this.#current.abort(), SILENCE_MAX_MS);
    try {
      const headers = this.#last === null ? {} : { "Last-Event-ID": this.#last };
      const response = await ask(this.#path, { headers, signal });
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      const frames = new Frames();
      this.#tell("live", null);
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        onLife();
        clearTimeout(silence);
        silence = setTimeout(() => this.#current.abort(), SILENCE_MAX_MS);
        for (const event of frames.push(value)) {
          if (event.type === "gone") {
            // Too slow to be told everything: begin anew.
            this.#last = null;
            return;
          }
          this.#take(event.type, JSON.parse(event.data));
          if (event.id !== null) this.#last = event.id;
        }
      }
    } finally {
      clearTimeout(silence);
      this.#current.abort();
    }
  }
}
