"""Run painters in processes of their own, one picture at a time each; a process that dies is replaced."""

import multiprocessing
import signal
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Self

from sfumato.batch.item import Item, Outcome
from sfumato.batch.work import Build, Painter, fail
from sfumato.errors import InputError, MissingInputError, OutputError, SfumatoError
from sfumato.io.writing import write_new
from sfumato.recipe import sidecar_of

AHEAD = 2
"""Pictures that a worker has in hand: one to paint, and one to begin with while the first is put in its place."""

MOST_ATTEMPTS = 2
"""How often a picture is begun whose worker dies; one that kills both is given up."""


@dataclass(frozen=True, slots=True)
class Task:
    """A picture, and where its result is written for the time being."""

    item: Item
    temporary: Path
    attempt: int = 1


@dataclass(slots=True)
class _Worker:
    process: multiprocessing.process.BaseProcess
    line: Connection
    tasks: list[Task] = field(default_factory=list)


class Workers:
    """A few processes that paint; used by one thread.

    Args:
        count: of processes, each with one thread.
        build: makes the pipelines; it is pickled.
    """

    def __init__(self, count: int, build: Build) -> None:
        self._build = build
        self._context = multiprocessing.get_context("spawn")  # a fork would share the locks of threads
        self._count = count
        self._workers: list[_Worker] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            with suppress(OSError):
                worker.line.send(None)
        for worker in self._workers:
            worker.process.join(5)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            worker.line.close()

    @property
    def has_room(self) -> bool:
        """Return whether a worker can take a picture."""
        return len(self._workers) < self._count or any(len(worker.tasks) < AHEAD for worker in self._workers)

    @property
    def is_idle(self) -> bool:
        """Return whether no picture is in hand."""
        return not any(worker.tasks for worker in self._workers)

    def give(self, task: Task) -> None:
        """Give a picture to the worker that has fewest in hand; one more is hired while all have some."""
        if all(worker.tasks for worker in self._workers) and len(self._workers) < self._count:
            self._workers.append(self._hire())
        worker = min(self._workers, key=lambda worker: len(worker.tasks))
        worker.tasks.append(task)
        with suppress(OSError):  # one that has just died: `collect` sees it
            worker.line.send(task)

    def collect(self, seconds: float | None = None) -> Iterator[tuple[Task, Outcome]]:
        """Yield what was finished, after waiting until something is or a time is over.

        The results of what was done lie in the temporary files of its tasks.
        """
        lines = {worker.line: worker for worker in self._workers}
        for line in wait(list(lines), seconds):
            worker = lines[line]  # type: ignore[index]  # only lines were waited for
            try:
                outcome: Outcome = worker.line.recv()
            except (EOFError, OSError):
                yield from self._replace(worker)
            else:
                yield worker.tasks.pop(0), outcome

    def stop_now(self) -> None:
        """End all processes at once; what they had in hand is not painted."""
        for worker in self._workers:
            worker.process.kill()
            worker.tasks.clear()

    def _hire(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=work, args=(theirs, self._build), daemon=True)
        process.start()
        theirs.close()
        return _Worker(process, ours)

    def _replace(self, worker: _Worker) -> Iterator[tuple[Task, Outcome]]:
        """Hire another worker for one that died, and give it the pictures; the first of them may be the reason."""
        worker.process.join()
        worker.line.close()
        held = worker.tasks
        fresh = self._hire()
        self._workers[self._workers.index(worker)] = fresh
        for place, task in enumerate(held):
            attempt = task.attempt + (place == 0)
            if attempt > MOST_ATTEMPTS:
                how = f"signal {-code}" if (code := worker.process.exitcode or 0) < 0 else f"code {code}"
                yield task, fail(task.item, _died(task.item.name, how))
                continue
            again = Task(task.item, task.temporary, attempt)
            fresh.tasks.append(again)
            with suppress(OSError):
                fresh.line.send(again)


def _died(name: str, how: str) -> SfumatoError:
    return InputError(
        f"{name} ended the worker twice ({how}), as a damaged file or a lack of memory may; look at it"
    )


def work(line: Connection, build: Build) -> None:
    """Paint what comes through the line until None does; the loop of a worker's process."""
    for number in (signal.SIGINT, signal.SIGTERM):  # the first process decides what is finished
        signal.signal(number, signal.SIG_IGN)
    from sfumato.backends import share_processors

    share_processors(threads=1)
    painter = Painter(build)
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while (task := line.recv()) is not None:
            line.send(paint_task(painter, task))


def paint_task(painter: Painter, task: Task) -> Outcome:
    """Paint one picture into its temporary file."""
    source = Path(task.item.source)
    try:
        stamp = stamp_of(source)
        data = source.read_bytes()
    except FileNotFoundError:
        return fail(
            task.item, MissingInputError(f"{task.item.name} is gone; it was there when the batch began")
        )
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        return fail(task.item, InputError(f"cannot open {task.item.name}: {reason}; check its permissions"))
    painted = painter.paint(task.item, data)
    if painted.data:
        try:
            if painted.sidecar:
                write_new(painted.sidecar, sidecar_of(task.temporary))
            write_new(painted.data, task.temporary)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            why = OutputError(f"cannot write {task.item.target}: {reason}; free some space")
            return fail(task.item, why, painted.outcome.seconds)
    return replace(painted.outcome, stamp=stamp)


def stamp_of(path: Path) -> tuple[int, int]:
    """Return the size in bytes and the time of change in nanoseconds of a file."""
    held = path.stat()
    return held.st_size, held.st_mtime_ns
