"""`sfumato serve` in a process of its own that is killed, stopped and started anew: no accepted picture is lost."""

import signal
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests

from tests.serving import PLAIN, Served, files_below, portrait, refused, serving, size_of, wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="sends signals and reads /proc")

SLOW = 1200
"""Side of a picture that is still being painted when a test looks; it is sent first, and all others wait."""


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def clients() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


def wait_for_jobs(state: Path, count: int) -> None:
    """Wait until the server has taken in so many jobs."""
    wait_until(lambda: len(list((state / "files").iterdir())) == count)


def submit(served: Served, count: int) -> list[str]:
    """Have a slow picture and then small ones painted later."""
    slow = served.submit(portrait(SLOW), PLAIN)
    return [slow, *(served.submit(portrait(), PLAIN) for _ in range(count - 1))]


def send(
    clients: ThreadPoolExecutor, served: Served
) -> "Future[requests.Response | requests.ConnectionError]":
    """Have a picture painted by a client that waits; what it gets in the end may be a broken connection."""

    def wait() -> requests.Response | requests.ConnectionError:
        try:
            return served.paint(portrait(), PLAIN)
        except requests.ConnectionError as error:
            return error

    return clients.submit(wait)


def is_picture(answer: requests.Response | requests.ConnectionError) -> bool:
    return isinstance(answer, requests.Response) and size_of(answer.content) == (256, 256)


def check_painted(served: Served, ids: list[str]) -> None:
    """Check that all jobs are done, and every result is a picture."""
    assert [served.ended(id)["state"] for id in ids] == ["done"] * len(ids)
    sizes = [size_of(served.get(f"/v1/jobs/{id}/result").content) for id in ids]
    assert sizes == [(SLOW, SLOW), *[(256, 256)] * (len(ids) - 1)]


def test_a_killed_server_loses_no_accepted_picture_and_paints_none_twice(
    state: Path, clients: ThreadPoolExecutor
) -> None:
    with serving(state, "--workers", "1") as served:
        ids = submit(served, 10)
        lost = send(clients, served)
        wait_for_jobs(state, 11)
        served.ended(ids[0])
        killed = datetime.now(UTC)
        served.stop(signal.SIGKILL)
    assert isinstance(lost.result(), requests.ConnectionError)
    with serving(state, "--workers", "1") as served:
        check_painted(served, ids)
        served.wait_until_idle()
        before = sum(datetime.fromisoformat(served.job(id)["finished"]) < killed for id in ids)
        assert 1 <= before < 10
        assert served.painted() == 10 - before
    assert files_below(state) == sorted([*ids, *(f"{id}/result" for id in ids)])


def test_a_stopped_server_finishes_what_it_accepted(
    state: Path, clients: ThreadPoolExecutor, tmp_path: Path
) -> None:
    (tmp_path / "tmp").mkdir()
    with serving(state, "--workers", "1", environment={"TMPDIR": str(tmp_path / "tmp")}) as served:
        ids = submit(served, 3)
        waited = send(clients, served)
        wait_for_jobs(state, 4)
        assert served.stop() == 0
    assert is_picture(waited.result())
    assert list((tmp_path / "tmp").iterdir()) == []
    assert files_below(state) == sorted([*ids, *(f"{id}/result" for id in ids)])
    with serving(state) as served:
        check_painted(served, ids)
        assert served.painted() == 0


def test_what_the_time_to_stop_is_too_short_for_is_done_by_the_next_server(
    state: Path, clients: ThreadPoolExecutor
) -> None:
    with serving(state, "--workers", "1", "--drain", "0") as served:
        ids = submit(served, 3)
        waited = send(clients, served)
        wait_for_jobs(state, 4)
        served.wait_for_running(ids[0])
        assert served.stop() == 0
        answer = waited.result()
        assert isinstance(answer, requests.Response), answer
        assert (answer.status_code, answer.json()["status"]) == (503, 503)
        assert int(answer.headers["Retry-After"]) > 0
        assert "Traceback" not in served.said()
    with serving(state) as served:
        check_painted(served, ids)
        served.wait_until_idle()
        assert served.painted() == 3
    assert files_below(state) == sorted([*ids, *(f"{id}/result" for id in ids)])


def test_a_second_signal_stops_at_once_and_loses_nothing(state: Path) -> None:
    with serving(state, "--workers", "1", "--drain", "100") as served:
        ids = submit(served, 3)
        served.wait_for_running(ids[0])
        served.process.send_signal(signal.SIGINT)
        wait_until(lambda: not accepts(served))
        assert served.stop() == 0
    with serving(state) as served:
        assert [served.ended(id)["state"] for id in ids] == ["done"] * 3


def accepts(served: Served) -> bool:
    try:
        return served.get("/healthz").status_code == 200
    except requests.ConnectionError:
        return False


def test_a_server_that_is_stopped_as_soon_as_it_listens_ends_well(state: Path) -> None:
    with serving(state) as served:
        assert served.stop() == 0
        assert "terminate" not in served.said()


def test_a_second_server_on_one_folder_is_one_line(state: Path) -> None:
    with serving(state):
        code, said = refused("--state", state)
    assert code == 2
    assert said.startswith("sfumato: another sfumato serve uses")
    assert said.count("\n") == 1
