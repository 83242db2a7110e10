"""Which browser the page is opened in."""

import shutil
from importlib.util import find_spec
from pathlib import Path

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def browser_program() -> str:
    """The Chromium of this machine; empty where playwright's own has to do."""
    return next((found for name in PROGRAMS if (found := shutil.which(name))), "")


def lack_of_browser() -> str:
    """Why a test that needs a browser cannot be run; empty where it can."""
    if find_spec("playwright") is None:
        return "playwright is not installed"
    if browser_program():
        return ""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        own = Path(playwright.chromium.executable_path)
    return "" if own.exists() else "there is no Chromium"
