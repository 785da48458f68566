/** Hold which faces stay: each is a button over the picture. Finding them is the server's work. */

import { byId, make } from "./elements.js";

const boxes = byId("boxes");
const hint = byId("face-hint");

/** Centres of the faces as parts of width and height, in the server's order. @type {string[]} */
let centres = [];
let changed = () => {};

/** @param {() => void} whenChanged */
export function watchFaces(whenChanged) {
  changed = whenChanged;
  byId("all-faces").onclick = () => pressAll(true);
  byId("no-faces").onclick = () => pressAll(false);
}

/** Forget the faces of the former picture. */
export function clearFaces() {
  centres = [];
  boxes.replaceChildren();
  describe("Looking for faces.");
}

/**
 * Draw a button at each face; at first all of them stay.
 * @param {{size: [number, number], faces: {box: [number, number, number, number]}[]}} found
 */
export function showFaces({ size: [width, height], faces }) {
  centres = faces.map(({ box: [x0, y0, x1, y1] }) =>
    `${((x0 + x1) / 2 / width).toFixed(3)}:${((y0 + y1) / 2 / height).toFixed(3)}`);
  boxes.replaceChildren(...faces.map(({ box }, index) => makeBox(box, width, height, index + 1)));
  describe(faces.length
    ? "Press a face to let it be painted, and again to let it stay."
    : "No face was found; draw with the brush what shall stay a photo.");
}

/** @returns {number | null} how many faces stay, or null while they are not known */
export const countKept = () =>
  boxes.childElementCount ? boxes.querySelectorAll("[aria-pressed=true]").length : null;

/**
 * Return what the server is told: "all" where all stay, so that faces too small to be seen here stay too.
 * @returns {{faces?: string, preserve?: string}}
 */
export function readFaces() {
  const kept = centres.filter((_, index) => boxes.children[index].ariaPressed === "true");
  if (kept.length === centres.length) return { faces: "all" };
  return kept.length ? { faces: kept.join(",") } : { preserve: "none" };
}

/**
 * @param {[number, number, number, number]} box
 * @param {number} width
 * @param {number} height
 * @param {number} number
 */
function makeBox([x0, y0, x1, y1], width, height, number) {
  const box = make("button", { type: "button", ariaPressed: "true" }, make("span", {}, String(number)));
  box.setAttribute("aria-label", `Face ${number} stays`);
  box.style.left = `${(50 * (x0 + x1)) / width}%`;
  box.style.top = `${(50 * (y0 + y1)) / height}%`;
  box.style.width = `${(100 * (x1 - x0)) / width}%`;
  box.style.height = `${(100 * (y1 - y0)) / height}%`;
  box.onclick = () => {
    box.ariaPressed = String(box.ariaPressed !== "true");
    changed();
  };
  return box;
}

/** @param {boolean} stays */
function pressAll(stays) {
  for (const box of boxes.children) box.ariaPressed = String(stays);
  changed();
}

/** @param {string} text */
function describe(text) {
  hint.textContent = text;
  byId("face-buttons").hidden = centres.length < 2;
}
