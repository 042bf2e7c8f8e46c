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

function offerCopy() {
  const link = document.querySelector("[data-link]");
  if (!(link instanceof HTMLAnchorElement) || !navigator.clipboard) return;
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = text("copy");
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(link.href);
    button.textContent = text("copied");
    say(text("copied"));
  });
  link.parentElement?.after(button);
}
