"""Have a picture painted by a running `sfumato serve`; needs nothing but requests. Ctrl-C cancels the job.

Usage: python examples/client.py [--sync] http://127.0.0.1:7860 portrait.jpg painting.jpg [paint=0.5 faces=largest ...]
A server that asks for a token is given the one in SFUMATO_TOKEN.
"""

import argparse
import os
import secrets
import sys
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import requests

FORMATS = {".jpg": "jpeg", ".jpeg": "jpeg", ".png": "png", ".webp": "webp", ".tiff": "tiff", ".avif": "avif"}
RETRIES = 5
SECONDS_BETWEEN_LOOKS = 0.3
SECONDS_TO_CONNECT_AND_TO_WAIT = (5, 600)


class RefusedError(Exception):
    """The server refuses; the text is its line for the user."""


class Server:
    """A running `sfumato serve`, asked with a token and with patience."""

    def __init__(self, url: str, token: str | None) -> None:
        self._url = url.rstrip("/")
        self._session = requests.Session()
        self._session.headers["Sfumato-Client"] = secrets.token_hex(8)  # by it programs take turns
        if token:
            self._session.headers["Authorization"] = f"Bearer {token}"

    def paint(self, photo: bytes, options: Mapping[str, str]) -> bytes:
        """Return the painting by one request, which lasts until it is done; if it breaks off, the job is cancelled."""
        return self._ask("POST", "/v1/stylize", photo, options).content

    def paint_and_tell(self, photo: bytes, options: Mapping[str, str]) -> bytes:
        """Return the painting by a job that outlives this program, unless Ctrl-C cancels it; print how far it is."""
        job = self._ask("POST", "/v1/stylize?async=1", photo, options).json()
        address = f"/v1/jobs/{job['id']}"
        try:
            while job["state"] in ("queued", "running"):
                doing = f"waits as number {job['position']}" if job["position"] else job["stage"] or "begins"
                print(f"{job['progress']:4.0%} {doing}", file=sys.stderr)
                time.sleep(SECONDS_BETWEEN_LOOKS)
                job = self._ask("GET", address).json()
        except KeyboardInterrupt:
            self._ask("DELETE", address)
            raise
        if job["state"] != "done":
            raise RefusedError(job["error"]["detail"] if job["error"] else f"the job was {job['state']}")
        return self._ask("GET", job["result"]).content

    def _ask(
        self, method: str, path: str, photo: bytes | None = None, options: Mapping[str, str] | None = None
    ) -> requests.Response:
        """Return a good answer; where the server is busy, ask again after the time that it names."""
        files = None if photo is None else {"image": photo}
        send = partial(self._session.request, method, self._url + path, files=files, data=options)
        answer = send(timeout=SECONDS_TO_CONNECT_AND_TO_WAIT)
        for _ in range(RETRIES):
            if answer.status_code == requests.codes.too_many_requests:
                time.sleep(float(answer.headers["Retry-After"]))
                answer = send(timeout=SECONDS_TO_CONNECT_AND_TO_WAIT)
        if answer.ok:
            return answer
        if answer.headers.get("Content-Type") == "application/problem+json":
            raise RefusedError(answer.json()["detail"])
        raise RefusedError(
            f"{self._url} answers as no sfumato serve does: {answer.status_code} {answer.reason}"
        )


def main() -> None:
    """Paint one picture as the command line says."""
    parser = argparse.ArgumentParser(description="Have a picture painted by a running sfumato serve.")
    parser.add_argument("--sync", action="store_true", help="one long request instead of a job with progress")
    parser.add_argument("server", help="address, such as http://127.0.0.1:7860")
    parser.add_argument("photo", type=Path)
    parser.add_argument("painting", type=Path, help="new file, whose suffix names the format")
    parser.add_argument("options", nargs="*", metavar="name=value", help="such as paint=0.5")
    given = parser.parse_args()
    if given.painting.exists():
        parser.error(f"{given.painting} exists; name another file")
    options = dict(option.partition("=")[::2] for option in given.options)
    options.setdefault("format", FORMATS.get(given.painting.suffix.lower(), "jpeg"))
    server = Server(given.server, os.environ.get("SFUMATO_TOKEN"))
    paint = server.paint if given.sync else server.paint_and_tell
    try:
        given.painting.write_bytes(paint(given.photo.read_bytes(), options))
    except KeyboardInterrupt:
        sys.exit(130)
    except requests.RequestException:
        sys.exit(f"{given.server} does not answer; look whether sfumato serve runs there")
    except RefusedError as refused:
        sys.exit(str(refused))
    except OSError as error:
        sys.exit(f"{error.filename}: {error.strerror}")
    print(given.painting)


if __name__ == "__main__":
    main()
