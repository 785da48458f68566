/** Offer the styles as cards, each painted from the user's own picture, and the colours of any painting. */

import { byId, chosen, make, radio, showPicture } from "./elements.js";
import { complain, say } from "./notices.js";
import { ask } from "./server.js";

/** @typedef {{option: string, task: string, installed: boolean, commercial_use: string, weights_licence: string,
 *   in_plain_words: string}} Model */
/** @typedef {{model: Model, palette: File | null, image: HTMLImageElement}} Style */

/** The style in whose brush the colours of a painting are painted. */
const BRUSH = "monet";

const cards = byId("styles");
const adder = makeAdder();

/** Styles by the value of their card. @type {Map<string, Style>} */
const styles = new Map();
/** What the cards are painted from. @type {Blob | null} */
let sample = null;
let changed = () => {};

/** @param {() => void} whenChanged */
export function watchStyles(whenChanged) {
  changed = whenChanged;
  cards.onchange = () => { showLicence(); changed(); };
}

/**
 * Show a card for each stylizer that is on the server.
 * @param {Model[]} models
 * @param {string} preferred value of the style that is chosen at first
 */
export function showStyles(models, preferred) {
  const stylizers = models.filter((model) => model.task === "stylizer" && model.installed);
  cards.replaceChildren(adder);
  for (const model of stylizers) addCard(model.option, nameOf(model.option), model, null);
  adder.hidden = !styles.has(BRUSH);
  choose(styles.has(preferred) ? preferred : (stylizers[0]?.option ?? ""));
}

/** @returns {{style?: string, palette?: File | null}} */
export function readStyle() {
  const style = styles.get(chosen("style"));
  return style ? { style: style.model.option, palette: style.palette } : {};
}

/**
 * Paint every card from a picture.
 * @param {Blob} picture
 * @param {AbortSignal} signal
 */
export async function paintCards(picture, signal) {
  sample = picture;
  for (const style of [...styles.values()]) await paintCard(style, picture, signal);
}

/** Forget the picture that the cards show. */
export function clearCards() {
  sample = null;
  for (const { image } of styles.values()) image.hidden = true;
}

/**
 * @param {Style} style
 * @param {Blob} picture
 * @param {AbortSignal} [signal]
 */
async function paintCard({ model, palette, image }, picture, signal) {
  const fields = { image: picture, style: model.option, palette, preserve: "none", side: 160, format: "jpeg" };
  const answer = await ask("stylize", { method: "POST", fields, signal });
  await showPicture(image, await answer.blob());
}

/**
 * @param {string} value
 * @param {string} name
 * @param {Model} model
 * @param {File | null} palette
 */
function addCard(value, name, model, palette) {
  const image = make("img", { alt: "", hidden: true });
  const input = make("input", { type: "radio", name: "style", value });
  adder.before(make("label", { className: "card", title: name }, input, make("span", { className: "swatch" }, image),
    make("span", { className: "name" }, name)));
  styles.set(value, { model, palette, image });
}

/** @param {string} value */
function choose(value) {
  const input = radio("style", value);
  if (input) input.checked = true;
  showLicence();
}

/** Make the button that asks for a painting. */
function makeAdder() {
  const input = byId("palette-input");
  const button = make("button", { type: "button", className: "card", onclick: () => input.click() },
    make("span", { className: "swatch dabs", ariaHidden: "true" }), make("span", { className: "name" }, "Colours of a painting…"));
  input.onchange = () => {
    if (input.files[0]) addPalette(input.files[0]);
    input.value = "";
  };
  return button;
}

/**
 * Add the colours of a painting as a style, once the server could read it.
 * @param {File} palette
 */
async function addPalette(palette) {
  const { model } = /** @type {Style} */ (styles.get(BRUSH));
  const value = `palette ${styles.size}`;
  say(`Taking the colours of ${palette.name}`);
  try {
    const image = make("img");
    if (sample) await paintCard({ model, palette, image }, sample);
    addCard(value, palette.name.replace(/\.\w+$/, ""), model, palette);
    if (image.src) Object.assign(styles.get(value)?.image ?? {}, { src: image.src, hidden: false });
    choose(value);
    radio("style", value)?.focus();
    changed();
  } catch (error) {
    complain(error, () => addPalette(palette));
  }
}

/** Say quietly what may be done with the chosen style's weights. */
function showLicence() {
  const model = styles.get(chosen("style"))?.model;
  const details = byId("licence");
  details.hidden = !model;
  if (!model) return;
  details.querySelector("summary").textContent = `${nameOf(model.option)}, commercial use: ${model.commercial_use}`;
  details.querySelector("p").textContent = `${model.in_plain_words} Licence of the weights: ${model.weights_licence}.`;
}

/**
 * @param {string} option
 * @returns {string} the name as a card shows it: "cyclegan-cezanne" is "Cyclegan cezanne"
 */
function nameOf(option) {
  return (option.charAt(0).toUpperCase() + option.slice(1)).replaceAll("-", " ");
}
