"""The page's look, its names for those who do not see it, and who may use it."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import sfumato.apps
from tests.browser import needs_browser
from tests.page_driver import Pages, expect_status, pick, portrait, serve, upload

if TYPE_CHECKING:
    from playwright.sync_api import Page

PAGE = Path(sfumato.apps.__file__).parent / "page"

CONTRAST = """(selector) => {
  const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (colour) => {
    const [r, g, b] = channels(colour).map((v) => v / 255).map((v) =>
      v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    const colour = getComputedStyle(element).backgroundColor;
    return channels(colour)[3] === 0 && element.parentElement ? ground(element.parentElement) : colour;
  };
  return [...document.querySelectorAll(selector)].filter((element) => element.checkVisibility()).map((element) => {
    const pair = [light(getComputedStyle(element).color), light(ground(element))].sort();
    return [element.textContent.trim(), (pair[1] + 0.05) / (pair[0] + 0.05)];
  });
}"""
"""Contrast of texts as WCAG 2 defines it."""

TEXTS = "p, h1 a, h2, h3, button, label, output, summary, small, em, b, figcaption"

NAMELESS = """() => [...document.querySelectorAll("button, input, select, canvas, dialog, [role=group]")]
  .filter((element) => !element.ariaLabel && !element.labels?.length && !element.textContent.trim()
    && !element.getAttribute("aria-labelledby"))
  .map((element) => element.outerHTML)"""


@needs_browser
def test_a_phone_shows_all_of_it_without_scrolling_sideways(pages: Pages) -> None:
    with pages.open(width=360) as page:
        assert _overflow(page) == 0
        upload(page, portrait())
        page.get_by_role("radio", name="Parts").check(force=True)
        page.locator("#file summary").click()
        for tool in ("faces", "brush", "compare"):
            pick(page, "tool", tool)
            assert _overflow(page) == 0, tool


@needs_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_its_ground(pages: Pages, scheme: str) -> None:
    with pages.open(scheme=scheme) as page:
        contrasts = page.evaluate(CONTRAST, TEXTS)
        upload(page, portrait())
        pick(page, "tool", "brush")
        contrasts += page.evaluate(CONTRAST, f":is({TEXTS}):not(:disabled)")
        assert [(text, ratio) for text, ratio in contrasts if ratio < 4.5] == []
        assert len(contrasts) > 40


@needs_browser
def test_dark_is_dark_and_light_is_light(pages: Pages) -> None:
    grounds = []
    for scheme in ("light", "dark"):
        with pages.open(scheme=scheme) as page:
            grounds.append(page.evaluate("() => getComputedStyle(document.body).backgroundColor"))
    assert grounds == ["rgb(247, 243, 236)", "rgb(23, 23, 27)"]


@needs_browser
def test_every_control_has_a_name_and_every_region_a_place(pages: Pages) -> None:
    with pages.open() as page:
        upload(page, portrait())
        assert page.evaluate(NAMELESS) == []
        for landmark in ("banner", "main", "contentinfo"):
            assert page.get_by_role(landmark).count() == 1
        assert page.locator("[role=status]").count() >= 1 and page.locator("[role=alert]").count() == 1


@needs_browser
def test_nothing_is_stored_but_the_token(pages: Pages) -> None:
    with pages.open() as page:
        upload(page, portrait())
        stored = "() => [localStorage.length, sessionStorage.length, document.cookie]"
        assert page.evaluate(stored) == [0, 0, ""]


@needs_browser
def test_the_footer_says_how_long_pictures_are_kept(pages: Pages) -> None:
    with pages.open() as page:
        page.get_by_text("at the latest 60 minutes").wait_for()


@needs_browser
def test_a_token_is_asked_for_again_where_it_is_wrong_and_kept_in_the_tab(
    pages: Pages, tmp_path: Path
) -> None:
    with serve(tmp_path, token="the-right-one-of-many") as address:
        guarded = Pages(pages.browser, address)
        with guarded.open(refusals=True) as page:
            page.get_by_role("textbox", name="Token").fill("a wrong one")
            page.get_by_role("textbox", name="Token").press("Enter")
            page.get_by_text("This token is not the server's").wait_for()
            page.get_by_role("textbox", name="Token").fill("the-right-one-of-many")
            page.get_by_role("button", name="Go on").click()
            upload(page, portrait())
            expect_status(page, "Preview updated")
        with guarded.open(fragment="#token=the-right-one-of-many") as page:
            page.get_by_text("sfumato 0.1.0").wait_for()
            assert page.url == guarded.address
            assert not page.locator("#token").is_visible()


def test_the_page_is_lean_and_holds_nothing_of_others() -> None:
    files = [path for path in PAGE.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 250_000
    for path in files:
        if path.suffix in {".html", ".js", ".css", ".svg"}:
            text = path.read_text().replace("http://www.w3.org/2000/svg", "")
            assert "http:" not in text and "https:" not in text and " style=" not in text, path
            assert len(text.splitlines()) <= 300


def _overflow(page: "Page") -> int:
    """Return by how many pixels the page is wider than its window."""
    return int(page.evaluate("() => document.documentElement.scrollWidth - innerWidth"))
