"""Who may ask, how often and how much: the rules before the API, with and without a client that keeps them."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers
from starlette.testclient import TestClient
from starlette.types import Message

from sfumato.apps.cli_serve import check_token_strength, listen
from sfumato.apps.server import create_app
from sfumato.apps.server_guard import (
    Guard,
    Rules,
    check_host,
    check_length,
    check_origin,
    check_token,
)
from sfumato.apps.server_metrics import Metrics
from sfumato.apps.server_protocol import ImpatientProtocol
from sfumato.errors import ForeignRequestError, PictureTooLargeError, SettingsError, TokenError
from sfumato.jobs.service import Service
from sfumato.jobs.store import Store
from sfumato.settings import Settings
from tests.apps.test_server_api import BOUNDS, portrait, problem, send
from tests.simple import build

TOKEN = "a token of many letters"


@contextmanager
def guarded(folder: Path, rules: Rules) -> Iterator[TestClient]:
    with Store(folder) as store:
        service = Service(store, BOUNDS, build)
        app = create_app(service, Metrics(), base=Settings(), rules=rules, drain=5)
        with TestClient(app, base_url="http://localhost:7860") as client:
            yield client


def test_with_a_token_only_health_and_the_empty_page_are_open(tmp_path: Path) -> None:
    with guarded(tmp_path, Rules(token=TOKEN)) as client:
        for path in ("/", "/healthz", "/readyz", "/openapi.json"):
            assert client.get(path).status_code == 200
        for path in ("/v1/about", "/v1/models", "/metrics", f"/v1/jobs/{'0' * 32}", "/v1/nothing"):
            refused = client.get(path)
            assert problem(refused, 401).startswith("this server asks for a token; send the header")
            assert refused.headers["www-authenticate"] == "Bearer"
        problem(send(client, "/v1/stylize"), 401)
        client.headers["Authorization"] = f"Bearer {TOKEN}"
        assert send(client, "/v1/stylize").status_code == 200
        assert client.get("/metrics").status_code == 200


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=40))
def test_no_other_token_opens(token: str) -> None:
    if token != TOKEN:
        with pytest.raises(TokenError):
            check_token(Headers({"authorization": f"Bearer {token}"}), TOKEN)


@pytest.mark.parametrize(
    "header", [TOKEN, f"Basic {TOKEN}", "Bearer", "", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}"]
)
def test_a_token_in_another_dress_opens_nothing(header: str) -> None:
    with pytest.raises(TokenError):
        check_token(Headers({"authorization": header}), TOKEN)


def test_the_right_token_opens_whatever_the_case_of_bearer() -> None:
    for scheme in ("Bearer", "bearer", "BEARER"):
        check_token(Headers({"authorization": f"{scheme} {TOKEN}"}), TOKEN)


LOCAL = frozenset({"127.0.0.1", "localhost", "::1"})


@pytest.mark.parametrize("host", ["localhost", "localhost:7860", "127.0.0.1:1", "[::1]:7860", "LOCALHOST"])
def test_a_local_server_answers_to_its_names(host: str) -> None:
    check_host(Headers({"host": host}), LOCAL)


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:7860", "localhost.evil.example", "", "127.0.0.1.evil"]
)
def test_a_local_server_answers_to_no_other_name(host: str) -> None:
    """A page of another site whose name points to this machine would otherwise read the answers."""
    with pytest.raises(ForeignRequestError, match="this server is not called"):
        check_host(Headers({"host": host}), LOCAL)
    check_host(Headers({"host": host}), None)


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "localhost:7860"},
        {"host": "localhost:7860", "origin": "http://localhost:7860", "sec-fetch-site": "same-origin"},
        {"host": "localhost:7860", "sec-fetch-site": "none"},
        {"host": "localhost:7860", "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"},
    ],
)
def test_programs_and_the_servers_own_page_may_ask(headers: dict[str, str]) -> None:
    check_origin(Headers(headers))


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "localhost:7860", "origin": "http://evil.example"},
        {"host": "localhost:7860", "origin": "http://localhost:8000"},
        {"host": "localhost:7860", "origin": "null"},
        {"host": "localhost:7860", "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"},
        {
            "host": "localhost:7860",
            "origin": "http://a",
            "sec-fetch-site": "cross-site",
            "sec-fetch-mode": "navigate",
        },
    ],
)
def test_pages_of_other_sites_may_not_ask(headers: dict[str, str]) -> None:
    with pytest.raises(ForeignRequestError, match="a page of another site may not use this server"):
        check_origin(Headers(headers))


def test_a_form_of_another_site_paints_nothing(tmp_path: Path) -> None:
    with guarded(tmp_path, Rules()) as client:
        response = client.post(
            "/v1/stylize?async=1", files={"image": portrait()}, headers={"Origin": "http://evil.example"}
        )
        problem(response, 403)
        assert "sfumato_jobs_waiting 0.0" in client.get("/metrics").text


def test_too_many_pictures_in_a_minute_are_refused_with_the_time_to_wait(tmp_path: Path) -> None:
    with guarded(tmp_path, Rules(rate=2)) as client:
        codes = [send(client, "/v1/detect").status_code for _ in range(2)]
        assert codes == [200, 200]
        refused = send(client, "/v1/detect")
        assert problem(refused, 429).startswith("more than 2 requests came from your address within a minute")
        assert 1 <= int(refused.headers["retry-after"]) <= 61
        assert client.get("/v1/about").status_code == 200


def test_a_request_that_says_it_is_too_long_is_refused_unread(tmp_path: Path) -> None:
    with guarded(tmp_path, Rules(upload=1000)) as client:
        assert problem(send(client, "/v1/stylize"), 413).startswith(
            "the request is larger than the 0.001 MB allowed"
        )


def test_a_request_that_does_not_say_how_long_it_is_is_refused_on_the_way(tmp_path: Path) -> None:
    def body() -> Iterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="image"; filename="x"\r\n\r\n'
        for _ in range(100):
            yield b"x" * 1000

    with guarded(tmp_path, Rules(upload=50_000)) as client:
        kind = {"content-type": "multipart/form-data; boundary=b"}
        refused = problem(client.post("/v1/stylize", content=body(), headers=kind), 413)
        assert refused.startswith("the request is larger than the 0.05 MB allowed")


@pytest.mark.parametrize("length", ["1001", "9" * 30])
def test_lengths_beyond_the_limit_are_refused(length: str) -> None:
    with pytest.raises(PictureTooLargeError):
        check_length(Headers({"content-length": length}), 1000)


@pytest.mark.parametrize("length", ["1000", "0", "x", "-1"])
def test_other_lengths_are_left_to_the_server(length: str) -> None:
    check_length(Headers({"content-length": length}), 1000)


Answered = list[Message]


def ask(rules: Rules, receive: Callable[[], Message | None]) -> Answered:
    """Send a request by hand, of which `receive` gives the parts and None stands for one that never comes."""
    sent: Answered = []

    async def app(scope: object, receive: Callable[[], object], send: object) -> None:
        while (await receive())["more_body"]:  # type: ignore[misc]  # as the server gives it
            pass

    async def receiving() -> Message:
        message = receive()
        if message is None:
            await asyncio.sleep(60)
        assert message is not None
        return message

    async def sending(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/v1/stylize", "headers": [], "client": ("here", 1)}
    counted: list[object] = []
    guard = Guard(app, rules, lambda *told: counted.append(told))
    asyncio.run(guard(scope, receiving, sending))
    assert len(counted) == 1
    return sent


def test_a_slow_upload_ends_after_its_time() -> None:
    parts: list[Message | None] = [
        {"type": "http.request", "body": b"x", "more_body": True},
        None,
        {"type": "http.disconnect"},
    ]
    sent = ask(Rules(upload_seconds=0.1), lambda: parts.pop(0))
    assert sent[0]["status"] == 408
    assert b"the upload took longer than 0.1 seconds" in sent[1]["body"]


def test_a_refused_upload_is_read_to_its_end_so_that_its_sender_reads_why() -> None:
    left = 50

    def part() -> Message:
        nonlocal left
        left -= 1
        return {"type": "http.request", "body": b"x" * 1000, "more_body": left > 0}

    assert ask(Rules(upload=10_000), part)[0]["status"] == 413
    assert left == 0


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::"])
def test_others_are_let_in_with_a_token_only(host: str) -> None:
    with pytest.raises(SettingsError, match="lets others in; set a token in SFUMATO_TOKEN"):
        check_token_strength(host, None)
    check_token_strength(host, TOKEN)
    check_token_strength("127.0.0.1", None)
    with pytest.raises(SettingsError, match="--name lets others in"):
        check_token_strength("127.0.0.1", None, named=True)


@pytest.mark.parametrize("token", ["short", "fifteen letters", "sixteen lätters!!", "line\nbreaks " * 3])
def test_a_token_that_is_soon_guessed_or_cannot_be_sent_is_refused(token: str) -> None:
    with pytest.raises(SettingsError, match="the token is soon guessed; use 16 plain letters or more"):
        check_token_strength("127.0.0.1", token)


class Hasty(ImpatientProtocol):
    head_seconds = 0.5


@contextmanager
def listening(folder: Path) -> Iterator[tuple[str, int]]:
    """Serve in a thread by a protocol that waits for heads a short while only."""
    with listen("127.0.0.1", 0) as taken, Store(folder) as store:
        service = Service(store, BOUNDS, build)
        app = create_app(service, Metrics(), base=Settings(), rules=Rules(), drain=5)
        server = uvicorn.Server(uvicorn.Config(app, http=Hasty, log_config=None, access_log=False))
        thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[taken])))
        thread.start()
        yield taken.getsockname()
        server.should_exit = True
        thread.join(30)


@pytest.mark.parametrize("sent", [b"", b"GET /healthz HTT", b"GET /healthz HTTP/1.1\r\nHost: local"])
def test_a_connection_whose_request_never_comes_is_closed(tmp_path: Path, sent: bytes) -> None:
    with listening(tmp_path) as address, socket.create_connection(address, timeout=10) as line:
        line.sendall(sent)
        assert line.recv(100) == b""


def test_a_connection_is_closed_too_where_a_later_request_stops_in_its_head(tmp_path: Path) -> None:
    whole = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with listening(tmp_path) as address, socket.create_connection(address, timeout=10) as line:
        for _ in range(2):
            line.sendall(whole)
            answer = b""
            while not answer.endswith(b'{"status":"ok"}'):
                answer += line.recv(10_000)
        line.sendall(whole[:20])
        left = b""
        while part := line.recv(10_000):
            left += part
        assert b"HTTP/1.1" not in left
