/** The page's scripts: what is said goes to the queue, and what comes back changes the deck and the list. */

import { drop, fold, skip } from "./deck.mjs";
import { listen, takeBack } from "./forms.mjs";
import { events as model } from "./parts.mjs";
import { events as queue, send, waiting } from "./queue.mjs";
import * as room from "./room.mjs";
import { searchAsTyped } from "./search.mjs";
import * as sheet from "./sheet.mjs";
import { followTabs } from "./tabs.mjs";
import { toast, undoButton } from "./tell.mjs";
import { text } from "./texts.mjs";
import * as tonight from "./tonight.mjs";

/** @typedef {import("./forms.mjs").Said} Said */

/** Films whose row was folded in the list, which therefore waits. */
const folded = new Set();

/** @param {Said} said */
function heard(said) {
  const card = said.form.closest("[data-card]");
  const film = /** @type {HTMLElement | null} */ (said.form.closest("[data-film]"));
  const row = said.form.closest(".said > li");
  if (card) fold(card, said);
  else if (row) sheet.put(row, said);
  else if (!film) toast(said.told, undoButton(said.title, () => takeBack(said)));
  else if (!tonight.put(film, said)) {
    folded.add(said.change.movie);
    room.hold(film);
  }
}

listen(heard, (form) => skip(/** @type {HTMLElement} */ (form.closest("[data-card]"))));
tonight.followChoices();
tonight.offerStars();
followTabs();
searchAsTyped();
room.watchRoom();

queue.addEventListener("sent", (event) => {
  const { detail } = /** @type {CustomEvent} */ (event);
  if (detail.value !== null) drop(detail.movie);
  if (folded.delete(detail.movie)) return;
  tonight.refresh();
  sheet.refresh();
  room.refresh();
});
queue.addEventListener("refused", (event) => {
  toast(text("refused", { why: /** @type {CustomEvent} */ (event).detail.why }));
});
queue.addEventListener("waiting", (event) => showConnection(/** @type {CustomEvent} */ (event).detail));
model.addEventListener("model", () => toast(text("model")));
addEventListener("offline", () => showConnection(waiting().length));
addEventListener("online", () => showConnection(waiting().length));
if (waiting().length) send();

/** @param {number} n changes that wait */
function showConnection(n) {
  const line = document.getElementById("connection");
  if (!line) return;
  const trouble = navigator.onLine ? (n ? text("waiting", { n }) : "") : text("offline");
  if (!trouble && !line.hidden) toast(text("online"));
  line.textContent = trouble;
  line.hidden = !trouble;
}
