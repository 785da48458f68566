"""Jobs on disk: what comes back is what was kept, after a restart too, and a full disk leaves nothing behind."""

import errno
import subprocess
import sys
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfumato.errors import OutputError, SettingsError
from sfumato.jobs.job import Client, Job, Refusal, State, Work, from_json, to_json
from sfumato.jobs.store import FILES, Store
from sfumato.settings import Settings

WORK = Work("stylize", Settings(paint=0.25, preserve="eyes=1,skin=0.6"), side=640, format="PNG", layers=True)


def a_job(number: int = 1, state: State = "queued", *, waited_for: bool = False) -> Job:
    return Job(f"{number:032x}", WORK, Client("127.0.0.1", "page"), 10**9, float(number), waited_for, state)


times = st.none() | st.floats(0, 2e9)


@given(
    st.sampled_from(["queued", "running", "done", "failed", "cancelled"]),
    times,
    times,
    st.none() | st.builds(Refusal, st.text(), st.integers(400, 599), st.text()),
    st.lists(st.text(), max_size=3).map(tuple),
    st.dictionaries(st.text(), st.integers() | st.lists(st.floats(allow_nan=False)), max_size=3),
)
def test_a_job_comes_back_as_it_was(
    state: State,
    started: float | None,
    expires: float | None,
    error: Refusal | None,
    layers: tuple[str, ...],
    report: dict[str, object],
) -> None:
    job = replace(
        a_job(), state=state, started=started, expires=expires, error=error, layers=layers, report=report
    )
    assert from_json(to_json(job)) == job


def test_uploads_and_jobs_survive_the_process(tmp_path: Path) -> None:
    job = a_job()
    with Store(tmp_path) as store:
        store.add(job, {"image": BytesIO(b"picture"), "mask": BytesIO(b"mask")})
    with Store(tmp_path) as store:
        assert store.find(job.id) == job
        path = store.file_of(job.id, "image")
        assert path is not None
        assert path.read_bytes() == b"picture"
        assert store.file_of(job.id, "palette") is None


def test_unknown_jobs_are_none(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        assert store.find("0" * 32) is None


def test_a_restart_takes_up_what_was_accepted_in_order_and_forgets_what_a_lost_client_waited_for(
    tmp_path: Path,
) -> None:
    with Store(tmp_path) as store:
        store.add(a_job(3), {"image": BytesIO(b"3")})
        store.add(replace(a_job(1, "running"), started=5.0, attempts=1), {"image": BytesIO(b"1")})
        store.add(a_job(2, waited_for=True), {"image": BytesIO(b"2")})
        store.add(a_job(4, "done"), {"image": BytesIO(b"4")})
        (tmp_path / FILES / "broken off").mkdir()
    with Store(tmp_path) as store:
        jobs = store.recover()
        assert [(job.id, job.state, job.attempts) for job in jobs] == [
            (a_job(1).id, "queued", 1),
            (a_job(3).id, "queued", 0),
        ]
        assert store.find(a_job(2).id) is None
    assert {path.name for path in (tmp_path / FILES).iterdir()} == {a_job(k).id for k in (1, 3, 4)}


def test_uploads_go_and_results_stay(tmp_path: Path) -> None:
    job = a_job()
    with Store(tmp_path) as store:
        store.add(job, {"image": BytesIO(b"picture")})
        store.keep_result(job.id, b"painting", {"mask": b"mask", "result": b"result"})
        store.drop_uploads(job.id)
        kept = sorted(
            str(path.relative_to(store.folder_of(job.id)))
            for path in store.folder_of(job.id).rglob("*")
            if path.is_file()
        )
        assert kept == ["layers/mask.png", "layers/result.png", "result"]
        store.forget(job.id)
        assert not store.folder_of(job.id).exists()
        assert store.find(job.id) is None
        store.forget(job.id)


def test_dropping_the_uploads_of_a_job_without_files_does_nothing(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.drop_uploads("0" * 32)
        assert not any((tmp_path / FILES).iterdir())


def test_jobs_expire(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        for number, expires in ((1, 10.0), (2, 20.0), (3, None)):
            store.put(replace(a_job(number, "done"), expires=expires))
        assert store.expired(9.0) == []
        assert store.expired(10.0) == [a_job(1).id]
        assert len(store.expired(1e9)) == 2


def test_a_folder_serves_one_server_at_a_time(tmp_path: Path) -> None:
    with Store(tmp_path):
        code = (
            f"from pathlib import Path; from sfumato.jobs.store import Store; Store(Path({str(tmp_path)!r}))"
        )
        second = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert "another sfumato serve uses" in second.stderr.splitlines()[-1]
    with Store(tmp_path):
        pass


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write into its folder: not a directory; choose a folder"):
        Store(tmp_path / "file" / "state")


class FullDisk(BytesIO):
    """An upload in whose middle the disk is full."""

    def read(self, _size: int | None = -1, /) -> bytes:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_leaves_nothing_of_an_upload(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        with pytest.raises(OutputError, match="no space left on device; free some space"):
            store.add(a_job(), {"image": FullDisk()})
        assert store.find(a_job().id) is None
        assert not any((tmp_path / FILES).iterdir())


def test_a_result_that_cannot_be_kept_is_one_line_without_the_name_of_its_file(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        with pytest.raises(OutputError, match="the server cannot keep the result; free some space") as caught:
            store.keep_result("f" * 32, b"painting", {})
        assert "f" * 32 not in str(caught.value)


def test_a_database_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store._database.execute("PRAGMA query_only=ON")
        with pytest.raises(OutputError, match="the server cannot write into its folder"):
            store.put(a_job())


def test_settings_errors_are_not_mistaken_for_full_disks(tmp_path: Path) -> None:
    with Store(tmp_path), pytest.raises(SettingsError, match="stop it, or name another folder with --state"):
        Store(tmp_path)
