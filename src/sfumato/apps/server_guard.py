"""Stand before every request: who may ask, how often, how much and how slowly; it answers nothing but refusals."""

import asyncio
import hmac
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sfumato.apps.server_problems import answer_error
from sfumato.errors import (
    BusyError,
    ForeignRequestError,
    PictureTooLargeError,
    SfumatoError,
    SlowUploadError,
    TokenError,
)

GUARDED = ("/v1/", "/metrics")
"""What a token is asked for; the page, without pictures, and the state of health are open."""

FORM_ROOM = 100_000
"""Bytes of a request beside its pictures."""

LINGER_BYTES = 500_000_000
LINGER_SECONDS = 10.0
"""How much of a refused upload is read to its end and thrown away, so that its sender reads the refusal."""

METHODS = frozenset({"GET", "HEAD", "POST", "DELETE", "OPTIONS", "PUT", "PATCH"})

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "media-src 'self' blob:; font-src 'self'; manifest-src 'self'; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'none'"
)

HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

_log = logging.getLogger("sfumato.server")

Count = Callable[[str, str, int, float], None]


@dataclass(frozen=True, slots=True)
class Rules:
    """Who may ask, and how much.

    Attributes:
        token: what every request to the API must carry; None asks for none.
        hosts: names by which the server may be called; None allows any. A server of this machine alone is called by
            its names only, so that a page of another site cannot reach it through a name of its own.
        upload: bytes of one request.
        upload_seconds: within which a request must have come.
        rate: requests with work to do that an address may send within a minute.
    """

    token: str | None = None
    hosts: frozenset[str] | None = None
    upload: int = 150_000_000
    upload_seconds: float = 60.0
    rate: int = 600


class Guard:
    """Let requests through that keep the rules.

    Args:
        count: is told method, route, status and seconds of every request.
    """

    def __init__(self, app: ASGIApp, rules: Rules, count: Count) -> None:
        self._app = app
        self._rules = rules
        self._count = count
        self._rate = MovingWindowRateLimiter(MemoryStorage())
        self._item = RateLimitItemPerMinute(rules.rate)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or let the app do so."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start, status = time.monotonic(), 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                if not scope["path"].startswith("/page/"):
                    headers["Cache-Control"] = "no-store"
            await send(message)

        try:
            self._check(scope)
            limited = _Upload(receive, self._rules)
            await self._app(scope, limited.receive, answer)
        except SfumatoError as error:
            await _discard(receive)
            await answer_error(error)(scope, receive, answer)
        finally:
            self._note(scope, status, time.monotonic() - start)

    def _check(self, scope: Scope) -> None:
        """Raise if the request breaks a rule that its head shows."""
        headers = Headers(scope=scope)
        check_host(headers, self._rules.hosts)
        check_origin(headers)
        if self._rules.token is not None and scope["path"].startswith(GUARDED):
            check_token(headers, self._rules.token)
        if scope["method"] == "POST":
            self._check_rate(scope)
            check_length(headers, self._rules.upload)

    def _check_rate(self, scope: Scope) -> None:
        address = scope["client"][0] if scope.get("client") else ""
        if self._rate.hit(self._item, address):
            return
        reset = self._rate.get_window_stats(self._item, address).reset_time
        raise BusyError(
            f"more than {self._rules.rate} requests came from your address within a minute; wait a little",
            reset - time.time(),
        )

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        """Count and log a request by the pattern of its address; ids, names and pictures are never logged."""
        route = getattr(scope.get("route"), "path", "none")
        method = scope["method"] if scope["method"] in METHODS else "other"
        self._count(method, route, status, seconds)
        _log.info("%s %s %d %.0f ms", method, route, status, 1000 * seconds)


def check_host(headers: Headers, hosts: frozenset[str] | None) -> None:
    """Raise if the server was called by a name that is not its own.

    Raises:
        ForeignRequestError: it was.
    """
    name = urlsplit(f"//{headers.get('host', '')}").hostname or ""
    if hosts is not None and name not in hosts:
        raise ForeignRequestError(
            f"this server is not called {name[:60]!a}; use one of {', '.join(sorted(hosts))}"
        )


def check_origin(headers: Headers) -> None:
    """Raise if a page of another site sent the request.

    Raises:
        ForeignRequestError: it did.
    """
    origin = headers.get("origin")
    foreign = origin is not None and urlsplit(origin).netloc != headers.get("host")
    if foreign or headers.get("sec-fetch-site", "none") in ("cross-site", "same-site"):
        if headers.get("sec-fetch-mode") == "navigate" and origin is None:  # a link that leads to the page
            return
        raise ForeignRequestError(
            "a page of another site may not use this server; open the server's own page"
        )


def check_token(headers: Headers, token: str) -> None:
    """Raise unless the request carries the token; the comparison takes the same time for every wrong one.

    Raises:
        TokenError: it does not.
    """
    scheme, _, given = headers.get("authorization", "").partition(" ")
    alike = hmac.compare_digest(given.strip().encode(), token.encode())
    if scheme.lower() != "bearer" or not alike:
        raise TokenError("this server asks for a token; send the header 'Authorization: Bearer TOKEN'")


def check_length(headers: Headers, most: int) -> None:
    """Raise if a request says that it is longer than allowed.

    Raises:
        PictureTooLargeError: it does.
    """
    length = headers.get("content-length", "0")
    if length.isdigit() and int(length) > most:
        raise _too_large(most)


def _too_large(most: int) -> PictureTooLargeError:
    return PictureTooLargeError(
        f"the request is larger than the {most / 1e6:g} MB allowed; compress the picture or scale it down"
    )


class _Upload:
    """The body of one request, as long as it is neither too long nor too slow."""

    def __init__(self, receive: Receive, rules: Rules) -> None:
        self._receive = receive
        self._rules = rules
        self._left = rules.upload
        self._until = time.monotonic() + rules.upload_seconds
        self._whole = False

    async def receive(self) -> Message:
        """Return the next part of the body; after its end, the news that the client has gone."""
        if self._whole:
            return await self._receive()
        try:
            async with asyncio.timeout(self._until - time.monotonic()):
                message = await self._receive()
        except TimeoutError as error:
            raise SlowUploadError(
                f"the upload took longer than {self._rules.upload_seconds:g} seconds; send a smaller picture"
            ) from error
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            raise _too_large(self._rules.upload)
        self._whole = not message.get("more_body", False)
        return message


async def _discard(receive: Receive) -> None:
    """Read a refused body to its end, within bounds: a sender that is cut off would not read the answer."""
    left = LINGER_BYTES
    try:
        async with asyncio.timeout(LINGER_SECONDS):
            while left > 0:
                message = await receive()
                if not message.get("more_body", False):
                    return
                left -= len(message.get("body", b""))
    except TimeoutError:
        return
