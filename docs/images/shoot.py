"""Takes the pictures of a report: shoot.py REPORT.html. Needs playwright and a Chromium, as the page's tests do."""

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

FOLDER = Path(__file__).parent
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
SHOTS = (("report.png", "body", 1080, 1060), ("report-measured.png", "#measured", 1080, 900))
"""File, what stands at its top, width and height."""


def main(report: Path) -> None:
    program = next((found for name in PROGRAMS if (found := shutil.which(name))), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for name, top, width, height in SHOTS:
            page = browser.new_page(viewport={"width": width, "height": height}, color_scheme="light")
            page.goto(report.resolve().as_uri())
            if not page.locator(top).count():
                continue  # a run without benchmarks: their picture stays as it is
            page.evaluate("selector => document.querySelector(selector).scrollIntoView()", top)
            page.screenshot(path=FOLDER / name)
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
