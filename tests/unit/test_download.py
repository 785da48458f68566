"""Downloads from a local server that breaks off, lies, redirects and fails."""

import gzip
import hashlib
import multiprocessing
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfumato import download
from sfumato.download import PART, Remote, check_redirect, digest_of, fetch
from sfumato.errors import DownloadError, OutputError

DATA = bytes(range(256)) * 40
DIGEST = hashlib.sha256(DATA).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Serve `DATA` at several paths, each with its own fault, and note what was asked for."""

    asked: list[tuple[str, str | None]] = []  # noqa: RUF012  # the server makes an instance for each request

    def do_GET(self) -> None:
        ranged = self.headers.get("Range")
        self.asked.append((self.path, ranged))
        word = self.path.strip("/").split("/")[0]
        getattr(self, f"_{word}", self._missing)(int(ranged[6:-1]) if ranged else 0)

    def _send(self, data: bytes, start: int, declared: int | None = None) -> None:
        whole = len(data) if declared is None else declared
        if start and start >= whole:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{whole}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{whole - 1}/{whole}")
        self.send_header("Content-Length", str(whole - start))
        self.end_headers()
        self.wfile.write(data[start:])

    def _good(self, start: int) -> None:
        self._send(DATA, start)

    def _unranged(self, _start: int) -> None:
        self._send(DATA, 0)

    def _forged(self, start: int) -> None:
        self._send(DATA[::-1], start)

    def _longer(self, start: int) -> None:
        self._send(DATA + b"more", start)

    def _endless(self, _start: int) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(DATA * 3)

    def _shy(self, start: int) -> None:
        """Break off after 4,000 bytes each time."""
        self._send(DATA[: start + 4000], start, len(DATA))

    def _broken(self, start: int) -> None:
        """Break off without a byte."""
        self._send(DATA[:start], start, len(DATA))

    def _encoded(self, _start: int) -> None:
        self.send_response(200)
        self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        self.wfile.write(gzip.compress(DATA))

    def _shifted(self, start: int) -> None:
        """Go on from another byte than was asked for."""
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes 0-{len(DATA) - 1}/{len(DATA)}")
        self.end_headers()
        self.wfile.write(DATA)

    def _little(self, start: int) -> None:
        """Send 3,000 bytes of what is asked for, as a server may."""
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{start + 2999}/{len(DATA)}")
        self.end_headers()
        self.wfile.write(DATA[start : start + 3000])

    def _nowhere(self, _start: int) -> None:
        self._redirect("https://[bad/")

    def _slow(self, _start: int) -> None:
        time.sleep(1.0)

    def _elsewhere(self, _start: int) -> None:
        self._redirect(f"http://localhost:{self.headers['Host'].split(':')[1]}/good")

    def _near(self, _start: int) -> None:
        self._redirect("/good")

    def _circle(self, _start: int) -> None:
        self._redirect("/circle")

    def _redirect(self, target: str) -> None:
        self.send_response(302)
        self.send_header("Location", target)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _missing(self, _start: int) -> None:
        self.send_error(404)

    def log_message(self, *_: object) -> None:
        """Keep the tests' output clean."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()


@pytest.fixture
def asked() -> list[tuple[str, str | None]]:
    Handler.asked.clear()
    return Handler.asked


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "models" / "net.onnx"


def remote(*urls: str, size: int | None = len(DATA), digest: str | None = DIGEST) -> Remote:
    return Remote("net", urls, size, digest)


def left(target: Path) -> set[str]:
    """Return what lies in the target's folder, locks aside."""
    return {path.name for path in target.parent.iterdir() if path.suffix != ".lock"}


@pytest.mark.parametrize("path", ["good", "unranged", "near", "elsewhere", "shy", "little"])
def test_a_true_file_comes_whole(server: str, target: Path, path: str) -> None:
    seen: list[tuple[int, int | None]] = []
    assert fetch(remote(f"{server}/{path}"), target, progress=lambda *step: seen.append(step)) == DIGEST
    assert target.read_bytes() == DATA
    assert left(target) == {"net.onnx"}
    assert seen[-1] == (len(DATA), len(DATA)) and seen == sorted(seen)


@given(held=st.integers(0, len(DATA)))
def test_a_broken_download_goes_on_from_any_byte(
    server: str, tmp_path_factory: pytest.TempPathFactory, held: int
) -> None:
    target = tmp_path_factory.mktemp("resume") / "net.onnx"
    target.with_name("net.onnx" + PART).write_bytes(DATA[:held])
    Handler.asked.clear()
    fetch(remote(f"{server}/good"), target)
    assert target.read_bytes() == DATA
    wanted = [] if held == len(DATA) else [("/good", f"bytes={held}-" if held else None)]
    assert Handler.asked == wanted


def test_a_file_that_is_there_is_not_fetched_again(
    server: str, target: Path, asked: list[tuple[str, str | None]]
) -> None:
    for _ in range(2):
        fetch(remote(f"{server}/good"), target)
    fetch(remote(f"{server}/good"), target, offline=True)
    assert len(asked) == 1


def test_a_damaged_file_is_fetched_again(server: str, target: Path) -> None:
    target.parent.mkdir()
    for damaged in (DATA[:-1], DATA[::-1]):
        target.write_bytes(damaged)
        fetch(remote(f"{server}/good"), target)
        assert target.read_bytes() == DATA


@pytest.mark.parametrize("held", [DATA[::-1][:300], DATA + b"more", b"x" * len(DATA)])
@pytest.mark.parametrize("size", [len(DATA), None])
def test_what_was_begun_from_another_file_is_begun_anew(
    server: str, target: Path, held: bytes, size: int | None
) -> None:
    target.parent.mkdir()
    target.with_name("net.onnx" + PART).write_bytes(held)
    assert fetch(remote(f"{server}/good", size=size), target) == DIGEST
    assert left(target) == {"net.onnx"}


@pytest.mark.parametrize(
    ("path", "size", "words"),
    [
        ("forged", len(DATA), "sent another file .* it was deleted"),
        ("endless", len(DATA), "sent another file"),
        ("longer", len(DATA), "has 10,244 bytes, not the 10,240 of the true file"),
        ("longer", None, "sent another file"),
        ("nothing", len(DATA), "answered 404 Not Found"),
        ("encoded", len(DATA), "sends the file compressed"),
        ("encoded", None, "sends the file compressed"),
        ("nowhere", len(DATA), "no address"),
        ("circle", len(DATA), "redirects more than 5 times"),
    ],
)
def test_another_file_is_refused_and_leaves_nothing(
    server: str, target: Path, path: str, size: int | None, words: str
) -> None:
    with pytest.raises(DownloadError, match=words):
        fetch(remote(f"{server}/{path}", size=size), target)
    assert left(target) == set()


def test_what_came_of_a_download_that_breaks_off_is_kept_for_the_next(server: str, target: Path) -> None:
    target.parent.mkdir()
    target.with_name("net.onnx" + PART).write_bytes(DATA[:8000])
    with pytest.raises(DownloadError, match=r"broke off after 8,000 bytes .* pull again to go on"):
        fetch(remote(f"{server}/broken"), target)
    assert left(target) == {"net.onnx.part"}
    fetch(remote(f"{server}/good"), target)
    assert left(target) == {"net.onnx"}


@pytest.mark.parametrize(("path", "timeout"), [("broken", 5.0), ("slow", 0.2)])
def test_a_server_that_sends_nothing_is_given_up(
    server: str, target: Path, path: str, timeout: float
) -> None:
    with pytest.raises(DownloadError, match="broke off after 0 bytes"):
        fetch(remote(f"{server}/{path}"), target, timeout=timeout)


def test_a_good_half_survives_an_answer_that_has_nothing_to_do_with_it(server: str, target: Path) -> None:
    """A login page of a network, or one stale mirror, has another size."""
    target.parent.mkdir()
    part = target.with_name("net.onnx" + PART)
    part.write_bytes(DATA[:5000])
    with pytest.raises(DownloadError, match="not the 10,240 of the true file"):
        fetch(remote(f"{server}/longer"), target)
    assert part.read_bytes() == DATA[:5000]


def test_a_server_that_goes_on_from_another_byte_is_not_believed(server: str, target: Path) -> None:
    target.parent.mkdir()
    target.with_name("net.onnx" + PART).write_bytes(DATA[:5000])
    with pytest.raises(DownloadError, match="another byte than was asked for"):
        fetch(remote(f"{server}/shifted"), target)


def test_without_a_known_hash_no_half_of_another_time_is_used(server: str, target: Path) -> None:
    target.parent.mkdir()
    target.with_name("net.onnx" + PART).write_bytes(DATA[::-1][:5000])
    assert fetch(remote(f"{server}/good", digest=None), target) == DIGEST


def test_a_whole_half_of_unknown_size_is_not_fetched_again(
    server: str, target: Path, asked: list[tuple[str, str | None]]
) -> None:
    target.parent.mkdir()
    target.with_name("net.onnx" + PART).write_bytes(DATA)
    assert fetch(remote(f"{server}/good", size=None), target) == DIGEST
    assert len(asked) == 1


def test_a_mirror_helps_where_the_first_address_does_not(server: str, target: Path) -> None:
    urls = ("http://127.0.0.1:9/closed", f"{server}/nothing", f"{server}/forged", f"{server}/good")
    assert fetch(remote(*urls), target, timeout=2.0) == DIGEST
    with pytest.raises(DownloadError, match=r"404.*another file"):
        fetch(remote(*urls[1:3]), target.with_name("other"))


def test_without_a_known_hash_the_hash_is_told_and_other_hosts_are_refused(server: str, target: Path) -> None:
    unknown = partial(remote, size=None, digest=None)
    assert fetch(unknown(f"{server}/near"), target) == DIGEST
    with pytest.raises(DownloadError, match=r"redirects to localhost, and no sha256 is known.*--sha256"):
        fetch(unknown(f"{server}/elsewhere"), target.with_name("other"))


@pytest.mark.parametrize("pinned", [True, False])
def test_no_redirect_leads_from_https_to_http_or_to_a_file(pinned: bool) -> None:
    check_redirect("net", "https://a.org/x", "https://a.org/y", pinned=pinned)
    check_redirect("net", "http://a.org/x", "https://a.org/y", pinned=pinned)
    for there in ("http://a.org/y", "file:///etc/passwd"):
        with pytest.raises(DownloadError, match="which is not followed"):
            check_redirect("net", "https://a.org/x", there, pinned=pinned)
    for there in ("https://evil.org\\@a.org/y", "https://a.org@evil.org/y", "https://a.org/\n"):
        with pytest.raises(DownloadError, match="whose host is not plain"):
            check_redirect("net", "https://a.org/x", there, pinned=pinned)
    with pytest.raises(DownloadError, match="which is no address"):
        check_redirect("net", "https://a.org/x", "https://[bad/", pinned=pinned)


def test_offline_nothing_is_asked_for(server: str, target: Path, asked: list[tuple[str, str | None]]) -> None:
    with pytest.raises(DownloadError, match="net is not on this machine, and downloads are off"):
        fetch(remote(f"{server}/good"), target, offline=True)
    assert asked == []


def test_a_file_without_an_address_is_said_to_have_none(target: Path) -> None:
    with pytest.raises(DownloadError, match="net has no address"):
        fetch(remote(), target)


def test_no_room_is_said_before_anything_is_written(
    server: str, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "SPARE", 1 << 60)
    with pytest.raises(OutputError, match=r"net needs 0 MB more in .*models.* SFUMATO_HOME"):
        fetch(remote(f"{server}/good"), target)
    assert left(target) == set()


def test_a_folder_that_cannot_be_made_is_named(server: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written"):
        fetch(remote(f"{server}/good"), tmp_path / "file" / "net.onnx")


def test_a_file_that_may_not_be_read_is_named(
    server: str, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Path) -> str:
        raise PermissionError(13, "Permission denied")

    fetch(remote(f"{server}/good"), target)
    monkeypatch.setattr(download, "digest_of", refuse)
    with pytest.raises(OutputError, match=r"net\.onnx cannot be read: Permission denied"):
        fetch(remote(f"{server}/good"), target)
    assert target.read_bytes() == DATA


def test_two_processes_fetch_a_file_once(
    server: str, target: Path, asked: list[tuple[str, str | None]]
) -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        digests = pool.starmap(fetch, [(remote(f"{server}/good"), target)] * 2)
    assert digests == [DIGEST] * 2
    assert len(asked) == 1


def test_a_digest_is_that_of_hashlib(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_bytes(DATA)
    assert digest_of(path) == DIGEST
