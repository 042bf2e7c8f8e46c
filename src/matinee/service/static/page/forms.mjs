/**
 * The forms by which a person says something of a film: a press or a star is a change at once, without a new page.
 *
 * @typedef {import("./queue.mjs").Change} Change
 * @typedef {{change: Change, back: Change, title: string, form: HTMLFormElement, told: string}} Said
 */

import { put } from "./queue.mjs";
import { text } from "./texts.mjs";

/**
 * Hear every form of the page.
 * @param {(said: Said) => void} heard called when the change is on its way
 * @param {(form: HTMLFormElement) => void} unknown called for a film that the person does not know
 */
export function listen(heard, unknown) {
  document.addEventListener("click", rateByPointer);
  document.addEventListener("click", pressOnce);
  document.addEventListener("submit", (event) => {
    const form = /** @type {HTMLFormElement} */ (event.target);
    if (!form.matches(".say")) return;
    event.preventDefault();
    const button = /** @type {HTMLButtonElement | null} */ (event.submitter);
    if (button?.name === "unknown") return unknown(form);
    const said = read(form, button);
    if (!said) return;
    put(said.change);
    heard(said);
  });
}

/**
 * Take something back.
 * @param {Said} said
 */
export function takeBack({ back, form }) {
  put(back);
  note(form, back);
}

/**
 * A click on a star rates; the arrow keys, whose clicks have no count, only choose, and Enter rates.
 * @param {MouseEvent} event
 */
function rateByPointer({ target, detail }) {
  if (!(target instanceof HTMLInputElement) || !target.matches(".give input") || detail === 0) return;
  const rate = /** @type {HTMLButtonElement | null} */ (target.form?.querySelector(".rate"));
  target.form?.requestSubmit(rate);
}

/**
 * A double click on a button of the pick presses it once: the second click would fall on the next pick's.
 * @param {MouseEvent} event
 */
function pressOnce(event) {
  const button = /** @type {Element} */ (event.target).closest(".pick .say button");
  if (button && event.detail > 1) event.preventDefault();
}

/**
 * What a form says by this button, and what would take it back.
 * @param {HTMLFormElement} form
 * @param {HTMLButtonElement | null} button
 * @returns {Said | undefined}
 */
function read(form, button) {
  const { movie = "", title = "", stars = "", mark = "" } = form.dataset;
  const marks = button?.name === "mark";
  const star = /** @type {HTMLInputElement | null} */ (form.querySelector(".give :checked"));
  const now = marks || button?.name === "stars" ? button.value : star?.value;
  if (now === undefined) return undefined;
  const as = (/** @type {string} */ value) => change(movie, marks, value);
  note(form, as(now));
  return { change: as(now), back: as(marks ? mark : stars), title, form, told: told(as(now), title, star) };
}

/**
 * @param {string} movie
 * @param {boolean} marks
 * @param {string} value "" for none
 * @returns {Change}
 */
function change(movie, marks, value) {
  return { movie, what: marks ? "marks" : "ratings", value: value === "" ? null : marks ? value : Number(value) };
}

/**
 * @param {HTMLFormElement} form
 * @param {Change} change
 */
function note(form, { what, value }) {
  form.dataset[what === "marks" ? "mark" : "stars"] = value === null ? "" : String(value);
}

/**
 * @param {Change} change
 * @param {string} title
 * @param {HTMLInputElement | null} star that was chosen
 */
function told({ what, value }, title, star) {
  if (value === null) return text("removed", { title });
  return what === "ratings" ? text("rated", { title, stars: star?.labels?.[0].textContent ?? value }) : text(String(value), { title });
}
