/** Tells people what happened: aloud to screen readers, and on the screen for eight seconds with a way back. */

import { text } from "./texts.mjs";

export const UNDO_MS = 8000;
const IN_USE = matchMedia("(hover: hover)").matches ? ":hover, :has(:focus-visible)" : ":has(:focus-visible)";

/**
 * Let a screen reader say this when it has finished its sentence.
 * @param {string} what
 */
export function say(what) {
  const said = document.getElementById("said");
  if (said) said.textContent = said.textContent === what ? `${what}\u00a0` : what;
}

/**
 * A button that takes something back.
 * @param {string} title of the film
 * @param {() => void} undo
 */
export function undoButton(title, undo) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = text("undo");
  button.setAttribute("aria-label", text("undo_label", { title }));
  button.addEventListener("click", undo, { once: true });
  return button;
}

/**
 * Show this for a while at the foot of the page, with a button where there is something to press.
 * @param {string} what
 * @param {HTMLButtonElement} [button]
 */
export function toast(what, button) {
  const box = document.createElement("div");
  box.className = "toast";
  box.append(paragraph(what));
  if (button) {
    button.addEventListener("click", () => box.remove());
    box.append(button);
  }
  document.getElementById("toasts")?.replaceChildren(box);
  later(box, () => box.remove());
  say(what);
}

/** @param {string} what */
export function paragraph(what) {
  const line = document.createElement("p");
  line.textContent = what;
  return line;
}

/**
 * Do this when eight seconds are over and nobody's pointer or keyboard is in the element any more.
 * @param {Element} element
 * @param {() => void} act
 */
export function later(element, act) {
  setTimeout(() => whenLeft(element, act), UNDO_MS);
}

/**
 * Do this as soon as nobody's pointer or keyboard is in the element. Focus that a click or a thumb left there does not count.
 * @param {Element} element
 * @param {() => void} act
 */
export function whenLeft(element, act) {
  if (!element.matches(IN_USE)) return act();
  const left = new AbortController();
  const look = () =>
    setTimeout(() => {
      if (left.signal.aborted || element.matches(IN_USE)) return;
      left.abort();
      act();
    });
  for (const event of ["pointerleave", "focusout"]) element.addEventListener(event, look, { signal: left.signal });
}
