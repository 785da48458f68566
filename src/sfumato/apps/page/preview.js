/** Paint the small picture again after every change, the newest change only. */

import { showBusy } from "./compare.js";
import { say } from "./notices.js";
import { ask } from "./server.js";

/** How long in milliseconds nothing has to change before the preview is asked for. */
const REST = 150;

/** Runs while something has just changed; else 0. */
let timer = 0;
let controller = new AbortController();

/** @typedef {import("./server.js").Fields} Fields */
/** @typedef {{gather: () => Promise<Fields>, show: (painting: Blob, faces: number) => Promise<void>,
 *   fail: (error: unknown) => void}} Work */

/**
 * Ask for a preview as soon as nothing changes any more; an unfinished one is given up, here and on the server.
 * @param {Work} work
 */
export function requestPreview(work) {
  clearTimeout(timer);
  showBusy(true);
  timer = setTimeout(() => paint(work), REST);
}

/** Give up what is asked for, since another picture comes. */
export function stopPreview() {
  clearTimeout(timer);
  controller.abort();
  showBusy(true);
}

/** @param {Work} work */
async function paint({ gather, show, fail }) {
  timer = 0;
  controller.abort();
  const { signal } = (controller = new AbortController());
  try {
    const fields = { ...(await gather()), metadata: "strip" };
    const answer = await ask("stylize", { method: "POST", fields, signal, waiting });
    const painting = await answer.blob();
    signal.throwIfAborted();
    await show(painting, Number(answer.headers.get("Sfumato-Faces")));
  } catch (error) {
    if (!signal.aborted) fail(error);
  }
  if (!signal.aborted && !timer) showBusy(false);
}

/** @param {number} seconds */
function waiting(seconds) {
  say(`The server is busy; trying again in ${Math.ceil(seconds)} s`);
}
