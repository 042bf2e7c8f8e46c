// @ts-check
// The page of the interface: fill in the parameters of a GET and see what it answers.

/**
 * The address that a form's fields ask for.
 * @param {HTMLFormElement} form
 */
function address(form) {
  let path = form.dataset.path ?? "";
  const query = new URLSearchParams();
  for (const field of /** @type {NodeListOf<HTMLInputElement>} */ (form.querySelectorAll("[data-in]"))) {
    if (field.dataset.in === "path") path = path.replace(`{${field.name}}`, encodeURIComponent(field.value));
    if (field.dataset.in !== "query" || field.value === "") continue;
    for (const value of "many" in field.dataset ? field.value.split(",") : [field.value]) query.append(field.name, value.trim());
  }
  return String(query) ? `${path}?${query}` : path;
}

/**
 * The headers that a form's fields ask with.
 * @param {HTMLFormElement} form
 */
function headers(form) {
  const filled = [.../** @type {NodeListOf<HTMLInputElement>} */ (form.querySelectorAll('[data-in="header"]'))];
  return Object.fromEntries(filled.filter((field) => field.value).map((field) => [field.name, field.value]));
}

/**
 * A body as people read it.
 * @param {string} text
 */
function indented(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

/**
 * Ask, and show the address, the status and the body.
 * @param {HTMLFormElement} form
 */
async function ask(form) {
  const shown = document.createElement("pre");
  const url = address(form);
  form.querySelector(".tried")?.replaceChildren(shown);
  try {
    const answer = await fetch(url, { headers: headers(form) });
    shown.textContent = `GET ${url}\n${answer.status} ${answer.statusText}\n\n${indented(await answer.text())}`;
  } catch {
    shown.textContent = `GET ${url}\nno answer: is the service still running?`;
  }
}

for (const form of document.querySelectorAll("form.try")) {
  const button = form.querySelector("button");
  if (button) button.hidden = false;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (button) ask(/** @type {HTMLFormElement} */ (form));
  });
}

/** Open what the address names. */
function open() {
  const named = document.getElementById(location.hash.slice(1));
  if (named instanceof HTMLDetailsElement) named.open = true;
}
addEventListener("hashchange", open);
open();
