"""`sfumato serve` in a process of its own at its limits: full disk, full queue, strangers, ports and folders taken."""

import resource
import socket
import sys
from collections.abc import Iterator
from functools import cache, partial
from io import BytesIO
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import requests

from tests.serving import PLAIN, Served, files_below, portrait, refused, serving, size_of, wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits processes and reads /proc")

TOKEN = "correct-horse-battery"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@cache
def noise(side: int) -> bytes:
    """Return a JPEG that is large for its pixels."""
    encoded = BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    PIL.Image.fromarray(pixels).save(encoded, "JPEG", quality=100)
    return encoded.getvalue()


def limit_files(size: int) -> None:
    """Let no file of this process grow beyond so many bytes, as if the disk were full."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def check_full(answer: requests.Response) -> None:
    assert answer.status_code == 507, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert "free some space" in answer.json()["detail"]


def check_one_line(refusal: tuple[int, str], said: str) -> None:
    code, words = refusal
    assert code == 2
    assert words.startswith("sfumato: ")
    assert said in words
    assert words.count("\n") == 1


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve with one worker and room for eight more jobs."""
    with serving(tmp_path_factory.mktemp("narrow") / "state", "--workers", "1", "--queue", "8") as running:
        yield running


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve those who know a token, keep nothing, and take twelve requests a minute."""
    state = tmp_path_factory.mktemp("strict") / "state"
    options = ("--keep", "0", "--rate", "12", "--host", "0.0.0.0")
    with serving(state, *options, environment={"SFUMATO_TOKEN": TOKEN}) as running:
        yield running


def test_a_full_disk_refuses_large_pictures_and_takes_small_ones(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with serving(state, "--workers", "1", before=partial(limit_files, 600_000)) as served:
        for side in (600, 1800):  # such an upload is kept in memory at first, and on the disk
            check_full(served.paint(noise(side)))
            check_full(served.post("/v1/stylize?async=1", {"image": ("a.jpg", noise(side))}))
        assert files_below(state) == []
        check_full(served.paint(portrait(1024), {**PLAIN, "format": "png"}))
        id = served.submit(portrait(1024), {**PLAIN, "format": "png"})
        job = served.ended(id)
        assert (job["state"], job["error"]["status"], job["result"]) == ("failed", 507, None)
        assert files_below(state) == []
        assert size_of(served.paint(portrait(), PLAIN).content) == (256, 256)
        assert served.get("/readyz").status_code == 200
        assert "Traceback" not in served.said()


def test_a_full_database_refuses_jobs_and_does_not_end_the_server(tmp_path: Path) -> None:
    with serving(tmp_path / "state", "--workers", "1", before=partial(limit_files, 120_000)) as served:
        answers = [served.paint(portrait(64), PLAIN) for _ in range(30)]
        check_full(answers[-1])
        assert {answer.status_code for answer in answers} == {200, 507}
        wait_until(lambda: files_below(served.state) == [])
        assert served.get("/readyz").status_code == 200
        assert "Traceback" not in served.said()


def test_a_full_queue_says_when_to_come_back(narrow: Served) -> None:
    ids = [narrow.submit(portrait(1500), PLAIN)]
    narrow.wait_for_running(ids[0])
    ids += [narrow.submit(portrait(), PLAIN) for _ in range(8)]
    assert [narrow.job(id)["position"] for id in ids] == [None, *range(1, 9)]
    answer = narrow.paint(portrait())
    assert (answer.status_code, answer.json()["status"]) == (429, 429)
    assert "8 jobs are waiting" in answer.json()["detail"]
    assert int(answer.headers["Retry-After"]) >= 1
    for id in ids:
        assert requests.delete(f"{narrow.url}/v1/jobs/{id}", timeout=30).status_code == 204
    narrow.wait_until_idle()
    assert files_below(narrow.state) == []
    assert narrow.painted("cancelled") == 9


def test_a_page_with_one_picture_does_not_wait_for_a_page_with_many(narrow: Served) -> None:
    first = narrow.submit(portrait(1500), PLAIN, page="other")
    narrow.wait_for_running(first)
    many = [narrow.submit(portrait(), PLAIN, page="many") for _ in range(6)]
    one = narrow.submit(portrait(), PLAIN, page="one")
    assert narrow.job(one)["position"] == 2
    order = sorted([*many, one], key=lambda id: str(narrow.ended(id)["finished"]))
    assert order == [many[0], one, *many[1:]]


def test_a_token_is_asked_for_where_pictures_are(strict: Served) -> None:
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": TOKEN}):
        answer = strict.get("/v1/about", headers)
        assert answer.status_code == 401
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert strict.get("/metrics").status_code == 401
    assert strict.paint(portrait(), PLAIN).status_code == 401
    assert strict.get("/v1/about", BEARER).status_code == 200
    assert [strict.get(path).status_code for path in ("/", "/healthz", "/readyz")] == [200, 200, 200]
    assert TOKEN not in strict.said()


def test_with_keep_0_a_result_is_gone_once_it_was_fetched(strict: Served) -> None:
    files = {"image": ("a.jpg", portrait())}
    id = strict.post("/v1/stylize?async=1", files, PLAIN, headers=BEARER).json()["id"]
    wait_until(lambda: strict.get(f"/v1/jobs/{id}", BEARER).json()["state"] == "done")
    assert size_of(strict.get(f"/v1/jobs/{id}/result", BEARER).content) == (256, 256)
    wait_until(lambda: strict.get(f"/v1/jobs/{id}", BEARER).status_code == 404)
    assert strict.get(f"/v1/jobs/{id}/result", BEARER).status_code == 404
    assert strict.paint(portrait(), PLAIN, headers=BEARER).status_code == 200
    wait_until(lambda: files_below(strict.state) == [])


def test_an_address_that_asks_too_often_is_told_when_to_come_back(strict: Served) -> None:
    answers = [strict.paint(b"no picture", headers=BEARER) for _ in range(13)]
    assert {answer.status_code for answer in answers} == {415, 429}
    assert answers[-1].status_code == 429
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 60
    assert answers[-1].headers["Content-Type"] == "application/problem+json"
    assert strict.get("/v1/about", BEARER).status_code == 200


def test_a_port_that_is_taken_is_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        check_one_line(refused("--state", tmp_path / "state", "--port", str(port)), f"port {port}")


def test_a_host_for_others_without_a_token_is_one_line(tmp_path: Path) -> None:
    check_one_line(
        refused("--state", tmp_path / "state", "--host", "0.0.0.0"), "set a token in SFUMATO_TOKEN"
    )


@pytest.mark.parametrize("token", ["short", "fifteen-letters", "schlüssel-schlüssel"])
def test_a_token_that_is_soon_guessed_is_one_line(tmp_path: Path, token: str) -> None:
    check_one_line(refused("--state", tmp_path / "state", SFUMATO_TOKEN=token), "soon guessed")


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, said = refused("--state", tmp_path / "file" / "state")
    assert code == 4
    assert said.count("\n") == 1
