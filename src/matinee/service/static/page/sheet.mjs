/** The pages of one film and of one's own ratings: brought anew after a change, with the focus where it was. */

import { part } from "./parts.mjs";

/** @typedef {import("./queue.mjs").Change} Change */

/**
 * Show the page as it is after a change. Stars changed in a list that they order stay where they are.
 * @param {Change} change
 */
export async function refresh({ movie: changed, what, value }) {
  const sheet = document.querySelector(".sheet");
  const isListed = sheet?.querySelector(`.said [data-movie="${CSS.escape(changed)}"]`);
  if (!sheet?.querySelector(".say") || (isListed && what === "ratings" && value !== null)) return;
  const found = await part(location.href).catch(() => undefined);
  const next = found?.querySelector(".sheet");
  if (!next) return;
  const [movie, place] = focused(sheet);
  sheet.replaceWith(next);
  if (place >= 0) control(next, movie, place)?.focus({ preventScroll: true });
}

/**
 * The form that has the focus, by its film, and which of its controls it is on; -1 for none.
 * @param {Element} sheet
 * @returns {[string, number]}
 */
function focused(sheet) {
  const at = document.activeElement;
  const form = at?.closest("form.say");
  if (!(form instanceof HTMLFormElement) || !sheet.contains(form)) return ["", -1];
  return [form.dataset.movie ?? "", [...form.elements].indexOf(/** @type {Element} */ (at))];
}

/**
 * @param {Element} sheet
 * @param {string} movie
 * @param {number} place
 * @returns {HTMLElement | null}
 */
function control(sheet, movie, place) {
  const form = /** @type {HTMLFormElement | null} */ (sheet.querySelector(`form[data-movie="${CSS.escape(movie)}"]`));
  return /** @type {HTMLElement | null} */ (form?.elements[place] ?? document.getElementById("main"));
}
