"""Drive the page of `sfumato serve` in Chromium against a real server, and read the pixels that it shows."""

import os
import re
import subprocess
import sys
import time
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import PIL.Image
from skimage import data

from sfumato.types import Image
from tests.browser import CHROMIUM

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page
    from playwright.sync_api._generated import LocatorAssertions

PATIENCE = 20_000
"""Milliseconds until something that is waited for counts as missing; the first painting loads the networks."""

QUIET = ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
CAMERA = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]


@contextmanager
def serve(state: Path, *, token: str = "") -> Iterator[str]:
    """Run `sfumato serve` on a free port, with a default of its own, and yield its address."""
    config = state.parent / f"{state.name}.toml"
    config.write_text("restore = 0.0\n")  # the portraits are sharp, and previews take half the time
    command = [sys.executable, "-m", "sfumato", "serve", "--port", "0", "--state", str(state)]
    secret = {"SFUMATO_TOKEN": token} if token else {}
    environment = {**os.environ, **secret, "SFUMATO_CONFIG": str(config)}
    with (state.parent / f"{state.name}.log").open("w+") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            yield _read_address(process, Path(log.name))
        finally:
            process.terminate()
            process.wait(40)


def _read_address(process: "subprocess.Popen[bytes]", log: Path) -> str:
    """Return the address that the server tells once it listens."""
    for _ in range(400):
        assert process.poll() is None, log.read_text()
        told = re.search(r"http://\S+/", log.read_text())
        if told:
            return told[0]
        time.sleep(0.05)
    raise AssertionError("the server does not tell its address")


@dataclass(frozen=True, slots=True)
class Pages:
    """A browser and the address of the page that it opens."""

    browser: "Browser"
    address: str

    @contextmanager
    def open(
        self, *, width: int = 1000, scheme: str = "light", fragment: str = "", refusals: bool = False
    ) -> Iterator["Page"]:
        """Open the page, and make sure in the end that nothing went wrong in it and nobody else was asked.

        Args:
            refusals: whether requests may fail, of which the browser complains too.
        """
        dark = scheme == "dark"
        context = self.browser.new_context(
            viewport={"width": width, "height": 800},
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
            permissions=["clipboard-read", "clipboard-write", "camera"],
        )
        page, faults, addresses = context.new_page(), list[str](), list[str]()
        page.set_default_timeout(PATIENCE)
        page.on("console", lambda message: faults.append(message.text))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda request: addresses.append(request.url))
        page.goto(self.address + fragment)
        yield page
        context.close()
        strangers = [each for each in addresses if not each.startswith((self.address, "blob:", "data:"))]
        expected = "Failed to load resource" if refusals else "\0"
        assert [strangers, [fault for fault in faults if expected not in fault]] == [[], []]


@contextmanager
def open_browser(address: str) -> Iterator[Pages]:
    """Start a browser with a camera that shows a test picture."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE)
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium's own refuses to run as root
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=[*QUIET, *CAMERA, *sandbox])
        yield Pages(browser, address)
        browser.close()


def upload(page: "Page", picture: bytes, name: str = "portrait.jpg") -> None:
    """Choose a picture and wait until it is painted."""
    page.locator("#file-input").set_input_files(
        {"name": name, "mimeType": "application/octet-stream", "buffer": picture}
    )
    _expect(page, "#workbench").to_be_visible()
    settle(page)


def settle(page: "Page") -> None:
    """Wait until the newest preview is shown."""
    _expect(page, "#frame").to_have_attribute("aria-busy", "false")


def expect_status(page: "Page", text: str) -> None:
    """Wait until the page says this, or something that contains it."""
    _expect(page, "#status").to_contain_text(text)


def _expect(page: "Page", selector: str) -> "LocatorAssertions":
    from playwright.sync_api import expect

    return expect(page.locator(selector))


def pick(page: "Page", name: str, value: str) -> None:
    """Choose a radio button by clicking its label."""
    page.locator(f"label:has(input[name={name}][value={value}])").click()


def shown(page: "Page", element: str = "after") -> Image:
    """Return the pixels of the picture that an element shows."""
    address = page.evaluate(
        """(id) => {
          const image = document.getElementById(id);
          const canvas = document.createElement("canvas");
          canvas.width = image.naturalWidth;
          canvas.height = image.naturalHeight;
          canvas.getContext("2d").drawImage(image, 0, 0);
          return canvas.toDataURL("image/png");
        }""",
        element,
    )
    return pixels_of(b64decode(address.partition(",")[2]))


def pixels_of(picture: bytes) -> Image:
    """Return the pixels of an encoded picture."""
    with PIL.Image.open(BytesIO(picture)) as opened:
        return np.asarray(opened.convert("RGB"))


def difference(
    one: Image, other: Image, around: tuple[float, float] | None = None, reach: float = 0.04
) -> float:
    """Return the mean difference in levels: of all, or about a place given in parts of width and height."""
    if around is None:
        return float(np.abs(one.astype(int) - other).mean())
    height, width = one.shape[:2]
    (x, y), r = around, round(reach * max(height, width))
    rows = slice(round(y * height) - r, round(y * height) + r)
    columns = slice(round(x * width) - r, round(x * width) + r)
    return difference(one[rows, columns], other[rows, columns])


def portrait(*, side: int = 320) -> bytes:
    """Return a square portrait as JPEG, with a name in its EXIF."""
    return _encode(_head(), (side, side))


def couple() -> bytes:
    """Return a picture of two faces as JPEG, one beside the other."""
    return _encode(np.hstack([_head(), _head()[:, ::-1]]), (640, 320))


def _head() -> Image:
    """Return head and shoulders of NASA's astronaut, 320x320."""
    whole = data.astronaut()  # type: ignore[no-untyped-call]  # scikit-image types only parts of itself
    return np.asarray(whole[:320, 60:380], np.uint8)


def _encode(image: Image, size: tuple[int, int]) -> bytes:
    picture = PIL.Image.fromarray(image).resize(size)
    exif = PIL.Image.Exif()
    exif[0x013B] = "NASA"  # the artist
    buffer = BytesIO()
    picture.save(buffer, "JPEG", quality=92, exif=exif)
    return buffer.getvalue()
