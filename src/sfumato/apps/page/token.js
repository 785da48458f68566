/** Keep the server's token for as long as the tab is open, and ask for it; it is stored nowhere else. */

import { byId } from "./elements.js";

const KEY = "sfumato-token";

/** @type {Promise<boolean> | null} */
let question = null;

/** Take the token out of the address, where a link may have put it: #token=... */
export function takeTokenFromAddress() {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (token === null) return;
  sessionStorage.setItem(KEY, token);
  history.replaceState(null, "", location.pathname + location.search);
}

/** @returns {string | null} */
export const readToken = () => sessionStorage.getItem(KEY);

/**
 * Ask for a token; several requests that miss it share one question.
 * @param {boolean} refused whether one was given and is wrong
 * @returns {Promise<boolean>} false if the question was dismissed
 */
export function askForToken(refused) {
  question ??= openDialog(refused).finally(() => (question = null));
  return question;
}

/**
 * @param {boolean} refused
 * @returns {Promise<boolean>}
 */
function openDialog(refused) {
  const dialog = byId("token");
  const text = byId("token-text");
  text.value = "";
  if (refused) byId("token-state").textContent = "This token is not the server's; look at it again.";
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    byId("token-cancel").onclick = () => dialog.close("");
    byId("token-form").onsubmit = (/** @type {Event} */ event) => {
      event.preventDefault(); // the page's policy allows no form to be sent
      sessionStorage.setItem(KEY, text.value.trim());
      dialog.close("given");
    };
    dialog.onclose = () => resolve(dialog.returnValue === "given");
  });
}
