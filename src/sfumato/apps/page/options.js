/** Hold the sliders and what stays a photo, with their defaults; what they do is the server's work. */

import { byId, chosen, fillTrack, make, radio } from "./elements.js";

const PARTS = ["skin", "eyes", "brows", "lips", "teeth"];
const FINE = ["strength", "paint", "restore", "feather"];

let changed = () => {};

/** @param {() => void} whenChanged */
export function watchOptions(whenChanged) {
  changed = whenChanged;
  document.querySelectorAll("[data-slider]").forEach(
    (row) => fillSlider(/** @type {HTMLElement} */ (row)));
  for (const input of document.querySelectorAll("input[name=preserve]")) {
    input.addEventListener("change", () => { showParts(); changed(); });
  }
  byId("reset-all").onclick = () => {
    FINE.forEach((name) => reset(byId(name)));
    byId("strength").focus();
    changed();
  };
}

/**
 * Begin with the server's defaults.
 * @param {Record<string, any>} defaults
 */
export function setDefaults(defaults) {
  for (const name of FINE) {
    if (name in defaults) byId(name).defaultValue = defaults[name];
    reset(byId(name));
  }
  setPreserve(defaults.preserve ?? "face");
}

/** @returns {Record<string, string | number>} */
export function readOptions() {
  const numbers = FINE.map((name) => [name, byId(name).value]);
  return { ...Object.fromEntries(numbers), preserve: readPreserve() };
}

/** @returns {string} */
function readPreserve() {
  if (chosen("preserve") !== "parts") return chosen("preserve");
  const kept = PARTS.filter((name) => Number(byId(name).value) > 0);
  return kept.map((name) => `${name}=${byId(name).value}`).join(",") || "none";
}

/**
 * Choose what stays, as the command line writes it: a whole, or parts such as "eyes=1,skin=0.6".
 * @param {string} preserve
 */
function setPreserve(preserve) {
  const whole = radio("preserve", preserve);
  /** @type {HTMLInputElement} */ (whole ?? radio("preserve", "parts")).checked = true;
  if (!whole) {
    const parts = new Map(preserve.split(",").map((part) => /** @type {[string, string]} */ (part.trim().split("="))));
    for (const name of PARTS) {
      byId(name).defaultValue = parts.has(name) ? (parts.get(name) ?? "1") : "0";
      reset(byId(name));
    }
  }
  showParts();
}

function showParts() {
  byId("parts").hidden = chosen("preserve") !== "parts";
}

/**
 * Fill a row, which has its label only, with slider, value and reset.
 * @param {HTMLElement} row
 */
function fillSlider(row) {
  const { slider: id = "", start = "1", most = "1", step = "0.01" } = row.dataset;
  const input = make("input", { type: "range", id, min: "0", max: most, step, defaultValue: start });
  const back = make("button", { type: "button", className: "reset", id: `${id}-reset` }, "↺");
  back.setAttribute("aria-label", `Reset ${row.querySelector("label")?.firstChild?.textContent?.trim()}`);
  row.append(back, make("output", { id: `${id}-value`, htmlFor: id }), input);
  input.oninput = () => { showValue(input); changed(); };
  input.ondblclick = back.onclick = () => {
    reset(input);
    input.focus();
    changed();
  };
  showValue(input);
}

/** @param {HTMLInputElement} input */
function reset(input) {
  input.value = input.defaultValue;
  showValue(input);
}

/** @param {HTMLInputElement} input */
function showValue(input) {
  const text = input.max === "1" ? `${Math.round(100 * input.valueAsNumber)} %` : `${input.valueAsNumber} ×`;
  byId(`${input.id}-value`).textContent = text;
  input.setAttribute("aria-valuetext", text);
  fillTrack(input);
  byId(`${input.id}-reset`).disabled = input.value === input.defaultValue;
  byId("reset-all").disabled = FINE.every((name) => !byId(name) || byId(name).value === byId(name).defaultValue);
}
