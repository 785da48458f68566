/** Have the picture painted at full resolution, follow the work, and save what comes of it. */

import { byId, make } from "./elements.js";
import { complain, dismiss, say } from "./notices.js";
import { Refusal, ask, pause } from "./server.js";

/** How often in milliseconds the server is asked how far it is. */
const PERIOD = 400;

/** @type {Record<string, string>} */
const STAGES = {
  read: "Reading the picture", detect: "Looking for faces", restore: "Restoring faces",
  segment: "Finding what stays", stylize: "Painting", blend: "Melting photo and paint",
  measure: "Looking at the seams", write: "Writing the file",
};

/** @typedef {import("./server.js").Fields} Fields */
/** @typedef {{id: string, state: string, position: number | null, stage: string | null, progress: number,
 *   result: string, error: {detail: string} | null}} Job */
/** @typedef {{gather: () => Promise<Fields>, name: () => string, show: (painting: Blob) => void}} Studio */

let controller = new AbortController();

/** @param {Studio} studio */
export function offerDownload(studio) {
  byId("download").onclick = () => run(studio, false);
  byId("download-layers").onclick = () => run(studio, true);
  byId("cancel").onclick = stopDownload;
  for (const name of ["format", "quality", "metadata"]) byId(name).onchange = describeFile;
  describeFile();
}

/** Give up the work, here and on the server. */
export function stopDownload() {
  controller.abort();
}

/**
 * @param {Studio} studio
 * @param {boolean} layers
 */
async function run(studio, layers) {
  const { signal } = (controller = new AbortController());
  dismiss();
  showWork(true);
  let job = null;
  try {
    job = await submit({ ...(await studio.gather()), ...readFile(), layers }, signal);
    job = await follow(job, signal);
    await save(job, layers, studio, signal);
  } catch (error) {
    if (signal.aborted) say("Cancelled");
    complain(error, () => run(studio, layers));
  }
  if (job) forget(job);
  showWork(false);
}

/**
 * @param {Fields} fields
 * @param {AbortSignal} signal
 * @returns {Promise<Job>}
 */
async function submit(fields, signal) {
  showStage("Sending the picture", null);
  const waiting = (/** @type {number} */ seconds) =>
    showStage(`The server is busy; trying again in ${Math.ceil(seconds)} s`, null);
  return (await ask("stylize?async=1", { method: "POST", fields, signal, waiting })).json();
}

/**
 * Look after a job until it is done.
 * @param {Job} job
 * @param {AbortSignal} signal
 */
async function follow(job, signal) {
  while (job.state === "queued" || job.state === "running") {
    showStage(wordsFor(job), job.state === "running" ? job.progress : null);
    await pause(PERIOD, signal);
    job = await (await ask(`jobs/${job.id}`, { signal })).json();
  }
  if (job.state !== "done") throw new Refusal(job.error?.detail ?? "The server gave the work up; try again.");
  return job;
}

/** @param {Job} job */
function wordsFor({ state, position, stage }) {
  if (state === "running") return STAGES[stage ?? ""] ?? "Beginning";
  return position && position > 1 ? `Waiting, number ${position} in the queue` : "Waiting, next in the queue";
}

/**
 * @param {Job} job
 * @param {boolean} layers
 * @param {Studio} studio
 * @param {AbortSignal} signal
 */
async function save(job, layers, studio, signal) {
  showStage("Fetching the file", 1);
  const answer = await ask(`jobs/${job.id}/${layers ? "layers" : "result"}`, { signal });
  const file = await answer.blob();
  if (!layers) studio.show(file);
  offerFile(file, `${studio.name()}.${layers ? "layers.zip" : `painted.${suffixOf(answer)}`}`);
}

/** @param {Response} answer */
function suffixOf(answer) {
  const named = answer.headers.get("Content-Disposition")?.match(/\.(\w+)"?$/);
  return named?.[1] ?? answer.headers.get("Content-Type")?.split("/")[1] ?? "jpg";
}

/**
 * Save a file as the browser does, and leave a link to save it again.
 * @param {Blob} file
 * @param {string} name
 */
function offerFile(file, name) {
  const link = byId("again");
  if (link.href.startsWith("blob:")) URL.revokeObjectURL(link.href);
  Object.assign(link, { href: URL.createObjectURL(file), download: name });
  link.textContent = `Save ${name} again`;
  byId("saved").hidden = false;
  make("a", { href: link.href, download: name }).click();
  say(`Saved ${name}`);
}

/**
 * Let the server delete the job and its files at once; should that fail, it does so by itself later.
 * @param {Job} job
 */
function forget(job) {
  ask(`jobs/${job.id}`, { method: "DELETE" }).catch(() => {});
}

/** @returns {Fields} */
function readFile() {
  return {
    format: byId("format").value,
    quality: byId("quality").value,
    metadata: byId("metadata").checked ? "keep" : "strip",
  };
}

/** Say in the closed summary what is chosen in it. */
function describeFile() {
  const { value, selectedOptions } = byId("format");
  const lossless = value === "png" || value === "tiff";
  byId("quality").disabled = lossless;
  const quality = lossless ? "" : `, quality ${byId("quality").value}`;
  const metadata = byId("metadata").checked ? "metadata kept" : "no metadata";
  byId("file-summary").textContent = `Format ${selectedOptions[0].text}${quality}, ${metadata}`;
}

/** @param {boolean} working */
function showWork(working) {
  const focus = working ? byId("cancel") : byId("download");
  const held = byId("save").contains(document.activeElement) || byId("work").contains(document.activeElement);
  byId("work").hidden = !working;
  byId("save").hidden = working;
  if (held) focus.focus(); // or the keyboard would be thrown to the start of the page
}

/**
 * @param {string} text
 * @param {number | null} progress null where nobody knows
 */
function showStage(text, progress) {
  const bar = byId("progress");
  if (byId("stage").textContent !== text) say(text);
  byId("stage").textContent = text;
  if (progress === null) bar.removeAttribute("value");
  else bar.value = progress;
}
