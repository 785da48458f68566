/** Take pictures by file chooser, drop, paste, clipboard and example; what becomes of them is decided elsewhere. */

import { byId } from "./elements.js";
import { complain } from "./notices.js";

/** @typedef {(picture: File) => void} Open */

/**
 * Hand every picture that the user gives to `open`.
 * @param {Open} open
 */
export function takePictures(open) {
  takeFiles(open);
  takeDrops(open);
  takePastes(open);
  takeExamples(open);
}

/**
 * Call `act` when a button of this source is pressed.
 * @param {string} source
 * @param {() => void} act
 */
export function onSource(source, act) {
  for (const button of document.querySelectorAll(`[data-source="${source}"]`)) {
    button.addEventListener("click", act);
    /** @type {HTMLButtonElement} */ (button).hidden = false;
  }
}

/** @param {Open} open */
function takeFiles(open) {
  const input = byId("file-input");
  onSource("file", () => input.click());
  input.onchange = () => {
    if (input.files[0]) open(input.files[0]);
    input.value = ""; // so that the same file can be chosen again
  };
}

/** @param {Open} open */
function takeDrops(open) {
  const curtain = byId("drop");
  const carriesFile = (/** @type {DragEvent} */ event) => event.dataTransfer?.types.includes("Files");
  addEventListener("dragover", (event) => {
    if (!carriesFile(event)) return;
    event.preventDefault();
    curtain.hidden = false;
  });
  addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) curtain.hidden = true;
  });
  addEventListener("drop", (event) => {
    curtain.hidden = true;
    if (!carriesFile(event)) return;
    event.preventDefault();
    const file = event.dataTransfer?.files[0];
    if (file) open(file);
  });
}

/** @param {Open} open */
function takePastes(open) {
  addEventListener("paste", (event) => {
    const file = event.clipboardData?.files[0];
    if (!file) return; // text, which a field may take
    event.preventDefault();
    open(file);
  });
  if ("read" in (navigator.clipboard ?? {})) onSource("clipboard", () => readClipboard(open));
}

/** @param {Open} open */
async function readClipboard(open) {
  try {
    for (const item of await navigator.clipboard.read()) {
      const type = item.types.find((name) => name.startsWith("image/"));
      if (type) return open(new File([await item.getType(type)], "pasted", { type }));
    }
    complain("The clipboard holds no picture; copy one first.");
  } catch {
    complain("The browser did not let this page read the clipboard; press Ctrl+V or Cmd+V instead.");
  }
}

/** @param {Open} open */
function takeExamples(open) {
  for (const element of document.querySelectorAll("[data-example]")) {
    const button = /** @type {HTMLButtonElement} */ (element);
    const name = button.dataset.example ?? "";
    button.onclick = async () => {
      try {
        const picture = await (await fetch(new URL(`examples/${name}`, import.meta.url))).blob();
        open(new File([picture], name, { type: "image/jpeg" }));
      } catch {
        complain("The example cannot be fetched; the server does not answer.");
      }
    };
  }
}
