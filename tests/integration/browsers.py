"""The browser for tests of HTML pages."""

import shutil
from importlib.util import find_spec
from pathlib import Path

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
