/** Take a picture with the camera; the camera is on only while its dialog is open. */

import { byId, make } from "./elements.js";
import { onSource } from "./intake.js";

const dialog = byId("camera");
const video = byId("viewfinder");
const shoot = byId("shoot");
const state = byId("camera-state");

/** @type {MediaStream | null} */
let stream = null;

/**
 * Offer the camera where there is one.
 * @param {(picture: File) => void} open
 */
export async function offerCamera(open) {
  const devices = await navigator.mediaDevices?.enumerateDevices().catch(() => []);
  if (!devices?.some((device) => device.kind === "videoinput")) return;
  onSource("camera", start);
  byId("camera-close").onclick = () => dialog.close();
  dialog.onclose = stop;
  shoot.onclick = async () => {
    const picture = await capture();
    dialog.close();
    open(picture);
  };
}

async function start() {
  state.textContent = "Starting the camera. The browser may ask whether this page may use it.";
  shoot.disabled = true;
  dialog.showModal();
  try {
    const opened = await navigator.mediaDevices.getUserMedia({
      video: { facingMode: "user", width: { ideal: 1920 }, height: { ideal: 1080 } },
    });
    if (!dialog.open) return opened.getTracks().forEach((track) => track.stop());
    stream = opened;
    video.srcObject = stream;
    await video.play();
    state.textContent = "The picture goes to this server only when you take it.";
    shoot.disabled = false;
    shoot.focus();
  } catch (error) {
    state.textContent = `The camera cannot be used (${/** @type {Error} */ (error).message}); allow it in the browser.`;
  }
}

function stop() {
  stream?.getTracks().forEach((track) => track.stop());
  stream = null;
  video.srcObject = null;
}

/** @returns {Promise<File>} */
function capture() {
  const canvas = make("canvas", { width: video.videoWidth, height: video.videoHeight });
  canvas.getContext("2d").drawImage(video, 0, 0);
  return new Promise((resolve) =>
    canvas.toBlob((/** @type {Blob} */ blob) =>
      resolve(new File([blob], "camera.jpg", { type: blob.type })), "image/jpeg", 0.95));
}
