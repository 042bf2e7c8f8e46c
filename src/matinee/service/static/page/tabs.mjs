/** The tabs of a narrow screen: which part of the home page is shown, without a new page. */

export function followTabs() {
  const shown = document.body;
  if (!shown.dataset.tab) return;
  const links = /** @type {HTMLAnchorElement[]} */ ([...document.querySelectorAll(".tabs [data-tab]")]);
  for (const link of links) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      shown.dataset.tab = link.dataset.tab;
      for (const one of links) one.removeAttribute("aria-current");
      link.setAttribute("aria-current", "page");
      const count = link.querySelector(".count");
      if (count instanceof HTMLElement) count.hidden = true;
      scrollTo(0, 0);
    });
  }
}
