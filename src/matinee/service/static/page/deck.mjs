/** The deck: a rated card folds where it lies, can be taken back for eight seconds, and gives its place to another. */

import { takeBack } from "./forms.mjs";
import { address, part } from "./parts.mjs";
import { later, paragraph, undoButton } from "./tell.mjs";

/** @typedef {import("./forms.mjs").Said} Said */

const UNKNOWN = "matinee.unknown";
const MOST_UNKNOWN = 100;

/**
 * Fold the card in which something was said.
 * @param {Element} card
 * @param {Said} said
 */
export function fold(card, said) {
  const hadFocus = card.contains(document.activeElement);
  const folded = document.createElement("div");
  folded.className = "fold";
  const undo = undoButton(said.title, () => {
    takeBack(said);
    folded.remove();
    card.classList.remove("folded");
    said.form.reset();
    /** @type {HTMLElement | null} */ (card.querySelector("a"))?.focus({ preventScroll: true });
  });
  folded.append(paragraph(said.told), undo);
  card.classList.add("folded");
  card.append(folded);
  if (hadFocus) undo.focus({ preventScroll: true });
  later(card, () => folded.isConnected && renew(card));
}

/**
 * Remember that the person does not know this card's film, and show another.
 * @param {Element} card
 */
export async function skip(card) {
  const movie = /** @type {HTMLElement} */ (card).dataset.card ?? "";
  const others = unknown().filter((one) => one !== movie);
  try {
    localStorage.setItem(UNKNOWN, JSON.stringify([...others, movie].slice(-MOST_UNKNOWN)));
  } catch {
    // not remembered, then
  }
  await renew(card, true);
}

/**
 * Show another card for a film of which something was said elsewhere on the page.
 * @param {string} movie
 */
export function drop(movie) {
  const card = document.querySelector(`[data-card="${CSS.escape(movie)}"]:not(.folded)`);
  if (card) renew(card);
}

/**
 * Put another film into this card's place; the card stays where none comes.
 * @param {Element} card
 * @param {boolean} [focus] on the new card
 */
async function renew(card, focus = false) {
  const query = new URLSearchParams({ n: "1" });
  for (const movie of unknown()) query.append("unknown", movie);
  for (const one of document.querySelectorAll("[data-card]")) {
    query.append("without", /** @type {HTMLElement} */ (one).dataset.card ?? "");
  }
  const found = await part(address(`parts/cards?${query}`)).catch(() => undefined);
  const next = found?.querySelector("[data-card]");
  if (!next) return;
  const hadFocus = card.contains(document.activeElement);
  /** @type {HTMLElement} */ (next).style.minHeight = `${/** @type {HTMLElement} */ (card).offsetHeight}px`;
  card.replaceWith(next);
  if (focus || hadFocus) /** @type {HTMLElement | null} */ (next.querySelector("a"))?.focus({ preventScroll: true });
}

/** @returns {string[]} */
function unknown() {
  try {
    return JSON.parse(localStorage.getItem(UNKNOWN) ?? "[]");
  } catch {
    return [];
  }
}
