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
/**
 * The choices of a list that is on its way, until the address has them.
 * @type {string | undefined}
 */
let wanted;

/** Bring the list as it is now after a change: what is new in it is marked and told. */
export async function refresh() {
  const found = await bring();
  if (found) show(found, true);
  else if (found === null) fail(refresh);
}

/**
 * Bring the list that is wanted: null where it does not come, undefined where another was asked for meanwhile.
 * @returns {Promise<DocumentFragment | null | undefined>}
 */
async function bring() {
  if (!list) return undefined;
  asked += 1;
  const mine = asked;
  const slow = setTimeout(() => list.setAttribute("aria-busy", "true"), SLOW_MS);
  const found = await part(address(`parts/tonight${wanted ?? location.search}`)).catch(() => null);
  clearTimeout(slow);
  if (mine !== asked) return undefined;
  list.removeAttribute("aria-busy");
  if (found && wanted !== undefined) {
    const isStep = choice(wanted) !== choice(location.search);
    history[isStep ? "pushState" : "replaceState"](null, "", `${location.pathname}${wanted}`);
    wanted = undefined;
  }
  return found;
}

/**
 * What a query chooses, without the films that are put aside: another film is no step to come back from.
 * @param {string} query
 */
function choice(query) {
  const chosen = new URLSearchParams(query);
  chosen.delete("without");
  chosen.sort();
  return String(chosen);
}

/**
 * Fold a row where it lies, to be gone with the next list; the pick makes room at once, and so does a row for the first
 * pick. What is kept stays where it is, with the way back in the same place.
 * @param {HTMLElement} film
 * @param {Said} said
 * @returns {boolean} whether the list may change now
 */
export function put(film, said) {
  if (said.change.value === "watchlist" || said.change.value === null) {
    toast(said.told);
    return true;
  }
  const undo = undoButton(said.title, () => takeBack(said));
  const within = /** @type {HTMLElement} */ (film.closest("#tonight, #together"));
  if ("pick" in film.dataset || !within.querySelector("[data-pick]")) {
    const pressed = /** @type {HTMLElement | null} */ (film.querySelector(":focus"));
    const key = pressed?.dataset.key;
    toast(said.told, undo, () => refocus(within, [key]));
    return true;
  }
  const hadFocus = film.contains(document.activeElement);
  film.style.minHeight = `${film.getBoundingClientRect().height}px`;
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

/** Follow the choices of genre, decade and another film without a new page. */
export function followChoices() {
  list?.addEventListener("click", (event) => {
    const link = /** @type {Element} */ (event.target).closest("a[data-key]");
    if (!(link instanceof HTMLAnchorElement) || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    choose(link);
  });
  addEventListener("popstate", () => {
    wanted = undefined;
    renew();
  });
  document.addEventListener("click", closeChoosers);
  list?.addEventListener("keydown", (event) => event.key === "Escape" && closeChoosers(event));
  list?.addEventListener("focusout", closeLeft);
}

/**
 * Bring the list of a choice, which is marked at once and no more where the list does not come.
 * @param {HTMLAnchorElement} link
 */
async function choose(link) {
  wanted = withAside(link);
  const unmark = mark(link);
  if (await renew(() => choose(link))) return;
  wanted = undefined;
  unmark();
}

/**
 * Bring the list that is wanted, and say what it is.
 * @param {() => void} [again]
 * @returns {Promise<boolean>} whether it came, or another was asked for meanwhile
 */
async function renew(again = renew) {
  const found = await bring();
  if (found) show(found, false);
  else if (found === null) fail(again);
  return found !== null;
}

/**
 * The query of a choice, with the films that were put aside before and the tab.
 * @param {HTMLAnchorElement} link
 */
function withAside(link) {
  const chosen = new URLSearchParams(link.search);
  const now = new URLSearchParams(wanted ?? location.search);
  if (!chosen.has("without")) for (const movie of now.getAll("without")) chosen.append("without", movie);
  const tab = now.get("tab");
  if (tab) chosen.set("tab", tab);
  return `?${chosen}`;
}

/**
 * Mark a chip as chosen, and its chooser with it.
 * @param {HTMLAnchorElement} link
 * @returns {() => void} what unmarks it
 */
function mark(link) {
  const row = link.closest(".chips")?.children ?? [link];
  const marked = [...row].filter((one) => one.hasAttribute("aria-current"));
  const isChosen = link.matches(".chip") && !marked.includes(link);
  for (const one of marked) one.removeAttribute("aria-current");
  if (isChosen) link.setAttribute("aria-current", "true");
  return () => {
    link.removeAttribute("aria-current");
    for (const one of marked) one.setAttribute("aria-current", "true");
  };
}

/**
 * Close the choosers that this was not pressed in; by Escape all, with the focus on the one that had it.
 * @param {Event} event
 */
function closeChoosers({ type, target }) {
  for (const chooser of document.querySelectorAll(".chooser[open]")) {
    const isIn = chooser.contains(/** @type {Node} */ (target));
    if (type === "click" && isIn) continue;
    if (isIn) chooser.querySelector("summary")?.focus({ preventScroll: true });
    chooser.removeAttribute("open");
  }
}

/**
 * Close a chooser that the focus left for something else.
 * @param {FocusEvent} event
 */
function closeLeft({ target, relatedTarget }) {
  const chooser = /** @type {Element} */ (target).closest(".chooser[open]");
  if (relatedTarget && !chooser?.contains(/** @type {Node} */ (relatedTarget))) chooser?.removeAttribute("open");
}

/** Put stars into a row when it opens. */
export function offerStars() {
  list?.addEventListener("toggle", ({ target }) => starsInto(/** @type {Element} */ (target)), true);
}

/** @param {Element} row */
function starsInto(row) {
  const give = document.getElementById("give");
  const form = row.querySelector("form.say");
  if (!row.matches("[data-row]") || !(give instanceof HTMLTemplateElement) || !(form instanceof HTMLFormElement)) return;
  if (form.querySelector(".give")) return;
  const stars = /** @type {DocumentFragment} */ (give.content.cloneNode(true));
  const legend = stars.querySelector("legend");
  if (legend) legend.textContent = (legend.textContent ?? "").replace("{title}", form.dataset.title ?? "");
  form.prepend(stars);
}

/**
 * @param {DocumentFragment} found
 * @param {boolean} changed whether it is another list because something was said, and not because another was chosen
 */
function show(found, changed) {
  const target = /** @type {HTMLElement} */ (list);
  const before = new Set(films(target));
  const isFirst = !target.querySelector("[data-pick]");
  const fresh = isFirst || !changed ? [] : films(found).filter((movie) => !before.has(movie));
  for (const movie of fresh) markFresh(/** @type {HTMLElement} */ (found.querySelector(`[data-film="${CSS.escape(movie)}"]`)));
  for (const open of target.querySelectorAll("details[open][data-row]")) {
    found.querySelector(`[data-row="${CSS.escape(/** @type {HTMLElement} */ (open).dataset.row ?? "")}"]`)?.setAttribute("open", "");
  }
  const at = document.activeElement instanceof HTMLElement && target.contains(document.activeElement) ? document.activeElement : null;
  const keys = at ? [at.dataset.key, ...following(at)] : [];
  const scrolled = target.querySelector(".choices")?.scrollLeft ?? 0;
  target.replaceChildren(found);
  target.querySelector(".choices")?.scrollTo(scrolled, 0);
  for (const row of target.querySelectorAll("details[open][data-row]")) starsInto(row);
  if (at) refocus(target, keys);
  count(isFirst ? films(target).length : fresh.length);
  peek(target);
  if (isFirst || !changed) say(target.querySelector("[data-note]")?.textContent ?? "");
  else if (fresh.length) say(fresh.length === 1 ? text("new_film") : text("new_films", { n: fresh.length }));
}

/**
 * The keys of the rows from the one that has the focus, which may be gone from the next list.
 * @param {Element} at
 * @returns {string[]}
 */
function following(at) {
  const keys = [];
  for (let row = at.closest("[data-film]"); row instanceof HTMLElement; row = row.nextElementSibling) keys.push(`row-${row.dataset.film}`);
  return keys;
}

/**
 * @param {ParentNode} within
 * @returns {string[]}
 */
function films(within) {
  return [...within.querySelectorAll("[data-film]")].map((one) => /** @type {HTMLElement} */ (one).dataset.film ?? "");
}

/** @param {HTMLElement} film */
function markFresh(film) {
  film.classList.add("fresh");
  film.querySelector(".name")?.setAttribute("data-new", text("fresh"));
}

/**
 * Put the focus on the first of these that is there and in sight.
 * @param {HTMLElement} within
 * @param {(string | undefined)[]} keys of what had the focus, and of what else may
 */
function refocus(within, keys) {
  const same = keys.map((key) => key && within.querySelector(`[data-key="${CSS.escape(key)}"]`)).find((one) => one);
  const chooser = same && same.closest(".chooser:not([open])")?.querySelector("summary");
  const target = /** @type {HTMLElement | null} */ (chooser || same || within.querySelector("h1"));
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

/**
 * Tell above the tabs what tonight's film is, where the list is out of sight.
 * @param {HTMLElement} within
 */
function peek(within) {
  const bar = /** @type {HTMLElement | null} */ (document.querySelector(".peek"));
  const pick = within.querySelector("[data-pick]");
  if (!bar) return;
  bar.hidden = !pick;
  const title = pick?.querySelector("h2")?.textContent ?? "";
  const stars = pick?.querySelector("[data-stars]:not(form)")?.getAttribute("data-stars") ?? "";
  bar.textContent = pick ? text("peek", { title, stars }) : "";
}

/** @param {() => void} again */
function fail(again) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = text("again");
  button.addEventListener("click", again);
  toast(text("failed"), button);
  addEventListener("online", again, { once: true });
}
