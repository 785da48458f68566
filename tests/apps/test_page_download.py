"""What is saved from the page: full resolution, formats, layers; and the whole way by keyboard."""

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import ZipFile

import PIL.Image

from tests.browser import needs_browser
from tests.page_driver import (
    Pages,
    difference,
    expect_status,
    pick,
    pixels_of,
    portrait,
    settle,
    shown,
    upload,
)

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = needs_browser

ARTIST = 0x013B
"""EXIF tag that the portrait carries."""


def test_a_download_has_the_full_size_and_is_shown_beside_the_photo(pages: Pages) -> None:
    with pages.open() as page:
        upload(page, portrait(side=900))
        assert shown(page).shape == (640, 640, 3)
        name, content = _download(page, "Download")
        assert name == "portrait.painted.jpg"
        saved = pixels_of(content)
        assert saved.shape == (900, 900, 3)
        assert difference(shown(page), saved) < 1
        assert shown(page, "before").shape == saved.shape
        with PIL.Image.open(BytesIO(content)) as picture:
            assert picture.format == "JPEG" and picture.getexif()[ARTIST] == "NASA"
        page.locator("#strength").fill("0.5")
        settle(page)
        assert shown(page).shape == (640, 640, 3)


def test_format_quality_and_metadata_are_chosen(pages: Pages) -> None:
    with pages.open() as page:
        upload(page, portrait())
        page.locator("#file summary").click()
        page.locator("#format").select_option("webp")
        page.locator("#quality").fill("30")
        page.locator("#metadata").uncheck()
        assert page.locator("#file-summary").text_content() == "Format WebP, quality 30, no metadata"
        name, content = _download(page, "Download")
        assert name == "portrait.painted.webp"
        with PIL.Image.open(BytesIO(content)) as picture:
            assert picture.format == "WEBP" and ARTIST not in picture.getexif()
        page.locator("#format").select_option("png")
        assert page.locator("#quality").is_disabled()


def test_layers_come_as_an_archive(pages: Pages) -> None:
    with pages.open() as page:
        upload(page, portrait())
        name, content = _download(page, "Layers (zip)")
        assert name == "portrait.layers.zip"
        with ZipFile(BytesIO(content)) as archive:
            names = sorted(Path(each).stem for each in archive.namelist())
        assert names == ["mask", "original", "painted", "restored", "result"]


def test_the_work_can_be_cancelled_and_begun_again(pages: Pages) -> None:
    with pages.open() as page:
        upload(page, portrait())
        page.route("**/v1/jobs/*", lambda route: None if route.request.method == "GET" else route.continue_())
        with page.expect_request("**/v1/jobs/*"):  # the job is known by its id
            page.get_by_role("button", name="Download").click()
        assert page.get_by_role("progressbar").is_visible()
        with page.expect_request(lambda request: request.method == "DELETE"):
            page.get_by_role("button", name="Cancel").click()
        expect_status(page, "Cancelled")
        page.unroute_all(behavior="ignoreErrors")
        _download(page, "Download")


def test_a_job_that_fails_says_why(pages: Pages) -> None:
    with pages.open() as page:
        upload(page, portrait())
        failed = {"id": "a", "state": "failed", "error": {"detail": "the picture is too dark to be painted"}}
        page.route("**/v1/jobs/*", lambda route: route.fulfill(json=failed))
        page.get_by_role("button", name="Download").click()
        page.get_by_role("alert").wait_for()
        assert page.locator("#complaint-text").text_content() == "The picture is too dark to be painted"
        assert page.get_by_role("button", name="Download").is_visible()


def test_the_whole_way_can_be_gone_by_keyboard(pages: Pages) -> None:
    with pages.open() as page:
        page.on("filechooser", lambda _: None)  # or the first one opens before the browser hands it over
        _tab_to(page, "Choose a picture")
        with page.expect_file_chooser() as chooser:
            page.keyboard.press("Enter")
        chooser.value.set_files({"name": "she.jpg", "mimeType": "image/jpeg", "buffer": portrait()})
        expect_status(page, "1 face kept")
        _tab_to(page, "compare")
        page.keyboard.press("ArrowRight")
        _tab_to(page, "Face 1 stays")
        page.keyboard.press("Space")
        expect_status(page, "no face kept")
        _tab_to(page, "face")
        page.keyboard.press("ArrowRight")
        _tab_to(page, "strength")
        page.keyboard.press("Home")
        assert page.locator("#strength-value").text_content() == "0 %"
        settle(page)
        _tab_to(page, "Download")
        with page.expect_download() as download:
            page.keyboard.press("Enter")
        assert download.value.suggested_filename == "she.painted.jpg"
        expect_status(page, "Saved she.painted.jpg")
        assert _focused(page) == "Download"


def test_leaving_the_brush_by_keyboard_is_possible(pages: Pages) -> None:
    with pages.open() as page:
        upload(page, portrait())
        pick(page, "tool", "brush")
        _tab_to(page, "Brush on the picture")
        page.keyboard.press("Space")
        page.keyboard.press("ArrowRight")
        _tab_to(page, "brush-size")


def _download(page: "Page", button: str) -> tuple[str, bytes]:
    """Press a button and return name and content of the file that the browser saves."""
    with page.expect_download() as download:
        page.get_by_role("button", name=button, exact=True).click()
    expect_status(page, f"Saved {download.value.suggested_filename}")
    return download.value.suggested_filename, Path(download.value.path()).read_bytes()


def _tab_to(page: "Page", name: str) -> None:
    """Press Tab until the element of this label, text, id or value has the focus."""
    for _ in range(30):
        page.keyboard.press("Tab")
        if _focused(page) == name:
            return
    raise AssertionError(f"{name} is not reached by Tab")


def _focused(page: "Page") -> str:
    """Return by what the element with the focus is known: its label, its value in a group, its id or its text."""
    known = """(element) => element.ariaLabel || (element.type === "radio" ? element.value : element.id)
      || element.textContent"""
    name = str(page.locator(":focus").evaluate(known))
    return {"download": "Download"}.get(name, name)
