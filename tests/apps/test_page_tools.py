"""The tools on the picture: the line between photo and painting, the faces, the brush."""

from typing import TYPE_CHECKING

import pytest

from tests.browser import needs_browser
from tests.page_driver import (
    Pages,
    couple,
    difference,
    expect_status,
    pick,
    portrait,
    settle,
    shown,
    upload,
)

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytestmark = needs_browser

LEFT, RIGHT = (0.255, 0.36), (0.745, 0.36)
"""Places within the two faces of the couple."""

FACE, WALL = (0.51, 0.36), (0.85, 0.2)
"""Places in the portrait."""


def test_the_line_between_photo_and_painting_moves_by_mouse_and_keys(pages: Pages) -> None:
    with pages.open() as page:
        upload(page, portrait())
        assert _line(page) == pytest.approx(0.5, abs=0.01)
        _drag(page, (0.5, 0.5), (0.2, 0.6))
        assert _line(page) == pytest.approx(0.2, abs=0.01)
        page.keyboard.press("ArrowRight")
        page.keyboard.press("End")
        assert _line(page) == pytest.approx(1, abs=0.01)
        assert page.locator("#cut").get_attribute("aria-valuetext") == "0 % painting"


def test_faces_are_let_go_by_pressing_them_and_come_back(pages: Pages) -> None:
    with pages.open() as page:
        upload(page, couple())
        both = shown(page)
        pick(page, "tool", "faces")
        left, right = sorted(page.get_by_role("button", name="Face").all(), key=_left_edge)
        left.click()
        expect_status(page, "Preview updated, 1 face kept")
        one = shown(page)
        assert difference(both, one, LEFT) > 5 and difference(both, one, RIGHT) < 1
        right.press("Space")
        expect_status(page, "Preview updated, no face kept")
        assert difference(both, shown(page), RIGHT) > 5
        page.get_by_role("button", name="All stay").click()
        settle(page)
        assert difference(shown(page), both) == 0


def test_the_brush_keeps_the_photo_until_its_stroke_is_undone(pages: Pages) -> None:
    with pages.open() as page:
        upload(page, portrait())
        page.locator("#paint").fill("0")
        settle(page)
        photo, painting = shown(page, "before"), shown(page)
        pick(page, "tool", "brush")
        _drag(page, (0.8, 0.2), (0.9, 0.2))
        settle(page)
        brushed = shown(page)
        assert difference(photo, brushed, WALL) < 0.5 * difference(photo, painting, WALL)
        assert difference(painting, brushed, (0.1, 0.9)) < 0.5
        page.get_by_role("button", name="Undo").click()
        settle(page)
        assert difference(shown(page), painting) == 0
        assert page.get_by_role("button", name="Undo").is_disabled()


def test_the_brush_paints_over_the_face_and_erases_that_again(pages: Pages) -> None:
    with pages.open() as page:
        upload(page, portrait())
        kept = shown(page)
        pick(page, "tool", "brush")
        pick(page, "stroke", "paint")
        page.locator("#brush-soft").uncheck()
        page.locator("#brush-size").fill("12")
        _drag(page, (0.48, 0.36), (0.54, 0.36))
        settle(page)
        assert difference(kept, shown(page), FACE) > 5
        pick(page, "stroke", "erase")
        page.locator("#brush-size").fill("20")
        _drag(page, (0.46, 0.36), (0.56, 0.36))
        settle(page)
        assert difference(kept, shown(page), FACE) < 1


def test_the_brush_draws_by_keyboard_too(pages: Pages) -> None:
    with pages.open() as page:
        upload(page, portrait())
        painting = shown(page)
        pick(page, "tool", "brush")
        page.locator("#strokes").focus()
        for key in ["ArrowDown"] * 12 + ["Space"] + ["ArrowRight"] * 6 + ["Space"]:
            page.keyboard.press(key)
        settle(page)
        assert difference(painting, shown(page), (0.55, 0.84)) > 3
        page.keyboard.press("Control+Z")
        settle(page)
        assert difference(shown(page), painting) == 0


def _line(page: "Page") -> float:
    """Return where the painting begins, as a part of the picture's width."""
    frame, line = page.locator("#frame").bounding_box(), page.locator(".line").bounding_box()
    assert frame is not None and line is not None
    return (line["x"] + line["width"] / 2 - frame["x"]) / frame["width"]


def _left_edge(box: "Locator") -> float:
    area = box.bounding_box()
    assert area is not None
    return area["x"]


def _drag(page: "Page", start: tuple[float, float], end: tuple[float, float]) -> None:
    """Press the mouse at one place of the picture and let it go at another."""
    page.locator("#frame").scroll_into_view_if_needed()
    area = page.locator("#frame").bounding_box()
    assert area is not None
    points = [(area["x"] + x * area["width"], area["y"] + y * area["height"]) for x, y in (start, end)]
    page.mouse.move(*points[0])
    page.mouse.down()
    page.mouse.move(*points[1], steps=8)
    page.mouse.up()
