/** Show photo and painting over each other, parted by a line that the user moves. */

import { byId, showPicture } from "./elements.js";

const wall = byId("wall");
const frame = byId("frame");
const cut = byId("cut");
const before = byId("before");
const after = byId("after");

/** Let the line follow the slider that lies over the whole picture. */
export function followLine() {
  cut.oninput = placeLine;
  cut.ondblclick = () => { cut.value = 50; placeLine(); };
  placeLine();
}

/**
 * Show a new photo, not yet painted.
 * @param {Blob} photo
 */
export async function showPhoto(photo) {
  after.hidden = true;
  await showPicture(before, photo);
  wall.style.setProperty("--ratio", String(before.naturalWidth / before.naturalHeight));
  frame.classList.remove("painted");
}

/**
 * Lay a painting over the photo.
 * @param {Blob} painting
 * @param {Blob} photo shown beside it, at a like resolution, where the browser knows its format
 */
export async function showPainting(painting, photo) {
  const [known] = await Promise.all([showPicture(after, painting), showPicture(before, photo)]);
  if (known) frame.classList.add("painted");
}

/** @param {boolean} waiting */
export function showBusy(waiting) {
  frame.setAttribute("aria-busy", String(waiting));
}

function placeLine() {
  wall.style.setProperty("--cut", `${cut.value}%`);
  cut.setAttribute("aria-valuetext", `${Math.round(100 - cut.value)} % painting`);
}
