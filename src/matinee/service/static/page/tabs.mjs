/** The tabs of a narrow screen: which part of the home page is shown, kept in the address, each at its own place. */

const NARROW = "(max-width: 55.99rem)";
const HOME = "matinee.home";

const shown = document.body;
/** How far each tab was scrolled. */
const places = new Map();

export function followTabs() {
  const links = /** @type {NodeListOf<HTMLAnchorElement>} */ (document.querySelectorAll("[data-tab]:is(a)"));
  if (!shown.dataset.tab) return leadBack(links);
  if (matchMedia(NARROW).matches) keep(shown.dataset.tab);
  addEventListener("pagehide", rememberHome);
  addEventListener("popstate", () => show(new URLSearchParams(location.search).get("tab") ?? shown.dataset.tab ?? ""));
  document.addEventListener("click", (event) => {
    const link = /** @type {Element} */ (event.target).closest("a[data-tab]");
    if (!(link instanceof HTMLAnchorElement) || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    turnTo(link.dataset.tab ?? "");
  });
}

/** @param {string} tab */
function turnTo(tab) {
  places.set(shown.dataset.tab, scrollY);
  show(tab);
  keep(tab);
  scrollTo(0, places.get(tab) ?? 0);
  if (document.activeElement?.getClientRects().length) return;
  /** @type {HTMLElement | null} */ (document.querySelector(`#${tab} h1`))?.focus({ preventScroll: true });
}

/** @param {string} tab */
function show(tab) {
  shown.dataset.tab = tab;
  for (const one of document.querySelectorAll(".tabs [data-tab]")) {
    const isShown = /** @type {HTMLElement} */ (one).dataset.tab === tab;
    if (isShown) one.setAttribute("aria-current", "page");
    else one.removeAttribute("aria-current");
  }
  const count = document.querySelector(`.tabs [data-tab="${tab}"] .count`);
  if (count instanceof HTMLElement) count.hidden = true;
}

/**
 * Keep the tab in the address, so that a reload and the way back show it again.
 * @param {string} tab
 */
function keep(tab) {
  const url = new URL(location.href);
  url.searchParams.set("tab", tab);
  history.replaceState(history.state, "", url);
}

/** What was chosen at home is there again when one comes back from another page by its tab. */
function rememberHome() {
  try {
    sessionStorage.setItem(HOME, location.search);
  } catch {
    // not remembered, then
  }
}

/** @param {Iterable<HTMLAnchorElement>} links */
function leadBack(links) {
  let query = "";
  try {
    query = sessionStorage.getItem(HOME) ?? "";
  } catch {
    return;
  }
  for (const link of links) {
    const chosen = new URLSearchParams(query);
    chosen.set("tab", link.dataset.tab ?? "");
    link.search = String(chosen);
  }
}
