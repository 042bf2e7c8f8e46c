"""Take the pictures of the page that the documentation shows: python docs/screenshots.py [FOLDER].

Serves the embedded sample, gives a new visitor some stars as one would by hand, and writes PNG files in light and dark,
for a desktop of 1440 pixels and a phone of 360. Needs Chromium (apt-get install chromium) and the developers' packages.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

import matinee as mt

DESKTOP, PHONE = {"width": 1440, "height": 900}, {"width": 360, "height": 740}
LOVED = {"Alien": "5", "The Matrix": "4.5", "Groundhog Day": "4.5", "Titanic": "1", "Fargo": "4", "Toy Story": "4"}
SETTLED_MS = 700
COLOURS = 64  # colours of a picture: the page has few, and so the files stay small


def main(folder: Path) -> None:
    """Write all pictures into the folder."""
    with TemporaryDirectory() as store, sync_playwright() as playwright:
        mt.Recommender.fit(mt.load("sample")).publish(store)
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        with mt.serve(store, port=0, block=False) as running:
            for picture, take in PICTURES.items():
                scheme = "dark" if "dark" in picture else "light"
                with visitor(browser, running.url, PHONE if "phone" in picture else DESKTOP, scheme) as page:
                    take(page)
                    page.wait_for_timeout(SETTLED_MS)
                    write(page, folder / f"{picture}.png")
        browser.close()


@contextmanager
def visitor(browser: Browser, url: str, size: dict[str, int], scheme: str) -> Iterator[Page]:
    """Open the page as a new visitor."""
    context = browser.new_context(viewport=size, color_scheme=scheme, base_url=url)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto("/")
    yield page
    context.close()


def rate(page: Page) -> None:
    """Give stars to some films, each found by its title, and look at the list."""
    for title, stars in LOVED.items():
        page.goto(f"/search?q={title}")
        page.locator(".rows").get_by_role("link", name=title, exact=True).click()
        page.locator(f".give input[value='{stars}']").click()
        page.wait_for_timeout(SETTLED_MS)
    page.goto("/?tab=tonight")


def film(page: Page) -> None:
    """Look at the film of tonight."""
    rate(page)
    page.locator("[data-pick] h2 a").click()


def together(page: Page) -> None:
    """Open a room."""
    rate(page)
    page.locator(".together button").click()


def write(page: Page, path: Path) -> None:
    """Write what is on the screen, with few colours."""
    picture = Image.open(BytesIO(page.screenshot()))
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.convert("RGB").quantize(COLOURS).save(path, optimize=True)


PICTURES = {
    "first-desktop": lambda page: None,
    "tonight-desktop": rate,
    "tonight-desktop-dark": rate,
    "rate-phone": lambda page: None,
    "tonight-phone": rate,
    "tonight-phone-dark": rate,
    "film-phone": film,
    "together-phone-dark": together,
}

if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "pictures")
