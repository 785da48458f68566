"""Fetch files over HTTP, verified and whole or not at all; the only network client."""

import hashlib
import http
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import urljoin, urlsplit

from sfumato.errors import DownloadError, OutputError

if TYPE_CHECKING:
    import requests

Progress: TypeAlias = Callable[[int, int | None], None]
"""Told how many bytes are there, and of how many if that is known."""

CHUNK = 1 << 20
"""Bytes that are read at a time."""

ATTEMPTS = 3
"""Times in a row that one address may break off without a byte more; each try goes on where the last ended."""

REDIRECTS = 5
"""Redirects that are followed."""

SPARE = 64 << 20
"""Bytes that must stay free on the disk."""

PART = ".part"
"""Suffix of a file that is not whole yet."""


@dataclass(frozen=True, slots=True)
class Remote:
    """Say where a file is and how to tell that it is the right one.

    Attributes:
        name: what it is called in messages.
        urls: addresses, tried in this order.
        bytes: its size; None is not known.
        sha256: full, in lower case; None is not known, and then nothing tells a forged file from the true one.
    """

    name: str
    urls: tuple[str, ...]
    bytes: int | None = None
    sha256: str | None = None


def fetch(
    remote: Remote,
    target: Path,
    *,
    offline: bool = False,
    timeout: float = 30.0,
    progress: Progress | None = None,
) -> str:
    """Bring a file to `target` and return its sha256; a whole one that is there already is only verified.

    What has come of a broken transfer stays beside the target as `NAME.part`, and the next call goes on from there. Of
    two processes that want the same file, one fetches it and the other waits. Proxies are those of the environment.

    Args:
        offline: fetch nothing.
        timeout: seconds without a byte after which an address is given up.

    Raises:
        DownloadError: offline, or no address gave the file; whatever came but was another file is deleted.
        OutputError: there is no room for it, or it cannot be written.
    """
    try:
        there = _verified(remote, target)
    except OSError as error:
        raise OutputError(f"{target} cannot be read: {error.strerror or error}") from error
    if there is not None:
        return there
    if offline:
        raise DownloadError(
            f"{remote.name} is not on this machine, and downloads are off; go online and pull it"
        )
    with _alone(target):
        if (there := _verified(remote, target)) is not None:  # another process was faster
            return there
        failures = []
        for url in remote.urls:
            try:
                return _fetch_from(url, remote, target, timeout, progress)
            except DownloadError as error:
                failures.append(str(error))
        raise DownloadError("; ".join(failures) or f"{remote.name} has no address; name a file of it instead")


def digest_of(path: Path) -> str:
    """Return the sha256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_redirect(name: str, source: str, target: str, *, pinned: bool) -> None:
    """Refuse a redirect by which the file could be exchanged.

    Args:
        pinned: whether the file's sha256 is known, so that it does not matter who sends it.

    Raises:
        DownloadError: it leads from https to http or to what is neither, or, where nothing is known of the file, to
            another host.
    """
    try:
        old, new = urlsplit(source), urlsplit(target)
    except ValueError:
        raise DownloadError(f"{name}: {source} redirects to {target!r}, which is no address") from None
    if any(mark in target for mark in "\\@") or not target.isprintable():
        raise DownloadError(f"{name}: {old.hostname} redirects to {target!r}, whose host is not plain")
    if new.scheme not in ("http", "https") or (old.scheme, new.scheme) == ("https", "http"):
        raise DownloadError(f"{name}: {old.hostname} redirects to {new.scheme}, which is not followed")
    if not pinned and old.hostname != new.hostname:
        raise DownloadError(
            f"{name}: {old.hostname} redirects to {new.hostname}, and no sha256 is known to check what comes from "
            "there; give it by --sha256"
        )


def _verified(remote: Remote, target: Path) -> str | None:
    """Return the sha256 of the file if it is there and right."""
    if not target.is_file() or (remote.bytes is not None and target.stat().st_size != remote.bytes):
        return None
    digest = digest_of(target)
    return digest if remote.sha256 in (None, digest) else None


@contextmanager
def _alone(target: Path) -> Iterator[None]:
    """Keep other processes from fetching the same file meanwhile."""
    from filelock import FileLock

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_name(f"{target.name}.lock")):
            yield
    except OSError as error:
        raise OutputError(f"{target} cannot be written: {error.strerror or error}") from error


def _fetch_from(url: str, remote: Remote, target: Path, timeout: float, progress: Progress | None) -> str:
    """Fetch from one address, several times if it breaks off, verify, and move to its place."""
    part = target.with_name(target.name + PART)
    if remote.sha256 is None:
        part.unlink(missing_ok=True)  # nothing would tell two halves of different files
    resumed = _size(part) > 0
    fruitless = 0
    while True:
        before = _size(part)
        try:
            _transfer(url, remote, part, timeout, progress)
            break
        except _BrokenOffError as error:
            fruitless = 0 if _size(part) > before else fruitless + 1
            if fruitless == ATTEMPTS:
                raise DownloadError(
                    f"{remote.name}: {url} broke off after {_size(part):,} bytes ({error}); pull again to go on"
                ) from error
    digest = digest_of(part)
    if remote.bytes not in (None, _size(part)) or remote.sha256 not in (None, digest):
        size = _size(part)
        part.unlink()
        if resumed:  # what lay there may have been begun from another file
            return _fetch_from(url, remote, target, timeout, progress)
        raise DownloadError(
            f"{remote.name}: {url} sent another file ({size:,} bytes, sha256 {digest}); it was deleted"
        )
    part.replace(target)
    return digest


class _BrokenOffError(Exception):
    """The transfer ended before the file did; another attempt may go on."""


def _transfer(url: str, remote: Remote, part: Path, timeout: float, progress: Progress | None) -> None:
    """Append to `part` what is missing of the file, or all of it where the server cannot go on."""
    import requests

    held = _size(part)
    if remote.bytes is not None and held >= remote.bytes:
        return  # whole, or too long; the caller looks
    try:
        with requests.Session() as session:
            answer = _open(session, url, remote, held, timeout)
            with answer:
                if answer.status_code == requests.codes.requested_range_not_satisfiable:
                    if answer.headers.get("Content-Range") == f"bytes */{held}":
                        return  # whole already; the caller looks
                    part.unlink(missing_ok=True)
                    raise _BrokenOffError("it has fewer bytes than were fetched before")
                if answer.status_code not in (requests.codes.ok, requests.codes.partial_content):
                    raise DownloadError(f"{remote.name}: {url} answered {answer.status_code} {answer.reason}")
                if answer.headers.get("Content-Encoding", "identity") != "identity":
                    raise DownloadError(
                        f"{remote.name}: {url} sends the file compressed, which was not asked for"
                    )
                held, total = _range(answer, held)
                if remote.bytes is not None and total not in (None, remote.bytes):
                    raise DownloadError(
                        f"{remote.name}: {url} has {total:,} bytes, not the {remote.bytes:,} of the true file"
                    )
                check_room(remote.name, part.parent, (total or remote.bytes or 0) - held)
                _append(answer, part, held, remote.bytes or total, progress)
    except requests.RequestException as error:
        raise _BrokenOffError(type(error).__name__) from error
    wanted = remote.bytes or total
    if wanted is not None and _size(part) < wanted:
        raise _BrokenOffError("the connection was closed")


def _open(
    session: "requests.Session", url: str, remote: Remote, held: int, timeout: float
) -> "requests.Response":
    """Return the answer at the end of the redirects, its body unread."""
    import requests

    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={held}-"} if held else {})
    for _ in range(REDIRECTS + 1):
        try:  # requests looks at the next address even where it is told not to follow it
            answer = session.get(url, headers=headers, stream=True, timeout=timeout, allow_redirects=False)
            if not answer.is_redirect:
                return answer
            following = urljoin(url, answer.headers["Location"])
        except requests.RequestException:
            raise  # some are ValueErrors as well
        except ValueError as error:
            raise DownloadError(f"{remote.name}: {url} is or redirects to what is no address") from error
        answer.close()
        check_redirect(remote.name, url, following, pinned=remote.sha256 is not None)
        url = following
    raise DownloadError(f"{remote.name}: {url} redirects more than {REDIRECTS} times")


def _range(answer: "requests.Response", held: int) -> tuple[int, int | None]:
    """Return from which byte the answer goes on, and the size of the whole file as far as the server says it."""
    if answer.status_code == http.HTTPStatus.PARTIAL_CONTENT:
        said = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("Content-Range", ""))
        if said is None or int(said[1]) != held:
            raise _BrokenOffError("it goes on from another byte than was asked for")
        return held, None if said[2] == "*" else int(said[2])
    length = answer.headers.get("Content-Length", "")
    return 0, int(length) if length.isdigit() else None


def _append(
    answer: "requests.Response", part: Path, held: int, total: int | None, progress: Progress | None
) -> None:
    """Write the body after the first `held` bytes, no more than `total` in all and a piece."""
    answer.raw.enforce_content_length = False  # or what came of a last, short piece would be thrown away
    with part.open("r+b" if held else "wb") as file:
        file.seek(held)
        file.truncate()
        for piece in answer.iter_content(CHUNK):
            file.write(piece)
            held += len(piece)
            if progress is not None:
                progress(held, total)
            if total is not None and held > total:
                return  # longer than it may be: the caller refuses it


def check_room(name: str, folder: Path, missing: int) -> None:
    """Make sure that a file fits into a folder and leaves `SPARE`.

    Raises:
        OutputError: it does not.
    """
    free = shutil.disk_usage(folder).free
    if free < missing + SPARE:
        raise OutputError(
            f"{name} needs {missing / 1e6:,.0f} MB more in {folder}, where {free / 1e6:,.0f} MB are free; "
            "make room, or set SFUMATO_HOME to another folder"
        )


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
