/** Let the user draw what stays and what is painted, by pointer or keyboard, and hand it out as a picture. */

import { byId, chosen, fillTrack, make } from "./elements.js";
import { MEANING, SHOWN, drawStroke } from "./strokes.js";

const canvas = byId("strokes");
const ring = byId("ring");
const size = byId("brush-size");
const undo = byId("brush-undo");
const clear = byId("brush-clear");

/** @type {Record<string, [number, number]>} */
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** @typedef {import("./strokes.js").Point} Point */
/** @typedef {import("./strokes.js").Stroke} Stroke */

/** @type {Stroke[]} */
let strokes = [];
/** The stroke that is being drawn. @type {Stroke | null} */
let current = null;
/** Where the keyboard's brush is. @type {Point} */
let place = { x: 0, y: 0 };
/** The finished strokes, as they are shown. */
const finished = make("canvas");
let changed = () => {};

/** @param {() => void} whenChanged called after each stroke */
export function watchBrush(whenChanged) {
  changed = whenChanged;
  canvas.onpointerdown = pointerDown;
  canvas.onpointermove = pointerMove;
  canvas.onpointerup = canvas.onpointercancel = finish;
  canvas.onpointerleave = () => (ring.hidden = true);
  canvas.onkeydown = press;
  canvas.onblur = () => { finish(); ring.hidden = true; };
  canvas.onfocus = () => canvas.matches(":focus-visible") && showRing(place);
  size.oninput = () => fillTrack(size);
  fillTrack(size);
  undo.onclick = takeBack;
  clear.onclick = () => { strokes = []; redraw(); changed(); };
  byId("brush-shown").onchange = (/** @type {any} */ event) =>
    canvas.classList.toggle("shown", event.target.checked);
}

/**
 * Begin with a clean canvas of the preview's size.
 * @param {number} width
 * @param {number} height
 */
export function clearBrush(width, height) {
  for (const each of [canvas, finished]) Object.assign(each, { width, height });
  strokes = [];
  current = null;
  place = { x: width / 2, y: height / 2 };
  redraw();
}

/** @returns {Promise<Blob | null>} the strokes as the server reads them; null where there are none */
export function readTouches() {
  if (!strokes.length) return Promise.resolve(null);
  const picture = make("canvas", { width: canvas.width, height: canvas.height });
  for (const stroke of strokes) drawStroke(picture.getContext("2d"), stroke, MEANING);
  return new Promise((resolve) => picture.toBlob(resolve, "image/png"));
}

/** Let the strokes fade, since the preview now shows what they did. */
export function fadeStrokes() {
  if (!current) canvas.classList.remove("fresh");
}

/** @returns {number} radius of the brush in pixels of the canvas */
const radius = () => (size.value / 100) * Math.max(canvas.width, canvas.height);

/** @param {PointerEvent} event @returns {Point} */
function pointOf(event) {
  const area = canvas.getBoundingClientRect();
  return {
    x: ((event.clientX - area.left) / area.width) * canvas.width,
    y: ((event.clientY - area.top) / area.height) * canvas.height,
  };
}

/** @param {PointerEvent} event */
function pointerDown(event) {
  if (event.button !== 0 || !event.isPrimary) return;
  canvas.setPointerCapture(event.pointerId);
  begin(pointOf(event));
}

/** @param {PointerEvent} event */
function pointerMove(event) {
  if (!event.isPrimary) return;
  showRing(pointOf(event));
  if (!current) return;
  const events = event.getCoalescedEvents?.() ?? [];
  for (const each of events.length ? events : [event]) current.points.push(pointOf(each));
  show();
}

/** @param {Point} point */
function begin(point) {
  current = { kind: /** @type {Stroke["kind"]} */ (chosen("stroke")), radius: radius(),
    soft: byId("brush-soft").checked, points: [point] };
  canvas.classList.add("fresh");
  show();
}

function finish() {
  if (!current) return;
  strokes.push(current);
  current = null;
  redraw();
  changed();
}

function takeBack() {
  strokes.pop();
  redraw();
  changed();
}

/** @param {KeyboardEvent} event */
function press(event) {
  const arrow = ARROWS[event.key];
  if (arrow) move(arrow, event.shiftKey ? 0.1 : 0.5);
  else if (event.key === " " && current) finish();
  else if (event.key === " ") begin({ ...place });
  else if (event.key.toLowerCase() === "z" && (event.ctrlKey || event.metaKey) && strokes.length) takeBack();
  else return;
  event.preventDefault();
}

/**
 * Move the keyboard's brush by a part of its radius.
 * @param {[number, number]} direction
 * @param {number} part
 */
function move([right, down], part) {
  const step = Math.max(1, part * radius());
  place = {
    x: Math.min(Math.max(place.x + right * step, 0), canvas.width),
    y: Math.min(Math.max(place.y + down * step, 0), canvas.height),
  };
  showRing(place);
  if (!current) return;
  current.points.push({ ...place });
  show();
}

/** Draw the finished strokes anew, and offer what can be done with them. */
function redraw() {
  const context = finished.getContext("2d");
  context.clearRect(0, 0, finished.width, finished.height);
  for (const stroke of strokes) drawStroke(context, stroke, SHOWN);
  undo.disabled = clear.disabled = !strokes.length;
  show();
}

function show() {
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.drawImage(finished, 0, 0);
  if (current) drawStroke(context, current, SHOWN);
}

/** @param {Point} point */
function showRing({ x, y }) {
  ring.hidden = false;
  ring.style.left = `${(100 * x) / canvas.width}%`;
  ring.style.top = `${(100 * y) / canvas.height}%`;
  ring.style.width = `${(200 * radius()) / canvas.width}%`;
}
