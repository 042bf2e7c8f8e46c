/** Parts of the page, as the server writes them. */

const { root = "" } = document.body.dataset;

/** What hears of it: "model" when an answer came from another snapshot than the page. */
export const events = new EventTarget();

/**
 * Where something is, below the place at which the service is mounted.
 * @param {string} path
 */
export function address(path) {
  return `${root}/${path}`;
}

/**
 * Fetch a part. Throws where it does not come.
 * @param {string} url
 * @returns {Promise<DocumentFragment>}
 */
export async function part(url) {
  const answer = await fetch(url, { headers: { Accept: "text/html" } });
  if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
  const template = document.createElement("template");
  template.innerHTML = await answer.text();
  const snapshot = answer.headers.get("Matinee-Snapshot");
  if (snapshot && snapshot !== document.body.dataset.snapshot) {
    document.body.dataset.snapshot = snapshot;
    events.dispatchEvent(new Event("model"));
  }
  return template.content;
}
