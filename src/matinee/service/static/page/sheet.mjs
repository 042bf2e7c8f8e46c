/** The pages of one film and of one's own ratings: after a change each thing stays where it is. */

import { takeBack } from "./forms.mjs";
import { part } from "./parts.mjs";
import { later, paragraph, say, toast, undoButton, whenLeft } from "./tell.mjs";

/** @typedef {import("./forms.mjs").Said} Said */

/** Asked for, so that an older answer that comes late is not shown. */
let asked = 0;

/** Show on a film's page what has changed, with the focus where it was. */
export async function refresh() {
  if (!document.querySelector("[data-now]")) return;
  asked += 1;
  const mine = asked;
  const found = await part(location.href).catch(() => undefined);
  if (mine !== asked) return;
  for (const one of document.querySelectorAll("[data-now]")) {
    const next = found?.querySelector(`[data-now="${/** @type {HTMLElement} */ (one).dataset.now}"]`);
    if (!next) continue;
    const place = controls(one).indexOf(/** @type {HTMLElement} */ (document.activeElement));
    one.replaceWith(next);
    if (place >= 0) controls(next)[place]?.focus({ preventScroll: true });
  }
}

/**
 * @param {Element} within
 * @returns {HTMLElement[]}
 */
function controls(within) {
  return [...within.querySelectorAll("input, button")].map((one) => /** @type {HTMLElement} */ (one));
}

/**
 * Show that something was said in a row of one's own: new stars stay there, and a film that is removed folds.
 * @param {Element} row
 * @param {Said} said
 */
export function put(row, said) {
  if (said.change.value === null) return fold(/** @type {HTMLElement} */ (row), said);
  const back = () => {
    takeBack(said);
    const star = said.form.querySelector(`input[value="${said.back.value}"]`);
    if (star instanceof HTMLInputElement) star.checked = true;
  };
  toast(said.told, undoButton(said.title, back));
}

/**
 * Fold a row where it lies, with a way back, until nobody points at the list any more.
 * @param {HTMLElement} row
 * @param {Said} said
 */
function fold(row, said) {
  const hadFocus = row.contains(document.activeElement);
  const shown = [...row.childNodes];
  const undo = undoButton(said.title, () => {
    takeBack(said);
    row.classList.remove("gone");
    row.replaceChildren(...shown);
    remover(row)?.focus({ preventScroll: true });
  });
  row.style.minHeight = `${row.getBoundingClientRect().height}px`;
  row.classList.add("gone");
  row.replaceChildren(paragraph(said.told), undo);
  if (hadFocus) undo.focus({ preventScroll: true });
  say(said.told);
  later(row, () => whenLeft(/** @type {Element} */ (row.parentElement), () => undo.isConnected && leave(row)));
}

/**
 * Take a row out of its list; the focus that a click left in it goes to the next one.
 * @param {HTMLElement} row
 */
function leave(row) {
  const next = row.nextElementSibling ?? row.previousElementSibling;
  const target = (next && remover(next)) ?? document.getElementById("main");
  if (row.contains(document.activeElement)) target?.focus({ preventScroll: true });
  row.remove();
}

/**
 * @param {Element} row
 * @returns {HTMLElement | null} what removes it, or brings it back
 */
function remover(row) {
  return row.querySelector("button:not(.rate)");
}
