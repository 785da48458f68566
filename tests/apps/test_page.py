"""The page as it takes pictures in and shows them painted, in a browser against a real server."""

from base64 import b64encode
from typing import TYPE_CHECKING

from tests.browser import needs_browser
from tests.page_driver import Pages, couple, difference, portrait, settle, shown, upload

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

pytestmark = needs_browser

FACE, AROUND = (0.51, 0.36), (0.9, 0.2)
"""Places in the portrait: within the face, and far from it."""

MAKE_FILE = """(base64) => {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], "given.jpg", { type: "image/jpeg" }));
  return transfer;
}"""

COPY = """async ([width, height]) => {
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  canvas.getContext("2d").fillRect(20, 20, 30, 30);
  const picture = await new Promise((resolve) => canvas.toBlob(resolve));
  await navigator.clipboard.write([new ClipboardItem({ "image/png": picture })]);
}"""


def test_an_uploaded_portrait_is_painted_and_its_face_stays(pages: Pages) -> None:
    with pages.open() as page:
        upload(page, portrait())
        photo, painting = shown(page, "before"), shown(page)
        assert difference(photo, painting, AROUND) > 1.5 * difference(photo, painting, FACE)
        assert page.locator("#status").text_content() == "Preview updated, 1 face kept"


def test_every_slider_changes_the_preview_and_goes_back_to_its_default(pages: Pages) -> None:
    with pages.open() as page:
        upload(page, portrait())
        assert page.locator("#restore").input_value() == "0", "the server's default"
        first = before = shown(page)
        for slider, value in {"feather": "8", "paint": "1", "strength": "0.3"}.items():
            page.locator(f"#{slider}").fill(value)
            settle(page)
            after = shown(page)
            assert difference(before, after) > 0.01, slider
            before = after
        page.locator("#strength").dblclick()
        assert page.locator("#strength").input_value() == "1"
        page.get_by_role("button", name="Reset", exact=True).click()
        settle(page)
        assert difference(shown(page), first) == 0
        assert page.locator("#paint-value").text_content() == "30 %"


def test_what_stays_is_chosen_as_a_whole_or_by_parts(pages: Pages) -> None:
    with pages.open() as page:
        upload(page, portrait())
        photo, kept = shown(page, "before"), shown(page)
        page.get_by_role("radio", name="Nothing").check(force=True)
        settle(page)
        nothing = shown(page)
        assert difference(photo, nothing, FACE) > 2 * difference(photo, kept, FACE)
        page.get_by_role("radio", name="Parts").check(force=True)
        page.locator("#skin").fill("0")
        settle(page)
        parts = shown(page)
        assert (
            difference(photo, kept, FACE) < difference(photo, parts, FACE) < difference(photo, nothing, FACE)
        )


def test_an_example_can_be_taken(pages: Pages) -> None:
    from playwright.sync_api import expect

    with pages.open() as page:
        page.get_by_role("button", name="Grace Hopper").click()
        expect(page.locator("#status")).to_have_text("Preview updated, 1 face kept")
        assert shown(page).shape == (600, 512, 3)


def test_a_picture_can_be_dropped_anywhere(pages: Pages) -> None:
    with pages.open() as page:
        transfer = page.evaluate_handle(MAKE_FILE, b64encode(portrait()).decode())
        page.dispatch_event("footer", "dragover", {"dataTransfer": transfer})
        assert page.locator("#drop").is_visible()
        page.dispatch_event("footer", "drop", {"dataTransfer": transfer})
        assert not page.locator("#drop").is_visible()
        _expect_painted(page)


def test_a_picture_can_be_pasted_by_button_and_by_keys(pages: Pages) -> None:
    with pages.open() as page:
        page.evaluate(COPY, [90, 70])
        page.get_by_role("button", name="Paste").click()
        _expect_size(page, "90 \N{MULTIPLICATION SIGN} 70")
        page.evaluate(COPY, [64, 80])
        page.keyboard.press("Control+V")
        _expect_size(page, "64 \N{MULTIPLICATION SIGN} 80")
        settle(page)
        assert shown(page).shape == (80, 64, 3)


def test_a_picture_can_be_taken_with_the_camera(pages: Pages) -> None:
    with pages.open() as page:
        page.get_by_role("button", name="Use the camera").click()
        page.get_by_role("button", name="Take the picture").click()
        _expect_painted(page)
        assert not page.locator("#camera").is_visible()
        assert page.evaluate("() => document.getElementById('viewfinder').srcObject") is None


def test_a_wrong_file_is_refused_and_the_picture_stays(pages: Pages) -> None:
    with pages.open(refusals=True) as page:
        upload(page, portrait())
        first = shown(page)
        page.locator("#file-input").set_input_files(
            {"name": "notes.jpg", "mimeType": "image/jpeg", "buffer": b"no"}
        )
        page.get_by_role("alert").wait_for()
        assert "picture" in (page.locator("#complaint-text").text_content() or "")
        assert difference(shown(page), first) == 0
        page.get_by_role("button", name="Dismiss").click()
        assert not page.get_by_role("alert").is_visible()


def test_a_server_that_does_not_answer_is_said_and_asked_again_on_request(pages: Pages) -> None:
    with pages.open(refusals=True) as page:
        upload(page, portrait())
        first = shown(page)
        page.context.set_offline(True)
        page.locator("#strength").fill("0.2")
        page.get_by_role("alert").wait_for()
        assert "does not answer" in (page.locator("#complaint-text").text_content() or "")
        page.context.set_offline(False)
        page.get_by_role("button", name="Try again").click()
        settle(page)
        assert difference(shown(page), first) > 1
        assert not page.get_by_role("alert").is_visible()


def test_a_busy_server_is_asked_again_by_itself(pages: Pages) -> None:
    from playwright.sync_api import expect

    with pages.open(refusals=True) as page:
        upload(page, portrait())

        def refuse(route: "Route") -> None:
            route.fulfill(status=429, headers={"Retry-After": "1"}, json={"detail": "too many requests"})

        page.route("**/v1/stylize", refuse, times=1)
        page.locator("#strength").fill("0.2")
        expect(page.locator("#status")).to_have_text("The server is busy; trying again in 1 s")
        expect(page.locator("#status")).to_contain_text("Preview updated")
        assert not page.get_by_role("alert").is_visible()


def test_a_newer_change_gives_up_the_older_preview(pages: Pages) -> None:
    with pages.open(refusals=True) as page:
        upload(page, portrait())
        given_up: list[str] = []
        page.on("requestfailed", lambda request: given_up.append(f"{request.url} {request.failure}"))
        page.route("**/v1/stylize", lambda _: None, times=1)  # it is never answered
        with page.expect_request("**/v1/stylize"):
            page.locator("#strength").fill("0.1")
        page.locator("#strength").fill("1")
        settle(page)
        assert len(given_up) == 1 and "ERR_ABORTED" in given_up[0]


def test_the_cards_show_the_styles_and_take_the_colours_of_a_painting(pages: Pages) -> None:
    from playwright.sync_api import expect

    with pages.open() as page:
        upload(page, portrait())
        first = shown(page)
        expect(page.locator(".card img").first).to_be_visible()
        assert max(shown_size(page, ".card img")) == 160
        page.locator("#palette-input").set_input_files(
            {"name": "sunset.jpg", "mimeType": "image/jpeg", "buffer": couple()}
        )
        expect(page.get_by_role("radio", name="sunset")).to_be_checked()
        settle(page)
        assert difference(shown(page), first) > 1
        page.get_by_role("radio", name="Monet").check(force=True)
        settle(page)
        assert difference(shown(page), first) == 0
        assert "commercial use: " in (page.locator("#licence summary").text_content() or "")


def shown_size(page: "Page", selector: str) -> tuple[int, int]:
    width, height = page.locator(selector).first.evaluate(
        "(image) => [image.naturalWidth, image.naturalHeight]"
    )
    return int(width), int(height)


def _expect_painted(page: "Page") -> None:
    from playwright.sync_api import expect

    expect(page.locator("#status")).to_contain_text("Preview updated")


def _expect_size(page: "Page", size: str) -> None:
    from playwright.sync_api import expect

    expect(page.locator("#save-title")).to_have_text(f"Full resolution, {size}")
