"""The service with real threads and a simple pipeline: everything that may become of a job."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from sfumato.errors import (
    BusyError,
    ModelError,
    PictureTooLargeError,
    StoppingError,
    UnknownJobError,
    UnsupportedFormatError,
)
from sfumato.io import Limits
from sfumato.jobs.bounds import Bounds
from sfumato.jobs.job import Client, Job, Part, Refusal, Work
from sfumato.jobs.memory import estimate_need
from sfumato.jobs.queue import Load
from sfumato.jobs.service import MOST_ATTEMPTS, Service
from sfumato.jobs.store import FILES, Store
from sfumato.pipeline import Pipeline
from sfumato.settings import Settings
from sfumato.types import Image
from tests.simple import build, invert

BOUNDS = Bounds(
    length=8,
    memory=10**10,
    workers=1,
    limits=Limits(pixels=100_000, bytes=1_000_000),
    seconds=60,
    keep=3600,
)
WORK = Work("stylize", Settings())
SOON = 30.0


def portrait(width: int = 96, height: int = 80) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    buffer = BytesIO()
    PIL.Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


@dataclass
class Gate:
    """A painter that waits until it is let go."""

    entered: threading.Event = field(default_factory=threading.Event)
    open: threading.Event = field(default_factory=threading.Event)

    def __call__(self, image: Image) -> Image:
        self.entered.set()
        assert self.open.wait(SOON)
        return invert(image)

    def pipeline(self, settings: Settings) -> Pipeline:
        return replace(build(settings), paint=self)


@contextmanager
def serving(
    folder: Path,
    pipeline: Callable[[Settings], Pipeline] = build,
    bounds: Bounds = BOUNDS,
    on_finish: Callable[[Job], None] | None = None,
) -> Iterator[Service]:
    with Store(folder) as store:
        service = Service(store, bounds, pipeline, on_finish)
        service.start()
        try:
            yield service
        finally:
            service.stop(0)


def send(
    service: Service,
    work: Work = WORK,
    *,
    waited_for: bool = False,
    uploads: Mapping[Part, bytes] | None = None,
) -> Job:
    files = {part: BytesIO(data) for part, data in (uploads or {"image": portrait()}).items()}
    return service.accept(work, files, Client("here"), waited_for=waited_for)


def ended(service: Service, job: Job) -> Job:
    return service.wait(job.id).result(SOON)


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SOON
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_job_is_done_and_its_result_is_kept_without_its_upload(tmp_path: Path) -> None:
    with serving(tmp_path) as service:
        job = ended(service, send(service))
        assert job.state == "done"
        assert job.media_type == "image/png"
        assert job.report["size"] == [96, 80]
        with PIL.Image.open(service.result_file(job.id)) as painted:
            assert painted.size == (96, 80)
        assert [path.name for path in (tmp_path / FILES / job.id).iterdir()] == ["result"]
        assert service.find(job.id) == job
        assert service.progress(job.id).part == 1.0
        assert job.expires == pytest.approx(time.time() + BOUNDS.keep, abs=60)


def test_every_layer_is_kept_when_asked_for(tmp_path: Path) -> None:
    with serving(tmp_path) as service:
        job = ended(service, send(service, replace(WORK, layers=True)))
        assert set(job.layers) == {"original", "restored", "painted", "mask", "result"}
        for name in job.layers:
            with PIL.Image.open(service.result_file(job.id, name)) as layer:
                assert layer.size == (96, 80)
        with pytest.raises(UnknownJobError, match="the job is done and has no such layer"):
            service.result_file(job.id, "../../jobs.sqlite3")


def test_a_picture_that_cannot_be_read_fails_the_job_in_one_line(tmp_path: Path) -> None:
    with serving(tmp_path) as service:
        job = ended(service, send(service, uploads={"image": portrait()[:-3000]}))
        assert job.state == "failed"
        assert job.error == Refusal(
            "the picture is truncated or damaged; get a whole copy of it", 422, "InputError"
        )
        assert not (tmp_path / FILES / job.id).exists()
        with pytest.raises(UnknownJobError, match="the job is failed and has no result"):
            service.result_file(job.id)


def test_what_the_header_tells_is_refused_before_anything_is_kept(tmp_path: Path) -> None:
    with serving(tmp_path) as service:
        with pytest.raises(
            PictureTooLargeError, match=r"the picture has 400x300 pixels, over 0\.1 megapixels"
        ):
            send(service, uploads={"image": portrait(400, 300)})
        with pytest.raises(UnsupportedFormatError, match="the mask is no JPEG"):
            send(service, uploads={"image": portrait(), "mask": b"text" * 20})
        assert not any((tmp_path / FILES).iterdir())


def test_a_picture_beyond_the_memory_is_refused(tmp_path: Path) -> None:
    with (
        serving(tmp_path, bounds=replace(BOUNDS, memory=1000)) as service,
        pytest.raises(PictureTooLargeError, match=r"needs about 0\.\d GB of memory here, where 0\.0 GB are"),
    ):
        send(service)


def test_a_large_mask_counts_too(tmp_path: Path) -> None:
    with serving(tmp_path) as service:
        plain = send(service)
        masked = send(service, uploads={"image": portrait(), "mask": portrait(300, 300)})
        assert masked.need > plain.need


def test_a_waiting_job_is_cancelled_at_once(tmp_path: Path) -> None:
    gate = Gate()
    with serving(tmp_path, gate.pipeline) as service:
        running, waiting = send(service), send(service)
        assert gate.entered.wait(SOON)
        assert service.progress(waiting.id).position == 1
        service.cancel(waiting.id)
        assert ended(service, waiting).state == "cancelled"
        assert not (tmp_path / FILES / waiting.id).exists()
        gate.open.set()
        assert ended(service, running).state == "done"


def test_a_running_job_is_cancelled_before_its_next_stage(tmp_path: Path) -> None:
    gate = Gate()
    with serving(tmp_path, gate.pipeline) as service:
        job = send(service)
        assert gate.entered.wait(SOON)
        assert service.progress(job.id).stage == "stylize"
        assert 0 < service.progress(job.id).part < 1
        service.cancel(job.id)
        assert service.find(job.id).state == "running"
        gate.open.set()
        assert ended(service, job).state == "cancelled"
        assert service.load() == Load(0, 0, 0)


def test_cancelling_a_finished_job_forgets_it(tmp_path: Path) -> None:
    with serving(tmp_path) as service:
        job = ended(service, send(service))
        service.cancel(job.id)
        assert not (tmp_path / FILES / job.id).exists()
        for ask in (service.find, service.cancel, service.wait, service.result_file):
            with pytest.raises(UnknownJobError, match="there is no such job, or its time is over"):
                ask(job.id)


def test_a_job_over_its_time_fails(tmp_path: Path) -> None:
    def slow(image: Image) -> Image:
        time.sleep(0.2)
        return image

    bounds = replace(BOUNDS, seconds=0.1)
    with serving(tmp_path, lambda s: replace(build(s), paint=slow), bounds) as service:
        job = ended(service, send(service))
        assert job.error is not None
        assert (job.error.status, job.error.kind) == (504, "TimeLimitError")
        assert "longer than the 0.1 seconds allowed" in job.error.detail


@pytest.mark.parametrize(
    ("fault", "status", "words"),
    [
        (ModelError("the model is not here"), 503, "the model is not here"),
        (MemoryError(), 413, "needs more memory than there is"),
        (ZeroDivisionError("secret"), 500, "the server failed at this picture; its log says why"),
    ],
)
def test_whatever_a_picture_does_the_next_one_is_served(
    tmp_path: Path, fault: Exception, status: int, words: str
) -> None:
    faults = [fault]

    def paint(image: Image) -> Image:
        if faults:
            raise faults.pop()
        return image

    with serving(tmp_path, lambda s: replace(build(s), paint=paint)) as service:
        first, second = send(service), send(service)
        error = ended(service, first).error
        assert error is not None
        assert error.status == status
        assert words in error.detail
        assert "secret" not in error.detail
        assert ended(service, second).state == "done"


def test_jobs_expire_with_their_files(tmp_path: Path) -> None:
    with serving(tmp_path, bounds=replace(BOUNDS, keep=0.05)) as service:
        job = ended(service, send(service))
        until(lambda: not (tmp_path / FILES / job.id).exists())
        with pytest.raises(UnknownJobError):
            service.find(job.id)


def test_without_keeping_a_result_is_forgotten_once_it_was_fetched(tmp_path: Path) -> None:
    with serving(tmp_path, bounds=replace(BOUNDS, keep=0)) as service:
        job = ended(service, send(service))
        assert service.result_file(job.id).is_file()
        service.fetched(job.id)
        assert not (tmp_path / FILES / job.id).exists()


def test_with_keeping_a_result_may_be_fetched_again(tmp_path: Path) -> None:
    with serving(tmp_path) as service:
        job = ended(service, send(service))
        service.fetched(job.id)
        assert service.result_file(job.id).is_file()


def test_a_full_queue_refuses_and_serves_on(tmp_path: Path) -> None:
    gate = Gate()
    with serving(tmp_path, gate.pipeline, replace(BOUNDS, length=1)) as service:
        first = send(service)
        assert gate.entered.wait(SOON)
        second = send(service)
        with pytest.raises(BusyError):
            send(service)
        gate.open.set()
        assert {ended(service, job).state for job in (first, second)} == {"done"}


def test_stopping_finishes_what_was_accepted(tmp_path: Path) -> None:
    finished: list[Job] = []
    with Store(tmp_path) as store:
        service = Service(store, BOUNDS, build, finished.append)
        service.start()
        jobs = [send(service) for _ in range(5)]
        service.stop(SOON)
        assert [job.id for job in finished] == [job.id for job in jobs]
        assert {job.state for job in finished} == {"done"}
        assert not service.is_ready
        with pytest.raises(StoppingError):
            send(service)


def test_what_is_not_finished_in_time_is_done_by_the_next_server(tmp_path: Path) -> None:
    gate = Gate()
    with Store(tmp_path) as store:
        service = Service(store, BOUNDS, gate.pipeline)
        service.start()
        jobs = [send(service) for _ in range(3)]
        waited = send(service, waited_for=True)
        assert gate.entered.wait(SOON)
        hurry = threading.Timer(0.1, gate.open.set)
        hurry.start()
        future = service.wait(waited.id)
        service.stop(0)
        assert future.result(SOON).error == Refusal(
            "the server stopped before the job was done; send it again", 503, "StoppingError"
        )
        assert len(store.unfinished()) == 4
    with serving(tmp_path) as service:
        assert {ended(service, job).state for job in jobs} == {"done"}
        with pytest.raises(UnknownJobError):
            service.find(waited.id)


def test_a_picture_that_ended_the_server_too_often_is_not_begun_again(tmp_path: Path) -> None:
    """A crash in a decoder would otherwise end every server that takes the job up."""
    with Store(tmp_path) as store:
        job = Job("a" * 32, WORK, Client(), 1, 0.0, state="running", attempts=MOST_ATTEMPTS)
        store.add(job, {"image": BytesIO(portrait())})
    with serving(tmp_path) as service:
        error = ended(service, job).error
        assert error is not None
        assert error.detail.startswith("the server ended 3 times while it worked on this picture")


def test_a_job_that_cannot_be_noted_still_tells_how_it_ended(tmp_path: Path) -> None:
    gate = Gate()
    with serving(tmp_path, gate.pipeline) as service:
        job = send(service, waited_for=True)
        assert gate.entered.wait(SOON)
        service._store._database.execute("PRAGMA query_only=ON")
        gate.open.set()
        assert ended(service, job).state == "done"
        assert service.find(job.id).state == ended(service, job).state == "done"
        service._store._database.execute("PRAGMA query_only=OFF")
        until(lambda: service._live.find(job.id) is None)
        assert service.find(job.id).state == "done"


def test_the_memory_of_large_pictures_keeps_them_apart(tmp_path: Path) -> None:
    gate = Gate()
    memory = round(1.5 * estimate_need(WORK, (80, 96)))
    with serving(tmp_path, gate.pipeline, replace(BOUNDS, workers=2, memory=memory)) as service:
        jobs = [send(service) for _ in range(2)]
        assert gate.entered.wait(SOON)
        assert service.load().running == 1
        assert service.load().memory <= memory
        gate.open.set()
        assert {ended(service, job).state for job in jobs} == {"done"}
