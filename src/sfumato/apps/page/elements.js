/** Find and make elements of the page. */

/**
 * Return the element of this id; loosely typed, since the page's own markup is known.
 * @param {string} id
 * @returns {any}
 */
export const byId = (id) => document.getElementById(id);

/**
 * Return the element of this name and value within a group of radio buttons.
 * @param {string} name
 * @param {string} value
 * @returns {HTMLInputElement | null}
 */
export const radio = (name, value) =>
  document.querySelector(`input[name="${name}"][value="${CSS.escape(value)}"]`);

/**
 * Return the value that is chosen of a group of radio buttons.
 * @param {string} name
 * @returns {string}
 */
export const chosen = (name) =>
  /** @type {HTMLInputElement | null} */ (document.querySelector(`input[name="${name}"]:checked`))?.value ?? "";

/**
 * Make an element with properties and children.
 * @param {string} tag
 * @param {Record<string, unknown>} [properties]
 * @param {...(Node | string)} children
 * @returns {any}
 */
export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/**
 * Show a picture in an image element once it is decoded, so that nothing flickers.
 * @param {HTMLImageElement} image
 * @param {Blob} picture
 * @returns {Promise<boolean>} whether the browser can show this format; if not, nothing changes
 */
export async function showPicture(image, picture) {
  const address = URL.createObjectURL(picture);
  try {
    await make("img", { src: address }).decode();
  } catch {
    URL.revokeObjectURL(address);
    return false;
  }
  const former = image.src;
  image.src = address;
  image.hidden = false;
  if (former) URL.revokeObjectURL(former);
  return true;
}

/**
 * Colour the track of a slider up to where it stands, which not all browsers do.
 * @param {HTMLInputElement} slider
 */
export function fillTrack(slider) {
  const [least, most] = [Number(slider.min), Number(slider.max)];
  slider.style.setProperty("--part", `${(100 * (slider.valueAsNumber - least)) / (most - least)}%`);
}
