/** The list: fetched again after each change, with what is new marked and told, and the focus where it was. */

import { takeBack } from "./forms.mjs";
import { address, part } from "./parts.mjs";
import { later, paragraph, say, toast, undoButton, whenLeft } from "./tell.mjs";
import { text } from "./texts.mjs";

/** @typedef {import("./forms.mjs").Said} Said */

const SLOW_MS = 300;

const list = document.getElementById("tonight");
/** Asked for, so that an older answer that comes late is not shown. */
let asked = 0;

/** Bring the list as it is now, for what the address asks. */
export async function refresh() {
  if (!list) return;
  asked += 1;
  const mine = asked;
  const slow = setTimeout(() => list.setAttribute("aria-busy", "true"), SLOW_MS);
  const found = await part(address(`parts/tonight${location.search}`)).catch(() => undefined);
  clearTimeout(slow);
  if (mine !== asked) return;
  list.removeAttribute("aria-busy");
  if (found) show(found);
  else fail();
}

/**
 * Fold a row where it lies, to be gone with the next list; the pick makes room at once.
 * @param {HTMLElement} film
 * @param {Said} said
 * @returns {boolean} whether the list may change now
 */
export function put(film, said) {
  const undo = undoButton(said.title, () => takeBack(said));
  if ("pick" in film.dataset || said.change.value === "watchlist" || said.change.value === null) {
    toast(said.told, undo);
    return true;
  }
  const hadFocus = film.contains(document.activeElement);
  film.classList.add("gone");
  film.replaceChildren(paragraph(said.told), undo);
  if (hadFocus) undo.focus({ preventScroll: true });
  say(said.told);
  later(film, refreshWhenLeft);
  return false;
}

/** Bring the list when nobody points at it or works in it. */
function refreshWhenLeft() {
  if (list) whenLeft(list, refresh);
}

/** Follow the choices of genre, decade and the next film without a new page. */
export function followChoices() {
  list?.addEventListener("click", (event) => {
    const link = /** @type {Element} */ (event.target).closest("a[data-key]");
    if (!(link instanceof HTMLAnchorElement) || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    history.pushState(null, "", link.href);
    refresh();
  });
  addEventListener("popstate", refresh);
  for (const chosen of document.querySelectorAll("a.chip[aria-current]")) bringIntoRow(/** @type {HTMLElement} */ (chosen));
}

/**
 * Bring a chosen chip into sight where its row is scrolled, as on a phone.
 * @param {HTMLElement} chosen
 */
function bringIntoRow(chosen) {
  const row = /** @type {HTMLElement} */ (chosen.parentElement);
  row.scrollLeft = chosen.offsetLeft - row.offsetLeft - (row.clientWidth - chosen.offsetWidth) / 2;
}

/** @param {DocumentFragment} found */
function show(found) {
  const target = /** @type {HTMLElement} */ (list);
  const before = new Set(films(target));
  const isFirst = !target.querySelector("[data-pick]");
  const fresh = isFirst ? [] : films(found).filter((movie) => !before.has(movie));
  for (const movie of fresh) mark(/** @type {HTMLElement} */ (found.querySelector(`[data-film="${CSS.escape(movie)}"]`)));
  for (const open of target.querySelectorAll("details[open][data-row]")) {
    found.querySelector(`[data-row="${CSS.escape(/** @type {HTMLElement} */ (open).dataset.row ?? "")}"]`)?.setAttribute("open", "");
  }
  const at = document.activeElement instanceof HTMLElement && target.contains(document.activeElement) ? document.activeElement : null;
  const chips = [...target.querySelectorAll(".chips")].map((row) => row.scrollLeft);
  target.replaceChildren(found);
  target.querySelectorAll(".chips").forEach((row, place) => (row.scrollLeft = chips[place] ?? 0));
  if (at) refocus(target, at.dataset.key);
  count(isFirst ? films(target).length : fresh.length);
  if (isFirst) say(target.querySelector("[data-note]")?.textContent ?? "");
  else if (fresh.length) say(fresh.length === 1 ? text("new_film") : text("new_films", { n: fresh.length }));
}

/**
 * @param {ParentNode} within
 * @returns {string[]}
 */
function films(within) {
  return [...within.querySelectorAll("[data-film]")].map((one) => /** @type {HTMLElement} */ (one).dataset.film ?? "");
}

/** @param {HTMLElement} film */
function mark(film) {
  film.classList.add("fresh");
  film.querySelector(".name")?.setAttribute("data-new", text("fresh"));
}

/**
 * @param {HTMLElement} within
 * @param {string | undefined} key of what had the focus
 */
function refocus(within, key) {
  const same = key && within.querySelector(`[data-key="${CSS.escape(key)}"]`);
  const target = /** @type {HTMLElement | null} */ (same || within.querySelector("h1"));
  target?.focus({ preventScroll: true });
}

/**
 * Tell at the tab how many films are new, where the list is out of sight.
 * @param {number} n
 */
function count(n) {
  const badge = /** @type {HTMLElement | null} */ (document.querySelector('[data-tab="tonight"] .count'));
  if (!badge || list?.offsetParent) return;
  badge.textContent = String(n);
  badge.hidden = n === 0;
}

function fail() {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = text("again");
  button.addEventListener("click", refresh);
  toast(text("failed"), button);
  addEventListener("online", refresh, { once: true });
}
