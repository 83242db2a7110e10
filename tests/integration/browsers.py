"""The browser for tests of HTML pages."""

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def browser_program() -> str:
    """Return this machine's Chromium; empty if playwright's own must be used."""
    return next((path for name in PROGRAMS if (path := shutil.which(name))), "")


def browser_obstacle() -> str:
    """Return why a test that needs a browser cannot be run; empty if it can."""
    if find_spec("playwright") is None:
        return "playwright is not installed"
    if browser_program():
        return ""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        own = Path(playwright.chromium.executable_path)
    return "" if own.exists() else "there is no Chromium"


@contextmanager
def launched_browser() -> "Iterator[Browser]":
    """Start a Chromium, and end it afterwards."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # a container's root may have no sandbox; the page is ours
        chromium = playwright.chromium.launch(executable_path=browser_program() or None, args=["--no-sandbox"])
        yield chromium
        chromium.close()


class OpenedPage:
    """An open page with its requests and console messages."""

    def __init__(self, page: "Page", file: Path, fragment: str = "") -> None:
        self.page = page
        self.requested_urls: list[str] = []
        self.console_messages: list[str] = []
        page.on("request", lambda request: self.requested_urls.append(request.url))
        page.on("console", lambda message: self.console_messages.append(message.text))
        page.on("pageerror", lambda error: self.console_messages.append(str(error)))
        page.goto(file.as_uri() + fragment)

    def run(self, script: str) -> Any:
        return self.page.evaluate(script)

    def row_names(self, table: str) -> list[str]:
        """Return the first word of each row of a table."""
        return [str(text).split()[0] for text in self.page.locator(f"{table} > tbody > tr > th").all_inner_texts()]

    def unfold_all(self) -> None:
        self.run("document.querySelectorAll('details').forEach(one => one.open = true)")


def open_page(browser: "Browser", file: Path, width: int = 1200, *, fragment: str = "", **settings: Any) -> OpenedPage:
    return OpenedPage(browser.new_page(viewport={"width": width, "height": 800}, **settings), file, fragment)


LONG = "user-" + "x" * 110
HOSTILE = "</td><script>document.title='taken'</script><img src=https://example.org/x>" + "y" * 200
"""A name and a text that are in the pages of :func:`assert_self_contained`."""


def axe_violations(page: OpenedPage) -> list[tuple[str, list[str]]]:
    """Return what axe-core objects to: its rules, also those beyond WCAG, with up to three elements of each."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page.page, options={"resultTypes": ["violations"]}).response["violations"]
    return [(rule["id"], [node["html"] for node in rule["nodes"]][:3]) for rule in found]


def assert_accessible(files: Iterable[Path], *, renews_itself: bool = False) -> None:
    """Assert that axe-core objects to nothing in pages: on a desktop, dark, and on a phone, all unfolded.

    ``renews_itself``: a page that one watches, and that therefore loads itself again, may be among them.
    """
    accepted = {"meta-refresh"} if renews_itself else set()
    with launched_browser() as browser:
        for file in files:
            for scheme, width in (("light", 1280), ("dark", 1280), ("light", 390)):
                page = open_page(browser, file, width, color_scheme=scheme)
                page.unfold_all()
                violations = [rule for rule in axe_violations(page) if rule[0] not in accepted]
                assert violations == [], (file.name, scheme, width)


def assert_self_contained(files: Iterable[Path]) -> None:
    """Assert that pages fit a phone and a desktop, send no requests, print no errors, and run nothing of a text."""
    with launched_browser() as browser:
        for file in files:
            page = OpenedPage(browser.new_page(), file)
            page.unfold_all()
            for width in (320, 1200):
                page.page.set_viewport_size({"width": width, "height": 800})
                assert page.run("document.documentElement.scrollWidth") == width, file.name
            assert (page.requested_urls, page.console_messages) == ([file.as_uri()], [])
            assert "taken" not in page.page.title()
