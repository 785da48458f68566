"""Paint a batch on a cluster with Ray Data: read, paint in actors that hold the networks, write; note what was done.

The driver holds no picture: bytes go from the storage to an actor and back. An actor notes what it is about to write
in a small file of its own (an intent), so that a result whose actor or driver died afterwards is known as this
program's; the driver then notes it in the ledger and removes the intent.
"""

import json
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from typing import Any

from sfumato.batch.chunks import ChunkedLedger, intent_name, line_of
from sfumato.batch.item import Item, Outcome, Writing, key_of
from sfumato.batch.ledger import Entry
from sfumato.batch.places import Place
from sfumato.batch.plan import WHOLE, Shard
from sfumato.batch.work import Build, Painter, fail
from sfumato.errors import BackendMissingError, InputError, OutputExistsError, SfumatoError
from sfumato.settings import Settings

READ_SHARE = 0.25
"""Part of a processor that a task of reading takes, and that each actor leaves for it."""


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
        ledger = ChunkedLedger(Place.open(self.target))
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
            for outcome in self._painted(open_, stop):
                if outcome.state == "done":
                    ledger.note(below(outcome.item, self.target), _entry_of(outcome))
                yield outcome
                if stop():
                    return
        finally:
            ledger.flush()

    def _settle(self, item: Item, ledger: ChunkedLedger, painter: Painter) -> Outcome | None:
        """Return the outcome of a picture that need not or must not be painted, or None."""
        name = below(item, self.target)
        try:
            there = ledger.place.stamp(name)
            if there is None:
                return None
            entry = ledger.entries.get(name) or ledger.intent(name)
            if entry is not None and ledger.is_result(name, there, entry):
                content = entry.content if source_stamp(item) == entry.source else _content(item)
                if key_of(content, item, painter.pipeline(item.settings).models) == entry.key:
                    ledger.note(name, entry)
                    return Outcome(item, "kept", key=entry.key, sha256=entry.sha256, bytes=entry.result[0])
            if self.overwrite or ledger.is_ours(name):
                return None
        except SfumatoError as error:
            return fail(item, error)
        except OSError as error:
            return fail(item, InputError(f"cannot read {item.name}: {error}; check the address"))
        why = f"{item.target} exists and was not painted from {item.name}; use --overwrite or another folder"
        return fail(item, OutputExistsError(why))

    def _painted(self, items: list[Item], stop: Callable[[], bool]) -> Iterator[Outcome]:
        """Yield the outcomes of pictures that are painted on the cluster."""
        if not items or stop():
            return
        import ray

        rows = [{"item": json.dumps(asdict(item))} for item in items]
        workers = self.workers or count_processors()
        blocks = max(workers, min(len(rows), 4 * workers + len(rows) // 16))
        table = ray.data.from_items(rows, override_num_blocks=min(blocks, len(rows)))
        read = table.map(read_row, num_cpus=READ_SHARE)
        painted = read.map(
            PaintActor,  # type: ignore[arg-type]  # Ray takes classes of callables too
            fn_constructor_args=(self.build, self.target),
            compute=ray.data.ActorPoolStrategy(size=workers),
            num_cpus=1 - READ_SHARE,  # or nothing would be left to read with
            num_gpus=self.gpus or None,
        )
        for row in painted.iter_rows():
            yield outcome_of(json.loads(row["outcome"]))


class PaintActor:
    """Hold the networks and paint what comes; one of several, each in a process of its own."""

    def __init__(self, build: Build, target: str) -> None:
        from sfumato.backends import use_one_thread

        use_one_thread()
        self._painter = Painter(build)
        self._target = target
        self._place = Place.open(target)

    def __call__(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Paint one picture and write it; whatever is wrong with it goes into the outcome."""
        item = item_of(json.loads(row["item"]))
        outcome = self._outcome(item, row)
        return {"outcome": json.dumps(asdict(outcome))}

    def _outcome(self, item: Item, row: Mapping[str, Any]) -> Outcome:
        if row["error"]:
            return fail(item, InputError(row["error"]))
        painted = self._painter.paint(item, row["data"])
        outcome = replace(painted.outcome, stamp=(int(row["size"]), int(row["changed"])))
        if not painted.data:
            return outcome
        name = below(item, self._target)
        try:
            self._place.write(intent_name(name), line_of(name, _entry_of(outcome)).encode())
            self._place.write(name, painted.data)
        except SfumatoError as error:
            return fail(item, error, outcome.seconds)
        return outcome


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


def read_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a picture's bytes beside its item, or why it cannot be read."""
    item = item_of(json.loads(row["item"]))
    held = {"item": row["item"], "data": b"", "size": 0, "changed": 0, "error": ""}
    place, name = _parent(item.source)
    try:
        stamp = place.stamp(name)
        if stamp is None:
            return {**held, "error": f"{item.name} is gone; it was there when the batch began"}
        return {**held, "data": place.read(name), "size": stamp[0], "changed": stamp[1]}
    except OSError as error:
        reason = " ".join(str(error).split())
        return {**held, "error": f"cannot open {item.name}: {reason}; check its permissions"}


def below(item: Item, target: str) -> str:
    """Return the path of an item's result below the folder or address of all."""
    return os.path.relpath(item.target, target)


def source_stamp(item: Item) -> tuple[int, int] | None:
    """Return size and time of change of a picture."""
    place, name = _parent(item.source)
    return place.stamp(name)


def item_of(held: Mapping[str, Any]) -> Item:
    """Return the item whose fields were JSON."""
    return Item(**{**held, "settings": Settings(**held["settings"]), "writing": Writing(**held["writing"])})


def outcome_of(held: Mapping[str, Any]) -> Outcome:
    """Return the outcome whose fields were JSON."""
    return Outcome(**{**held, "item": item_of(held["item"]), "stamp": tuple(held["stamp"])})


def _content(item: Item) -> str:
    place, name = _parent(item.source)
    return sha256(place.read(name)).hexdigest()


def _parent(source: str) -> tuple[Place, str]:
    folder, _, name = source.rpartition("/")
    return Place.open(folder or "."), name


def _entry_of(outcome: Outcome) -> Entry:
    """Return the ledger's entry; the time of the result is not known before it is written, so it is 0."""
    return Entry(outcome.key, outcome.sha256, (outcome.bytes, 0), outcome.stamp, outcome.content)
