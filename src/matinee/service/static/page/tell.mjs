/** Tells people what happened: aloud to screen readers, and on the screen for eight seconds with a way back. */

import { text } from "./texts.mjs";

export const UNDO_MS = 8000;
const IN_USE = matchMedia("(hover: hover)").matches ? ":hover, :has(:focus-visible)" : ":has(:focus-visible)";

const APART_MS = 1200;
/** @type {string[]} */
const toSay = [];
let silent = true;

/**
 * Let a screen reader say this when it has finished its sentence, after what it was told a moment ago.
 * @param {string} what
 */
export function say(what) {
  if (what && toSay.at(-1) !== what) toSay.push(what);
  if (silent) sayNext();
}

function sayNext() {
  const said = document.getElementById("said");
  const what = toSay.shift();
  silent = what === undefined;
  if (!said || what === undefined) return;
  said.textContent = said.textContent === what ? `${what}\u00a0` : what;
  setTimeout(sayNext, APART_MS);
}

/**
 * A button that takes something back.
 * @param {string} title of the film
 * @param {() => void} undo
 */
export function undoButton(title, undo) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "undo";
  button.textContent = text("undo");
  button.setAttribute("aria-label", text("undo_label", { title }));
  button.addEventListener("click", undo, { once: true });
  return button;
}

/**
 * Show this for a while at the foot of the page, with a button where there is something to press.
 * @param {string} what
 * @param {HTMLButtonElement} [button]
 * @param {() => void} [back] puts the focus back where it was; what is pressed by keyboard lends it to the button meanwhile
 */
export function toast(what, button, back) {
  const box = document.createElement("div");
  box.className = "toast";
  box.append(paragraph(what));
  if (button) {
    button.addEventListener("click", () => box.remove());
    if (back) button.addEventListener("click", back);
    box.append(button);
  }
  document.getElementById("toasts")?.replaceChildren(box);
  if (button && back && document.activeElement?.matches(":focus-visible")) lendFocus(button, back);
  later(box, () => box.remove());
  say(what);
}

/**
 * Give a button the focus until it is pressed or left by Tab or Escape.
 * @param {HTMLButtonElement} button
 * @param {() => void} back
 */
function lendFocus(button, back) {
  button.focus({ preventScroll: true });
  button.addEventListener("keydown", (event) => {
    if (event.key !== "Tab" && event.key !== "Escape") return;
    event.preventDefault();
    back();
  });
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
