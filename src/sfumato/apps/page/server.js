/** Ask the server, with its token and with patience where it is busy; it draws nothing. */

import { askForToken, readToken } from "./token.js";

const ROOT = new URL("../v1/", import.meta.url);

/** Tells this page apart from others, so that the server can be fair. */
const CLIENT = Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) =>
  byte.toString(16).padStart(2, "0")).join("");

/** The server refuses: `message` is its line for the user. */
export class Refusal extends Error {}

/** The server does not answer. */
export class Unreachable extends Error {}

/** @typedef {Record<string, Blob | string | number | boolean | null | undefined>} Fields */
/** @typedef {{method?: string, fields?: Fields, signal?: AbortSignal, waiting?: (seconds: number) => void}} Wish */

/**
 * Send a request and return the answer once it is a good one.
 *
 * Where the server is busy, it is asked again after the time that it names, which `waiting` is told.
 * @param {string} path below /v1/, or an address that the server gave
 * @param {Wish} [wish] fields that are null, undefined or empty are left out
 * @returns {Promise<Response>}
 * @throws {Refusal | Unreachable | DOMException} the last if `signal` was aborted
 */
export async function ask(path, wish = {}) {
  for (;;) {
    const token = readToken();
    const response = await send(new URL(path, ROOT), token, wish);
    if (response.ok) return response;
    const reason = await readRefusal(response);
    if (response.status === 401) {
      if (readToken() !== token || (await askForToken(token !== null))) continue;
      throw reason;
    }
    const seconds = secondsToWait(response);
    if (seconds === null) throw reason;
    wish.waiting?.(seconds);
    await pause(1000 * seconds, wish.signal);
  }
}

/**
 * Wait, or throw as soon as the signal is aborted.
 * @param {number} milliseconds
 * @param {AbortSignal} [signal]
 * @returns {Promise<void>}
 */
export function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const end = () => { clearTimeout(timer); reject(signal?.reason); };
    const timer = setTimeout(() => { signal?.removeEventListener("abort", end); resolve(); }, milliseconds);
    signal?.addEventListener("abort", end, { once: true });
  });
}

/**
 * @param {URL} address
 * @param {string | null} token
 * @param {Wish} wish
 */
async function send(address, token, { method = "GET", fields, signal }) {
  const headers = { "Sfumato-Client": CLIENT, ...(token && { Authorization: `Bearer ${token}` }) };
  try {
    return await fetch(address, { method, headers, signal, body: fields && packed(fields), cache: "no-store" });
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new Unreachable("The server does not answer; look whether sfumato serve still runs, and try again.");
  }
}

/** @param {Fields} fields */
function packed(fields) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) {
    if (value instanceof Blob) form.append(name, value);
    else if (value !== null && value !== undefined && value !== "") form.append(name, String(value));
  }
  return form;
}

/**
 * Return how long a busy server wants to be left alone, or null where it is not that.
 * @param {Response} response
 */
function secondsToWait(response) {
  const seconds = Number(response.headers.get("Retry-After") ?? NaN);
  return [429, 503].includes(response.status) && seconds >= 0 ? Math.max(seconds, 0.5) : null;
}

/** @param {Response} response */
async function readRefusal(response) {
  const problem = await response.json().catch(() => ({}));
  return new Refusal(problem.detail ?? problem.title ?? `The server answered ${response.status}.`);
}
