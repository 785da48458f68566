"""Open pages in Debian's Chromium, headless, and note what goes wrong there."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

needs_browser = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium here; on Debian: apt-get install chromium"
)
"""Mark of tests that open pages."""


@dataclass(slots=True)
class Opened:
    """A page, and what went wrong in it."""

    page: "Page"
    faults: list[str] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)


@contextmanager
def open_page(address: str, *, width: int = 1000) -> Iterator[Opened]:
    """Open a page; every complaint of the browser and every address that it asks for is noted."""
    from playwright.sync_api import sync_playwright

    quiet = ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    if os.geteuid() == 0:
        quiet.append("--no-sandbox")  # Chromium's own sandbox refuses to run as root
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=quiet)
        page = browser.new_page(viewport={"width": width, "height": 800})
        opened = Opened(page)
        page.on("console", lambda message: opened.faults.append(message.text))
        page.on("pageerror", lambda error: opened.faults.append(str(error)))
        page.on("requestfailed", lambda request: opened.faults.append(request.url[:80]))
        page.on("request", lambda request: opened.addresses.append(request.url[:80]))
        page.goto(address)
        yield opened
        browser.close()
