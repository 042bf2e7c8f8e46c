/** A room: looks now and then who came in, brings the list anew, and lets the link be copied. */

import { part } from "./parts.mjs";
import { later, say } from "./tell.mjs";
import { text } from "./texts.mjs";

const EVERY_MS = 4000;
const AT_WORK = "details[open]:hover, details[open] :focus-visible";

const room = /** @type {HTMLElement | null} */ (document.querySelector("[data-room]"));
const together = document.getElementById("together");
/** Rows that are folded, for which the list waits. */
let held = 0;

export function watchRoom() {
  offerCopy();
  if (together?.querySelector("[data-members]")) setInterval(look, EVERY_MS);
}

/**
 * Let the list wait for a row that was folded.
 * @param {Element} row
 */
export function hold(row) {
  if (!together) return;
  held += 1;
  later(row, () => {
    held -= 1;
    refresh();
  });
}

/** Look who came in; the list is left alone while somebody is at work in one of its rows. */
async function look() {
  if (document.hidden || !together) return;
  const found = await bring();
  if (found && !held && !together.querySelector(AT_WORK)) show(found);
}

/** Bring the list as it is now. */
export async function refresh() {
  const found = together?.querySelector("[data-members]") && (await bring());
  if (found) show(found);
}

/** @returns {Promise<DocumentFragment | undefined>} the room as it is now, once it was told how many are in it */
async function bring() {
  const found = await part(room?.dataset.room ?? "").catch(() => undefined);
  const [now, before] = [found, together].map((within) => within?.querySelector("[data-members]"));
  if (!now || !before || !found) return undefined;
  if (now.textContent !== before.textContent) say(now.textContent ?? "");
  before.textContent = now.textContent;
  return found;
}

/** @param {DocumentFragment} found */
function show(found) {
  if (!together || same(found, together)) return;
  for (const open of together.querySelectorAll("details[open][data-row]")) {
    found.querySelector(`[data-row="${CSS.escape(/** @type {HTMLElement} */ (open).dataset.row ?? "")}"]`)?.setAttribute("open", "");
  }
  const at = document.activeElement instanceof HTMLElement && together.contains(document.activeElement) ? document.activeElement : null;
  together.replaceChildren(found);
  const key = at?.dataset.key;
  const next = (key && together.querySelector(`[data-key="${CSS.escape(key)}"]`)) || (at && document.getElementById("main"));
  if (next instanceof HTMLElement) next.focus({ preventScroll: true });
}

/**
 * @param {ParentNode} found
 * @param {ParentNode} shown
 */
function same(found, shown) {
  const [one, other] = [found, shown].map((within) => [...within.querySelectorAll(".choices, [data-film], [data-film] [aria-pressed]")]);
  const said = (/** @type {Element} */ element) => `${element.getAttribute("aria-pressed")} ${element.textContent}`;
  return one.map(said).join() === other.map(said).join();
}

/** Copy the link at a press; where the browser keeps the clipboard from plain HTTP, as a selection is copied. */
function offerCopy() {
  const button = document.querySelector("[data-copy]");
  if (!(button instanceof HTMLButtonElement)) return;
  button.addEventListener("click", async () => {
    const link = document.querySelector(".address");
    if (navigator.clipboard) await navigator.clipboard.writeText(button.dataset.copy ?? "");
    else if (link) {
      getSelection()?.selectAllChildren(link);
      document.execCommand("copy");
    }
    button.textContent = text("copied");
    say(text("copied"));
  });
}
