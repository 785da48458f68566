/** Tell the user what happens and what went wrong; nothing else is changed by it. */

import { byId } from "./elements.js";
import { Unreachable } from "./server.js";

/**
 * Say something in passing; it is shown beside the picture and read out.
 * @param {string} text
 */
export function say(text) {
  byId("status").textContent = text;
  byId("opening").textContent = text;
}

/**
 * Show why something failed; that a request was given up is no failure.
 * @param {unknown} error
 * @param {() => void} [again] what to try again if the server could not be reached
 */
export function complain(error, again) {
  if (error instanceof DOMException && error.name === "AbortError") return;
  const text = error instanceof Error ? error.message : String(error);
  byId("complaint-text").textContent = text.charAt(0).toUpperCase() + text.slice(1);
  const retry = byId("complaint-retry");
  retry.hidden = !(again && error instanceof Unreachable);
  retry.onclick = () => { dismiss(); again?.(); };
  byId("complaint").hidden = false;
  say("");
}

/** Take the complaint away, since it was read or no longer holds. */
export function dismiss() {
  byId("complaint").hidden = true;
}

byId("complaint-dismiss").onclick = () => {
  dismiss();
  byId("main").focus();
};
