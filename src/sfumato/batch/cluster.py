"""Paint a batch on a cluster with Ray Data: read, paint in actors that hold the networks, write; note what was done.

The driver holds no picture: bytes go from the storage to an actor and back (`actors`). It notes results in the ledger
and then removes the intents of the actors.
"""

import json
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from math import ceil

from sfumato.batch.actors import PaintActor, below, outcome_of, read_row, storage_of
from sfumato.batch.chunks import ChunkedLedger
from sfumato.batch.item import Item, Outcome, key_of
from sfumato.batch.ledger import Stamp
from sfumato.batch.plan import WHOLE, Shard
from sfumato.batch.storage import Storage
from sfumato.batch.work import Build, Painter, fail
from sfumato.errors import BackendMissingError, InputError, OutputExistsError, SfumatoError

READ_SHARE = 0.25
"""Part of a processor that a task of reading takes, and that each actor leaves for it."""

PAINTERS = 4
"""Actors that one process reads for: painting takes a hundred times as long."""

MOST_TOGETHER = 16
"""Pictures that go through Ray together: more leave actors idle at the end, fewer cost more than they bring."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """How a batch is painted on a cluster.

    Attributes:
        target: folder or address that everything goes below.
        workers: actors that paint, each with one thread; 0 stands for one for each processor of the cluster.
        build: makes the pipelines.
        address: of a Ray cluster, "auto" for the one of this machine; None starts one here.
        gpus: of each actor; parts are allowed.
        shard: which part is painted.
        overwrite: replace files that are not this program's.
    """

    target: str
    workers: int
    build: Build
    address: str | None = None
    gpus: float = 0.0
    shard: Shard = WHOLE
    overwrite: bool = False

    def run(
        self, items: Iterable[Item | None], stop: Callable[[], bool] = lambda: False
    ) -> Iterator[Outcome]:
        """Yield what becomes of each picture, in the order in which it comes to that.

        Args:
            items: their targets lie below `target`; None among them means nothing.
            stop: is asked before each picture whether to end; what was begun is then thrown away, and painted anew by
                the next run.

        Raises:
            BackendMissingError: Ray is not installed.
        """
        start_ray(self.address)
        ledger = ChunkedLedger(Storage.open(self.target))
        painter = Painter(self.build)
        pictures = (item for item in items if item is not None)
        mine = [item for number, item in enumerate(pictures) if self.shard.takes(number)]
        open_: list[Item] = []
        for item in mine:
            settled = self._settle(item, ledger, painter)
            if settled is None:
                open_.append(item)
            else:
                yield settled
        try:
            for outcome, lines, intent in self._painted(open_, stop):
                ledger.note_lines(lines, intent)
                yield outcome
                if stop():
                    return
        finally:
            ledger.flush()

    def _settle(self, item: Item, ledger: ChunkedLedger, painter: Painter) -> Outcome | None:
        """Return the outcome of a picture that need not or must not be painted, or None."""
        try:
            there = {name: ledger.storage.stamp(name) for name in self._names(item)}
            return self._kept(item, there, ledger, painter) or self._refuse_foreign(item, there, ledger)
        except SfumatoError as error:
            return fail(item, error)
        except OSError as error:
            return fail(item, InputError(f"cannot read {item.name}: {error}; check the address"))

    def _kept(
        self, item: Item, there: Mapping[str, Stamp | None], ledger: ChunkedLedger, painter: Painter
    ) -> Outcome | None:
        """Return the outcome of a picture whose results are there, or None; they are noted if they were not."""
        noted = {name: ledger.noted(name, stamp) for name, stamp in there.items()}
        entry = noted[below(item.target, self.target)]
        if entry is None or None in noted.values():
            return None
        content = entry.content if source_stamp(item) == entry.source else _content(item)
        if key_of(content, item, painter.pipeline(item.settings).models) != entry.key:
            return None
        for name, held in noted.items():
            if held is not None:
                ledger.note(name, held)
        return Outcome(item, "kept", key=entry.key, sha256=entry.sha256, bytes=entry.result[0])

    def _refuse_foreign(
        self, item: Item, there: Mapping[str, Stamp | None], ledger: ChunkedLedger
    ) -> Outcome | None:
        """Return a failure where a file is in the way that this program did not write, or None."""
        for target, (name, stamp) in zip(item.targets, there.items(), strict=True):
            if not self.overwrite and stamp is not None and not ledger.is_ours(name):
                why = (
                    f"{target} exists and was not painted from {item.name}; use --overwrite or another folder"
                )
                return fail(item, OutputExistsError(why))
        return None

    def _names(self, item: Item) -> list[str]:
        return [below(target, self.target) for target in item.targets]

    def _painted(self, items: list[Item], stop: Callable[[], bool]) -> Iterator[tuple[Outcome, str, str]]:
        """Yield the outcomes of pictures painted on the cluster, with their lines of the ledger and a done intent."""
        if not items or stop():
            return
        import ray

        rows = [{"item": json.dumps(asdict(item))} for item in items]
        workers = self.workers or count_processors()
        together = min(MOST_TOGETHER, max(1, len(rows) // (32 * workers)))
        table = ray.data.from_items(rows, override_num_blocks=ceil(len(rows) / together))
        read = table.map(read_row, num_cpus=READ_SHARE, concurrency=ceil(workers / PAINTERS))
        painted = read.map_batches(
            PaintActor,
            batch_size=None,
            batch_format="pyarrow",
            fn_constructor_args=(self.build, self.target),
            compute=ray.data.ActorPoolStrategy(size=workers),
            num_cpus=1 - READ_SHARE,  # or nothing would be left to read with
            num_gpus=self.gpus or None,
        )
        for row in painted.iter_rows():
            yield outcome_of(json.loads(row["outcome"])), row["lines"], row["intent"]


def start_ray(address: str | None) -> None:
    """Join a cluster, or start one on this machine; nothing about its use is sent anywhere.

    Raises:
        BackendMissingError: Ray is not installed.
        InputError: there is no cluster at the address.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    try:
        import ray
        from ray.data import DataContext
    except ImportError as error:
        raise BackendMissingError("--engine ray needs Ray; try: pip install 'sfumato[ray]'") from error
    if not ray.is_initialized():
        try:
            ray.init(
                address=address, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR
            )
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise InputError(f"no Ray cluster at '{address}'; start one with: ray start --head") from error
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False


def count_processors() -> int:
    """Return how many processors the cluster has."""
    import ray

    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]  # Ray's has no types
    return max(1, int(resources.get("CPU", 1)))


def source_stamp(item: Item) -> tuple[int, int] | None:
    """Return size and time of change of a picture."""
    storage, name = storage_of(item.source)
    return storage.stamp(name)


def _content(item: Item) -> str:
    storage, name = storage_of(item.source)
    return sha256(storage.read(name)).hexdigest()
