"""Paint a batch on this machine: give pictures to workers, put results in their place, note them."""

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from sfumato.batch.item import Item, Outcome, key_of
from sfumato.batch.ledger import Entry, Ledger
from sfumato.batch.plan import OWN, WHOLE, Shard
from sfumato.batch.work import Build, Painter, fail
from sfumato.batch.workers import Task, Workers, stamp_of
from sfumato.errors import OutputError, OutputExistsError, SfumatoError
from sfumato.io.writing import publish
from sfumato.recipe import sidecar_of

Stop = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Local:
    """How a batch is painted on this machine.

    Attributes:
        target: the folder that everything goes below.
        workers: processes, each with one thread.
        build: makes the pipelines.
        shard: which part is painted.
        overwrite: replace files that are not this program's.
    """

    target: Path
    workers: int
    build: Build
    shard: Shard = WHOLE
    overwrite: bool = False

    def run(self, items: Iterable[Item | None], stop: Stop = lambda: False) -> Iterator[Outcome]:
        """Yield what becomes of each picture, in the order in which it comes to that.

        Args:
            items: None among them says that more may come later.
            stop: is asked before each picture whether no more is to be begun; those in hand are finished.

        Raises:
            SettingsError: another run paints the same part.
            OutputError: nothing can be written into the target.
        """
        own = self.target / OWN
        with Ledger(own, self.shard) as ledger:
            temporary = own / f"tmp-{self.shard.index}-of-{self.shard.count}"
            shutil.rmtree(temporary, ignore_errors=True)  # of a run that was killed
            temporary.mkdir(parents=True)
            try:
                yield from _Run(self, ledger, temporary).all(items, stop)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)


class _Run:
    """One run of a batch."""

    def __init__(self, local: Local, ledger: Ledger, temporary: Path) -> None:
        self._local = local
        self._ledger = ledger
        self._temporary = temporary
        self._painter = Painter(local.build)
        self._number = 0

    def all(self, items: Iterable[Item | None], stop: Stop) -> Iterator[Outcome]:
        with Workers(self._local.workers, self._local.build) as workers:
            try:
                for item in self._mine(items):
                    if stop():
                        break
                    yield from self._begin(item, workers)
                while not workers.is_idle:
                    yield from self._collected(workers)
            except KeyboardInterrupt:
                workers.stop_now()
                raise

    def _mine(self, items: Iterable[Item | None]) -> Iterator[Item | None]:
        """Yield the pictures of the part that is painted."""
        number = 0
        for item in items:
            if item is None or self._local.shard.takes(number):
                yield item
            number += item is not None

    def _begin(self, item: Item | None, workers: Workers) -> Iterator[Outcome]:
        """Give a picture to a worker, after what must be finished before; None gives time to what is in hand."""
        if item is None:
            yield from self._collected(workers, seconds=0)
            return
        settled = self._settle(item)
        if settled is not None:
            yield settled
            return
        while not workers.has_room:
            yield from self._collected(workers)
        self._number += 1
        workers.give(Task(item, self._temporary / f"{self._number}"))

    def _collected(self, workers: Workers, seconds: float | None = None) -> Iterator[Outcome]:
        for task, outcome in workers.collect(seconds):
            yield self._placed(task, outcome)

    def _settle(self, item: Item) -> Outcome | None:
        """Return the outcome of a picture that need not or must not be painted, or None."""
        try:
            return self._kept(item) or self._refuse_foreign(item)
        except SfumatoError as error:
            return fail(item, error)

    def _kept(self, item: Item) -> Outcome | None:
        """Return the outcome of a picture whose result is there, or None.

        The picture is read only where its size or time of change is another than when it was painted.
        """
        entry = self._ledger.entries.get(self._below(Path(item.target)))
        if entry is None or not all(self._is_noted(path) for path in map(Path, item.targets)):
            return None
        content = entry.content
        if stamp_of(Path(item.source)) != entry.source:
            content = sha256(Path(item.source).read_bytes()).hexdigest()
        models = self._painter.pipeline(item.settings).models
        if key_of(content, item, models) != entry.key:
            return None
        return Outcome(item, "kept", key=entry.key, sha256=entry.sha256, bytes=entry.result[0])

    def _is_noted(self, path: Path) -> bool:
        entry = self._ledger.entries.get(self._below(path))
        return entry is not None and _is_there(path, entry)

    def _refuse_foreign(self, item: Item) -> Outcome | None:
        """Return a failure where a file is in the way that this program did not write, or None."""
        for path in map(Path, item.targets):
            if not self._local.overwrite and os.path.lexists(path) and not self._is_ours(path):
                return fail(item, _foreign(item, path))
        return None

    def _is_ours(self, path: Path) -> bool:
        """Tell whether a file is a result that this program wrote, now or before."""
        known = self._ledger.written.get(self._below(path), ())
        return bool(known) and path.is_file() and sha256(path.read_bytes()).hexdigest() in known

    def _placed(self, task: Task, outcome: Outcome) -> Outcome:
        """Note a result and give it its name, after that of its sidecar; what fails has none."""
        if outcome.state != "done":
            return outcome
        files = [(path, _temporary_of(path, task)) for path in map(Path, task.item.targets)]
        try:
            for path, temporary in reversed(files):
                path.parent.mkdir(parents=True, exist_ok=True)
                self._give_name(task.item, outcome, temporary, path)
        except SfumatoError as error:
            return fail(task.item, error, outcome.seconds)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            why = OutputError(f"cannot write {task.item.target}: {reason}; free some space")
            return fail(task.item, why, outcome.seconds)
        finally:
            for _, temporary in files:
                temporary.unlink(missing_ok=True)
        return outcome

    def _give_name(self, item: Item, outcome: Outcome, temporary: Path, path: Path) -> None:
        replaced = self._local.overwrite or self._is_ours(path)
        is_result = path == Path(item.target)
        digest = outcome.sha256 if is_result else sha256(temporary.read_bytes()).hexdigest()
        entry = Entry(outcome.key, digest, stamp_of(temporary), outcome.stamp, outcome.content)
        self._ledger.note(self._below(path), entry)
        try:
            publish(temporary, path, overwrite=replaced)
        except FileExistsError as error:
            raise _foreign(item, path) from error

    def _below(self, path: Path) -> str:
        return os.path.relpath(path, self._local.target)


def _temporary_of(path: Path, task: Task) -> Path:
    return task.temporary if path == Path(task.item.target) else sidecar_of(task.temporary)


def _foreign(item: Item, path: Path) -> OutputExistsError:
    return OutputExistsError(
        f"{path} exists and was not painted from {item.name}; use --overwrite or another folder"
    )


def _is_there(target: Path, entry: Entry) -> bool:
    """Tell whether a file is the noted result: by size and time, or where only the time differs by its content."""
    try:
        stamp = stamp_of(target)
    except OSError:
        return False
    if stamp == entry.result:
        return True
    return stamp[0] == entry.result[0] and sha256(target.read_bytes()).hexdigest() == entry.sha256
