/**
 * What a person says, on its way to the server: kept in the browser until the server has it on disk, so that nothing is
 * lost without a connection, by a reload, or while the server restarts. All of it can be sent twice without harm.
 *
 * @typedef {{movie: string, what: "ratings" | "marks", value: number | string | null}} Change
 * @typedef {Change & {id: string}} Waiting
 */

import { address } from "./parts.mjs";

const KEPT_AS = "matinee.waiting";
const FIELD = { ratings: "stars", marks: "mark" };
const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 30000;

let wait = FIRST_WAIT_MS;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;
/** @type {Waiting[]} */
let inMemory = [];
/** @type {Promise<void>} */
let sending = Promise.resolve();

/** What hears of it: "sent" (detail: the change), "refused" (detail: {change, why}), "waiting" (detail: how many). */
export const events = new EventTarget();

/**
 * Say something of a film; a later word about the same replaces one that was not sent yet.
 * @param {Change} change
 */
export function put(change) {
  const others = waiting().filter((one) => one.movie !== change.movie || one.what !== change.what);
  keep([...others, { ...change, id: `${Date.now()}-${Math.random()}` }]);
  send();
}

/** @returns {Waiting[]} */
export function waiting() {
  try {
    return JSON.parse(localStorage.getItem(KEPT_AS) ?? "[]");
  } catch {
    return inMemory;
  }
}

/** Send what waits, in order; one page of the browser at a time. */
export function send() {
  clearTimeout(timer);
  const run = () => (navigator.locks ? navigator.locks.request(KEPT_AS, sendAll) : sendAll());
  sending = sending.then(run, run);
}

async function sendAll() {
  for (let [first] = waiting(); first; [first] = waiting()) {
    const trouble = await sendOne(first);
    if (trouble) return again(trouble);
    const { id } = first;
    keep(waiting().filter((one) => one.id !== id));
    wait = FIRST_WAIT_MS;
  }
  tell("waiting", 0);
}

/**
 * Send one; return seconds to wait where it must be sent again.
 * @param {Waiting} change
 * @returns {Promise<number | undefined>}
 */
async function sendOne(change) {
  const { movie, what, value } = change;
  const url = address(`api/v1/users/me/${what}/${encodeURIComponent(movie)}`);
  const body = value === null ? {} : { body: JSON.stringify({ [FIELD[what]]: value }) };
  const headers = { "Content-Type": "application/json" };
  let answer;
  try {
    answer = await fetch(url, { method: value === null ? "DELETE" : "PUT", headers, ...body, keepalive: true });
  } catch {
    return wait / 1000;
  }
  if (answer.status >= 500 || answer.status === 429) return Number(answer.headers.get("Retry-After")) || wait / 1000;
  if (answer.ok) tell("sent", change);
  else tell("refused", { change, why: (await answer.json().catch(() => ({}))).detail ?? answer.statusText });
}

/** @param {number} seconds */
function again(seconds) {
  tell("waiting", waiting().length);
  timer = setTimeout(send, Math.min(seconds * 1000, LONGEST_WAIT_MS));
  wait = Math.min(2 * wait, LONGEST_WAIT_MS);
}

/** @param {Waiting[]} changes */
function keep(changes) {
  inMemory = changes;
  try {
    localStorage.setItem(KEPT_AS, JSON.stringify(changes));
  } catch {
    // a browser without storage keeps it as long as the page is open
  }
}

/**
 * @param {string} name
 * @param {unknown} detail
 */
function tell(name, detail) {
  events.dispatchEvent(new CustomEvent(name, { detail }));
}

addEventListener("online", send);
