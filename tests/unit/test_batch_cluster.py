"""Batches on a real Ray cluster of two nodes on this machine: the same bytes as here, and nothing lost with a node."""

import json
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sfumato.batch.chunks import ChunkedLedger, intent_name
from sfumato.batch.cluster import Cluster, below, item_of, outcome_of, read_row
from sfumato.batch.item import Item, Outcome, Writing
from sfumato.batch.ledger import Entry
from sfumato.batch.places import Place, is_address
from sfumato.batch.plan import OWN, Folder
from sfumato.batch.remote import RemoteFolder
from sfumato.batch.work import Build
from sfumato.errors import BackendMissingError, InputError, MissingInputError, OutputError
from sfumato.pipeline import Pipeline
from sfumato.settings import Settings
from sfumato.types import Image
from tests.simple import build, invert
from tests.unit.test_batch_local import photos, results, run, states

pytest.importorskip("ray")
pytestmark = pytest.mark.filterwarnings("ignore")  # Ray's own


def slow(settings: Settings) -> Pipeline:
    def paint(image: Image) -> Image:
        time.sleep(0.2)
        return invert(image)

    return replace(build(settings), paint=paint)


@pytest.fixture(scope="module")
def nodes() -> Iterator[object]:
    """Run a cluster: a head that paints and one more node."""
    import ray
    from ray.cluster_utils import Cluster as Nodes

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    started = Nodes(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": 10**8})
    started.add_node(num_cpus=1, object_store_memory=10**8)
    started.wait_for_nodes()
    ray.init(address=started.address, log_to_driver=False)
    yield started
    ray.shutdown()
    started.shutdown()  # type: ignore[no-untyped-call]  # Ray's has no types


def on_cluster(source: Path, target: Path, build: Build = build, *, overwrite: bool = False) -> list[Outcome]:
    engine = Cluster(str(target), 2, build, overwrite=overwrite)
    items = list(Folder(source, target, Settings()).items())
    return sorted(engine.run(items), key=lambda outcome: outcome.item.name)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return photos(tmp_path / "in", "a.png", "b/c.png", "b/d.png")


def test_the_cluster_makes_the_same_bytes_as_this_machine(
    source: Path, tmp_path: Path, nodes: object
) -> None:
    (source / "bad.png").write_bytes(b"no picture")
    here, there = run(source, tmp_path / "here"), on_cluster(source, tmp_path / "there")
    assert states(there) == states(here) == ["done", "done", "done", "failed"]
    assert results(tmp_path / "there") == results(tmp_path / "here")
    assert [o.error for o in there] == [o.error for o in here]
    assert [(o.key, o.sha256) for o in there] == [(o.key, o.sha256) for o in here]


def test_each_engine_goes_on_where_the_other_stopped(source: Path, tmp_path: Path, nodes: object) -> None:
    out = tmp_path / "out"
    on_cluster(source, out)
    photos(source, "new.png")
    assert states(run(source, out)) == ["kept", "kept", "kept", "done"]
    (out / "a.png").unlink()
    assert states(on_cluster(source, out)) == ["done", "kept", "kept", "kept"]


def test_foreign_files_are_not_replaced_unasked(source: Path, tmp_path: Path, nodes: object) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "a.png").write_text("mine")
    assert states(on_cluster(source, out)) == ["failed", "done", "done"]
    assert (out / "a.png").read_text() == "mine"
    assert states(on_cluster(source, out, overwrite=True)) == ["done", "kept", "kept"]


def test_a_node_that_dies_half_way_loses_nothing_and_doubles_nothing(tmp_path: Path, nodes: object) -> None:
    source, out = photos(tmp_path / "in", *(f"{k:02}.png" for k in range(16))), tmp_path / "out"
    outcomes: list[Outcome] = []
    victim = next(iter(nodes.worker_nodes))  # type: ignore[attr-defined]  # Ray's cluster has no types
    killer = threading.Thread(target=nodes.remove_node, args=(victim,), kwargs={"allow_graceful": False})  # type: ignore[attr-defined]  # the same
    for outcome in Cluster(str(out), 2, slow).run(list(Folder(source, out, Settings()).items())):
        outcomes.append(outcome)
        if len(outcomes) == 6:
            killer.start()
    killer.join()
    assert sorted(o.item.name for o in outcomes) == [f"{k:02}.png" for k in range(16)]
    assert set(states(outcomes)) == {"done"}
    assert len(results(out)) == 16
    assert states(run(source, out)) == ["kept"] * 16


def test_a_driver_that_dies_after_a_result_was_written_finds_it_again(source: Path, tmp_path: Path) -> None:
    """Only the intent of the actor tells then that the file is this program's."""
    out = tmp_path / "out"
    (first, *_) = run(source, out)
    ledger = out / OWN / "ledger-1-of-1.jsonl"
    line = ledger.read_text().splitlines()[0]
    ledger.unlink()
    place = Place.open(str(out))
    name = json.loads(line)["target"]
    place.write(intent_name(name), line.encode())
    held = ChunkedLedger(place)
    assert held.entries == {}
    entry = held.intent(name)
    assert entry is not None
    assert held.is_ours(name)
    there = place.stamp(name)
    assert there is not None
    assert held.is_result(name, there, entry)
    held.note(name, entry)
    held.flush()
    assert held.intent(name) is None
    assert ChunkedLedger(place).entries == {name: entry}
    assert first.state == "done"


def test_of_two_entries_of_one_path_the_later_counts(tmp_path: Path) -> None:
    place = Place.open(str(tmp_path))
    for number in range(3):
        ledger = ChunkedLedger(place)
        ledger.note("a.png", Entry(f"key {number}", f"sha {number}", (number, 0), (1, 2), "c"))
        ledger.flush()
        ledger.flush()
    assert ChunkedLedger(place).entries["a.png"].key == "key 2"


def test_a_result_of_the_same_size_but_another_content_is_not_taken_for_the_noted_one(tmp_path: Path) -> None:
    place = Place.open(str(tmp_path))
    place.write("a.tiff", b"old!")
    ledger = ChunkedLedger(place)
    entry = Entry("key", "0" * 64, (4, 0), (1, 2), "c")
    assert not ledger.is_result("a.tiff", place.stamp("a.tiff") or (0, 0), entry)


def test_places_write_whole_files(tmp_path: Path) -> None:
    place = Place.open(str(tmp_path))
    assert place.stamp("x/a") is None
    place.write("x/a", b"one")
    place.write("x/a", b"two")
    assert place.read("x/a") == b"two"
    assert place.stamp("x/a") == ((tmp_path / "x/a").stat().st_size, (tmp_path / "x/a").stat().st_mtime_ns)
    assert list(place.names("x")) == ["a"]
    assert list(place.names("y")) == []
    assert list(place.walk()) == ["x/a"]
    place.delete("x/a")
    place.delete("x/a")
    assert not list(place.names("x"))


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"cannot write .*; check space and permissions"):
        Place.open(str(tmp_path)).write("file/a", b"x")


def test_addresses_are_told_from_paths(tmp_path: Path) -> None:
    assert is_address("s3://bucket/a")
    assert not is_address("C://x")
    assert not is_address("folder/s3")
    assert Place.open(f"file://{tmp_path}").root == str(tmp_path)
    with pytest.raises(InputError, match="cannot open hdfs://"):
        Place.open("hdfs://nowhere.invalid:1/x")


def test_without_pyarrow_the_remedy_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(BackendMissingError, match=r"pip install 'sfumato\[ray\]'"):
        Place.open("s3://bucket/a")


def test_the_pictures_of_a_storage_mirror_as_those_of_a_folder_do(source: Path, tmp_path: Path) -> None:
    photos(source, ".hidden/x.png", "out/y.png")
    (source / "notes.txt").write_text("")
    here = Folder(source, source / "out", Settings(), Writing("JPEG"))
    there = RemoteFolder(f"file://{source}", f"file://{source}/out", Settings(), Writing("JPEG"))
    plain = [(item.name, item.target) for item in here.items()]
    assert [(item.name, item.target.removeprefix("file://")) for item in there.items()] == plain
    assert [below(item, there.target) for item in there.items()] == ["a.jpg", "b/c.jpg", "b/d.jpg"]


def test_an_empty_storage_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match=r"no pictures below .*; check the address"):
        list(RemoteFolder(f"file://{tmp_path}", f"file://{tmp_path}/out", Settings()).items())


def test_items_and_outcomes_come_back_from_json(tmp_path: Path) -> None:
    from dataclasses import asdict

    item = Item("a", "b", "c", Settings(paint=0.1), Writing("PNG"))
    outcome = Outcome(item, "done", key="k", stamp=(1, 2), report={"size": [1, 2]})
    assert item_of(json.loads(json.dumps(asdict(item)))) == item
    assert outcome_of(json.loads(json.dumps(asdict(outcome)))) == outcome


def test_a_picture_that_is_gone_is_said_in_its_row(tmp_path: Path) -> None:
    from dataclasses import asdict

    row = {"item": json.dumps(asdict(Item(str(tmp_path / "a.png"), "b", "a.png", Settings())))}
    assert read_row(row)["error"] == "a.png is gone; it was there when the batch began"
    photos(tmp_path, "a.png")
    read = read_row(row)
    assert (read["error"], len(read["data"])) == ("", read["size"])
