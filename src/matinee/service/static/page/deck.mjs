/** The deck: a card that was answered folds where it lies, can be taken back for eight seconds, and gives its place to another. */

import { takeBack } from "./forms.mjs";
import { address, part } from "./parts.mjs";
import { later, paragraph, say, undoButton } from "./tell.mjs";
import { text } from "./texts.mjs";

/** @typedef {import("./forms.mjs").Said} Said */

const UNKNOWN = "matinee.unknown";
const MOST_UNKNOWN = 100;

/**
 * Fold the card in which something was said.
 * @param {Element} card
 * @param {Said} said
 */
export function fold(card, said) {
  lay(card, said.told, said.title, () => takeBack(said));
}

/**
 * Remember that the person does not know this card's film, and fold it.
 * @param {HTMLElement} card
 */
export function skip(card) {
  const movie = card.dataset.card ?? "";
  const title = card.querySelector("form")?.dataset.title ?? "";
  const others = unknown().filter((one) => one !== movie);
  remember([...others, movie]);
  lay(card, text("unknown", { title }), title, () => remember(unknown().filter((one) => one !== movie)));
}

/**
 * Fold a card: what was said lies on it, with a way back, until another comes.
 * @param {Element} card
 * @param {string} told
 * @param {string} title
 * @param {() => void} undo
 */
function lay(card, told, title, undo) {
  const hadFocus = card.contains(document.activeElement);
  const form = /** @type {HTMLFormElement} */ (card.querySelector("form"));
  const folded = document.createElement("div");
  folded.className = "fold";
  const button = undoButton(title, () => {
    undo();
    folded.remove();
    card.classList.remove("folded");
    form.inert = false;
    form.reset();
    /** @type {HTMLElement | null} */ (card.querySelector("a"))?.focus({ preventScroll: true });
  });
  folded.append(paragraph(told), button);
  card.classList.add("folded");
  form.inert = true;
  card.append(folded);
  if (hadFocus) button.focus({ preventScroll: true });
  say(told);
  later(card, () => folded.isConnected && renew(card));
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
 * Put another film into this card's place, none of those on the table or tonight's pick; the card stays where none comes.
 * @param {Element} card
 */
async function renew(card) {
  const query = new URLSearchParams({ n: "1" });
  for (const movie of unknown()) query.append("unknown", movie);
  for (const one of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-card], [data-pick]"))) {
    query.append("without", one.dataset.card ?? one.dataset.film ?? "");
  }
  const found = await part(address(`parts/cards?${query}`)).catch(() => undefined);
  const next = found?.querySelector("[data-card]");
  if (!next) return;
  const hadFocus = card.contains(document.activeElement);
  /** @type {HTMLElement} */ (next).style.minHeight = `${card.getBoundingClientRect().height}px`;
  card.replaceWith(next);
  if (hadFocus) /** @type {HTMLElement | null} */ (next.querySelector("a"))?.focus({ preventScroll: true });
}

/** @returns {string[]} */
function unknown() {
  try {
    return JSON.parse(localStorage.getItem(UNKNOWN) ?? "[]");
  } catch {
    return [];
  }
}

/** @param {string[]} movies */
function remember(movies) {
  try {
    localStorage.setItem(UNKNOWN, JSON.stringify(movies.slice(-MOST_UNKNOWN)));
  } catch {
    // not remembered, then
  }
}
