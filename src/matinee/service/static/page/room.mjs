/** A room: looks now and then who came in, and lets the link be copied. */

import { part } from "./parts.mjs";
import { say } from "./tell.mjs";
import { text } from "./texts.mjs";

const EVERY_MS = 4000;

export function watchRoom() {
  const room = /** @type {HTMLElement | null} */ (document.querySelector("[data-room]"));
  const together = document.getElementById("together");
  if (!room || !together) return;
  offerCopy();
  if (together.querySelector("[data-members]")) setInterval(() => look(room.dataset.room ?? "", together), EVERY_MS);
}

/**
 * @param {string} url
 * @param {HTMLElement} together
 */
async function look(url, together) {
  if (document.hidden) return;
  const found = await part(url).catch(() => undefined);
  const members = found?.querySelector("[data-members]");
  if (!found || !members || same(found, together)) return;
  const key = document.activeElement instanceof HTMLElement ? document.activeElement.dataset.key : undefined;
  together.replaceChildren(found);
  if (key) /** @type {HTMLElement | null} */ (together.querySelector(`[data-key="${key}"]`))?.focus({ preventScroll: true });
  say(members.textContent ?? "");
}

/**
 * @param {ParentNode} found
 * @param {ParentNode} shown
 */
function same(found, shown) {
  const [one, other] = [found, shown].map((within) => [...within.querySelectorAll("[data-members], [data-film]")]);
  return one.map((element) => element.textContent).join() === other.map((element) => element.textContent).join();
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
