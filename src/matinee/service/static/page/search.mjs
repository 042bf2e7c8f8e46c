/** Search as one types: what a title may mean, below the field, reached by the arrow keys. */

import { address, part } from "./parts.mjs";
import { paragraph, say } from "./tell.mjs";
import { text } from "./texts.mjs";

const PAUSE_MS = 120;

export function searchAsTyped() {
  const field = document.getElementById("query");
  const found = document.getElementById("found");
  const form = field?.closest("form");
  if (!(field instanceof HTMLInputElement) || !found || !form) return;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let pause;
  let asked = "";

  const close = () => {
    found.hidden = true;
    asked = "";
  };
  const look = async () => {
    const query = field.value.trim();
    if (!query) return close();
    asked = query;
    const films = await part(address(`parts/search?q=${encodeURIComponent(query)}`)).catch(() => undefined);
    if (asked !== query) return;
    found.replaceChildren(films ?? paragraph(text("failed")));
    found.hidden = false;
    const n = found.querySelectorAll("li").length;
    say(!films ? text("failed") : n === 1 ? text("result") : text("results", { n }));
  };

  field.addEventListener("input", () => {
    clearTimeout(pause);
    pause = setTimeout(look, PAUSE_MS);
  });
  form.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !found.hidden) {
      close();
      field.focus();
    }
    if (event.key === "ArrowDown" || event.key === "ArrowUp") step(event, field, found);
  });
  form.addEventListener("focusout", () => setTimeout(() => form.contains(document.activeElement) || close()));
}

/**
 * @param {KeyboardEvent} event
 * @param {HTMLInputElement} field
 * @param {HTMLElement} found
 */
function step(event, field, found) {
  if (found.hidden) return;
  const stops = [field, ...found.querySelectorAll("a")];
  const at = stops.indexOf(/** @type {HTMLInputElement} */ (document.activeElement));
  const next = stops[at + (event.key === "ArrowDown" ? 1 : -1)];
  if (next) next.focus();
  event.preventDefault();
}
