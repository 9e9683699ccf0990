// Asking for the token where the agent wants one.

import { isToken, setToken, token } from "./api.js";
import { setText } from "./dom.js";

export class Access {
  #form = document.getElementById("token-form");
  #input = document.getElementById("token");
  #error = document.getElementById("token-error");
  #forget = document.getElementById("forget");
  #onToken;

  constructor(onToken) {
    this.#onToken = onToken;
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#take(this.#input.value.trim());
    });
    this.#forget.addEventListener("click", () => {
      setToken(null);
      location.reload();
    });
    this.#forget.hidden = token() === null;
  }

  get isOpen() {
    return !this.#form.hidden;
  }

  /** Shows the form. With a token told already, that one was wrong. */
  open() {
    if (this.isOpen && token() === null) return;
    const wrong = token() !== null;
    setToken(null);
    document.body.classList.add("is-locked");
    this.#form.hidden = false;
    this.#forget.hidden = true;
    setText(this.#error, wrong ? "The agent does not know this token." : "");
    this.#input.value = "";
    this.#input.focus();
  }

  close() {
    if (!this.isOpen) return;
    this.#form.hidden = true;
    document.body.classList.remove("is-locked");
    this.#forget.hidden = token() === null;
    document.getElementById("main").focus();
  }

  #take(text) {
    if (!isToken(text)) {
      setText(this.#error, "A token has visible ASCII characters only, and no spaces.");
      this.#input.focus();
      return;
    }
    setToken(text);
    setText(this.#error, "");
    this.#onToken();
  }
}
