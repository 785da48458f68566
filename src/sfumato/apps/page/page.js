/** Put the parts of the page together: a picture comes in, its options change, its painting is shown and saved. */

import { clearBrush, fadeStrokes, readTouches, watchBrush } from "./brush.js";
import { offerCamera } from "./camera.js";
import { followLine, showPainting, showPhoto } from "./compare.js";
import { offerDownload, stopDownload } from "./download.js";
import { byId } from "./elements.js";
import { clearFaces, countKept, readFaces, showFaces, watchFaces } from "./faces.js";
import { takePictures } from "./intake.js";
import { complain, dismiss, say } from "./notices.js";
import { readOptions, setDefaults, watchOptions } from "./options.js";
import { requestPreview, stopPreview } from "./preview.js";
import { ask } from "./server.js";
import { clearCards, paintCards, readStyle, showStyles, watchStyles } from "./styles.js";
import { takeTokenFromAddress } from "./token.js";

/** Longest side in pixels of what is painted as a preview. */
const PREVIEW_SIDE = 640;

/** What is worked on. @type {{file: File, small: Blob, ended: AbortController} | null} */
let picture = null;
/** Ends when another picture is opened. */
let opening = new AbortController();
/** The most bytes that the server takes. */
let largest = Infinity;
/** Whether the style cards show the picture that is worked on. */
let carded = false;
/** Whether nothing was changed since the full picture was asked for. */
let asAsked = false;

async function start() {
  takeTokenFromAddress();
  followLine();
  chooseTool();
  watchOptions(changed);
  watchStyles(changed);
  watchFaces(changed);
  watchBrush(changed);
  takePictures(open);
  offerCamera(open);
  offerDownload({ gather: () => gather(true), name: stem, show: showFull });
  await learn();
}

/** Learn from the server what it offers. */
async function learn() {
  try {
    const [about, { models }] = await Promise.all(["about", "models"].map(async (path) => (await ask(path)).json()));
    largest = about.limits.bytes;
    setDefaults(about.defaults);
    showStyles(models, about.defaults.style);
    byId("largest").textContent = `, up to ${Math.floor(largest / 1e6)} MB`;
    byId("version").textContent = `sfumato ${about.version}`;
    const latest = about.keep_minutes ? `, at the latest ${about.keep_minutes} minutes after it was made` : "";
    byId("promise").textContent =
      `Your pictures stay on this server. A painting and its photo are deleted once you have the painting${latest}.`;
  } catch (error) {
    complain(error, learn);
  }
}

/**
 * Work on another picture; the former one stays until the server could read this one.
 * @param {File} file
 */
async function open(file) {
  opening.abort();
  const ended = (opening = new AbortController());
  dismiss();
  say(`Opening ${file.name}`);
  try {
    refuseTooLarge(file);
    const small = await makeThumbnail(file, ended.signal);
    picture?.ended.abort();
    stopDownload();
    picture = { file, small, ended };
    await showBench(small);
    changed();
    await findFaces(small, ended.signal);
  } catch (error) {
    if (!ended.signal.aborted) complain(error, () => open(file));
  }
}

/** @param {File} file */
function refuseTooLarge({ name, size }) {
  if (size <= largest) return;
  const [has, takes] = [size, largest].map((bytes) => (bytes / 1e6).toFixed(1));
  throw new Error(`${name} has ${has} MB, but this server takes ${takes} MB; reduce it first.`);
}

/**
 * @param {File} file
 * @param {AbortSignal} signal
 */
async function makeThumbnail(file, signal) {
  const answer = await ask("thumbnail", { method: "POST", fields: { image: file, side: PREVIEW_SIDE }, signal, waiting });
  const small = await answer.blob();
  signal.throwIfAborted();
  const size = answer.headers.get("Sfumato-Size")?.replace("x", " × ");
  byId("save-title").textContent = size ? `Full resolution, ${size}` : "Full resolution";
  return small;
}

/** @param {Blob} small */
async function showBench(small) {
  stopPreview();
  clearFaces();
  clearCards();
  carded = false;
  byId("saved").hidden = true;
  await showPhoto(small);
  clearBrush(byId("before").naturalWidth, byId("before").naturalHeight);
  const first = byId("workbench").hidden;
  byId("welcome").hidden = true;
  byId("workbench").hidden = byId("sources-again").hidden = false;
  if (!first) return;
  scrollTo(0, 0);
  byId("picture-title").focus({ preventScroll: true });
}

/**
 * @param {Blob} small
 * @param {AbortSignal} signal
 */
async function findFaces(small, signal) {
  const answer = await ask("detect", { method: "POST", fields: { image: small }, signal, waiting });
  showFaces(await answer.json());
}

/** Have the preview painted again, since something else was chosen. */
function changed() {
  asAsked = false;
  if (picture) requestPreview({ gather: () => gather(false), show: showPreview, fail: (error) => complain(error, changed) });
}

/**
 * Collect what was chosen, as the server takes it.
 * @param {boolean} full whether the picture itself is sent, or the small one
 * @returns {Promise<import("./server.js").Fields>}
 */
async function gather(full) {
  const image = full ? picture?.file : picture?.small;
  if (full) asAsked = true;
  return { image, ...readOptions(), ...readStyle(), ...readFaces(), touches: await readTouches() };
}

/**
 * @param {Blob} painting
 * @param {number} faces how many were found
 */
async function showPreview(painting, faces) {
  if (!picture) return;
  await showPainting(painting, picture.small);
  fadeStrokes();
  dismiss();
  say(`Preview updated, ${wordsForKept(faces)}`);
  if (carded) return;
  carded = true;
  paintCards(picture.small, picture.ended.signal).catch(complain);
}

/** @param {number} found */
function wordsForKept(found) {
  if (readOptions().preserve === "none") return "nothing stays a photo";
  if (found === 0) return "no face found";
  const kept = countKept() ?? found;
  if (kept === 0) return "no face kept";
  return kept === 1 ? "1 face kept" : `${kept} faces kept`;
}

/** @param {Blob} painting */
function showFull(painting) {
  if (picture && asAsked) showPainting(painting, picture.file);
}

/** @returns {string} the name of the file without its suffix */
const stem = () => picture?.file.name.replace(/\.\w+$/, "") || "picture";

/** Show what belongs to the tool that is chosen. */
function chooseTool() {
  for (const input of /** @type {NodeListOf<HTMLInputElement>} */ (document.querySelectorAll("input[name=tool]"))) {
    input.onchange = () => {
      byId("frame").dataset.tool = input.value;
      byId("face-tool").hidden = input.value !== "faces";
      byId("brush-tool").hidden = input.value !== "brush";
    };
  }
}

/** @param {number} seconds */
function waiting(seconds) {
  say(`The server is busy; trying again in ${Math.ceil(seconds)} s`);
}

start();
