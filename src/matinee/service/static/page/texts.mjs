/** The texts that scripts speak, from the page's one file of them. */

/** @type {Record<string, string>} */
const TEXTS = JSON.parse(document.getElementById("texts")?.textContent ?? "{}");

/**
 * A text with its places filled in.
 * @param {string} name
 * @param {Record<string, string | number>} [values]
 */
export function text(name, values = {}) {
  return TEXTS[name].replace(/\{(\w+)\}/g, (_, place) => String(values[place]));
}
