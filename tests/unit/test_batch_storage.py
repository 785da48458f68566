"""Storage of batches: folders, and buckets of S3 on a server of this machine; ledgers and rows without a cluster."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from sfumato.batch.actors import PaintActor, below, item_of, outcome_of, read_row
from sfumato.batch.chunks import INTENTS, ChunkedLedger, line_of, new_intent
from sfumato.batch.item import Item, Outcome, Writing
from sfumato.batch.ledger import Entry
from sfumato.batch.plan import OWN, Folder
from sfumato.batch.remote import RemoteFolder
from sfumato.batch.storage import Storage, is_address
from sfumato.errors import BackendMissingError, InputError, MissingInputError, OutputError
from sfumato.settings import Settings
from tests.buckets import serve_bucket
from tests.simple import build
from tests.unit.test_batch_local import photos, run, states

pyarrow = pytest.importorskip("pyarrow")


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    with serve_bucket() as address:
        yield address


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return photos(tmp_path / "in", "a.png", "b/c.png", "b/d.png")


def test_a_bucket_takes_files_as_a_folder_does(bucket: str) -> None:
    storage = Storage.open(f"{bucket}/files")
    assert storage.stamp("x/a") is None
    storage.write("x/a", b"one")
    storage.write("x/a", b"three")
    storage.write("x/b", b"")
    assert storage.read("x/a") == b"three"
    size, changed = storage.stamp("x/a") or (0, 0)
    assert size == 5 and changed > 0
    assert list(storage.names("x")) == ["a", "b"]
    assert list(storage.names("y")) == []
    assert list(storage.walk()) == ["x/a", "x/b"]
    storage.delete("x/a")
    storage.delete("x/a")
    assert list(storage.walk()) == ["x/b"]


def test_a_bucket_that_is_not_there_is_one_line(bucket: str) -> None:
    with pytest.raises(OutputError, match=r"cannot write nowhere/x/a: .*; check space and permissions"):
        Storage.open("s3://nowhere/x").write("a", b"one")


def test_a_ledger_of_a_bucket_outlives_its_run(bucket: str) -> None:
    storage, entry = Storage.open(f"{bucket}/ledger"), Entry("key", "0" * 64, (4, 0), (1, 2), "c")
    intent, line = new_intent(), line_of("a.png", entry)
    storage.write(intent, line.encode())
    ledger = ChunkedLedger(storage)
    ledger.note_lines(line, intent)
    ledger.flush()
    assert ChunkedLedger(storage).entries == {"a.png": entry}
    assert storage.stamp(intent) is None


def test_a_folder_takes_whole_files(tmp_path: Path) -> None:
    storage = Storage.open(str(tmp_path))
    assert storage.stamp("x/a") is None
    storage.write("x/a", b"one")
    storage.write("x/a", b"two")
    assert storage.read("x/a") == b"two"
    assert storage.stamp("x/a") == ((tmp_path / "x/a").stat().st_size, (tmp_path / "x/a").stat().st_mtime_ns)
    assert list(storage.names("x")) == ["a"]
    assert list(storage.names("y")) == []
    assert list(storage.walk()) == ["x/a"]
    storage.delete("x/a")
    storage.delete("x/a")
    assert not list(storage.names("x"))


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"cannot write .*; check space and permissions"):
        Storage.open(str(tmp_path)).write("file/a", b"x")


def test_addresses_are_told_from_paths(tmp_path: Path) -> None:
    assert is_address("s3://bucket/a")
    assert not is_address("C://x")
    assert not is_address("folder/s3")
    assert Storage.open(f"file://{tmp_path}").root == str(tmp_path)
    with pytest.raises(InputError, match="cannot open hdfs://"):
        Storage.open("hdfs://nowhere.invalid:1/x")


def test_without_pyarrow_the_remedy_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(BackendMissingError, match=r"pip install 'sfumato\[ray\]'"):
        Storage.open("s3://bucket/a")


def test_the_pictures_of_a_storage_mirror_as_those_of_a_folder_do(source: Path, tmp_path: Path) -> None:
    photos(source, ".hidden/x.png", "out/y.png")
    (source / "notes.txt").write_text("")
    here = Folder(source, source / "out", Settings(), Writing("JPEG"))
    there = RemoteFolder(f"file://{source}", f"file://{source}/out", Settings(), Writing("JPEG"))
    plain = [(item.name, item.target) for item in here.items()]
    assert [(item.name, item.target.removeprefix("file://")) for item in there.items()] == plain
    assert [below(item.target, there.target) for item in there.items()] == ["a.jpg", "b/c.jpg", "b/d.jpg"]


def test_an_empty_storage_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match=r"no pictures below .*; check the address"):
        list(RemoteFolder(f"file://{tmp_path}", f"file://{tmp_path}/out", Settings()).items())


@pytest.fixture
def orphan(source: Path, tmp_path: Path) -> tuple[Path, str]:
    """Return a folder of results of which the first is noted by an intent alone, and its name."""
    out = tmp_path / "out"
    run(source, out)
    ledger = out / OWN / "ledger-1-of-1.jsonl"
    first, *others = ledger.read_text().splitlines(keepends=True)
    ledger.write_text("".join(others))
    Storage.open(str(out)).write(new_intent(), first.encode())
    return out, json.loads(first)["target"]


def test_a_result_whose_driver_died_is_found_again_and_noted(orphan: tuple[Path, str]) -> None:
    out, name = orphan
    storage = Storage.open(str(out))
    held = ChunkedLedger(storage)
    entry = held.noted(name, storage.stamp(name))
    assert entry is not None and held.is_ours(name)
    held.note(name, entry)
    held.flush()
    assert list(storage.names(INTENTS)) == []
    assert ChunkedLedger(storage).entries[name] == entry


def test_the_local_engine_knows_a_result_whose_driver_died(source: Path, orphan: tuple[Path, str]) -> None:
    out, _ = orphan
    assert states(run(source, out)) == ["kept"] * 3


def test_an_intent_that_was_not_carried_out_is_painted_once(source: Path, orphan: tuple[Path, str]) -> None:
    out, name = orphan
    (out / name).unlink()
    assert sorted(states(run(source, out))) == ["done", "kept", "kept"]
    assert states(run(source, out)) == ["kept"] * 3


def test_an_intent_of_several_results_is_kept_until_all_are_noted(tmp_path: Path) -> None:
    storage = Storage.open(str(tmp_path))
    entries = {f"{k}.png": Entry(f"key {k}", f"sha {k}", (k, 0), (1, 2), "c") for k in range(2)}
    storage.write(new_intent(), "".join(line_of(name, entry) for name, entry in entries.items()).encode())
    for name, entry in entries.items():
        assert len(list(storage.names(INTENTS))) == 1
        ledger = ChunkedLedger(storage)
        ledger.note(name, entry)
        ledger.flush()
    assert list(storage.names(INTENTS)) == []
    assert ChunkedLedger(storage).entries == entries


def test_of_two_entries_of_one_path_the_later_counts(tmp_path: Path) -> None:
    storage = Storage.open(str(tmp_path))
    for number in range(3):
        ledger = ChunkedLedger(storage)
        ledger.note("a.png", Entry(f"key {number}", f"sha {number}", (number, 0), (1, 2), "c"))
        ledger.flush()
        ledger.flush()
    assert ChunkedLedger(storage).entries["a.png"].key == "key 2"


def test_an_intended_result_is_read_before_it_is_believed(tmp_path: Path) -> None:
    """An older result may have the very size of the one that was intended, as TIFF files do."""
    storage = Storage.open(str(tmp_path))
    storage.write("a.tiff", b"old!")
    entry = Entry("key", "0" * 64, (4, 0), (1, 2), "c")
    storage.write(new_intent(), line_of("a.tiff", entry).encode())
    ledger = ChunkedLedger(storage)
    assert ledger.noted("a.tiff", storage.stamp("a.tiff")) is None
    ledger.note("a.tiff", entry)
    assert ledger.noted("a.tiff", storage.stamp("a.tiff")) == entry


def test_a_recipe_whose_picture_could_not_be_written_is_known_to_the_next_run(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sfumato.backends.share_processors", lambda **_: None)
    out, beside = tmp_path / "out", Writing(recipe="sidecar")
    (out / "a.png").mkdir(parents=True)
    items = list(Folder(source, out, Settings(), beside).items())
    rows = [read_row({"item": json.dumps(asdict(item))}) for item in items]
    made = PaintActor(build, str(out))(pyarrow.Table.from_pylist(rows))
    outcomes = [outcome_of(json.loads(outcome)) for outcome in made["outcome"]]
    assert states(outcomes) == ["failed", "done", "done"]
    assert made["lines"][0] == "" and made["intent"] == [""] * 3
    storage = Storage.open(str(out))
    ledger = ChunkedLedger(storage)
    for lines, intent in zip(made["lines"], made["intent"], strict=True):
        ledger.note_lines(lines, intent)
    ledger.flush()
    (out / "a.png").rmdir()
    assert ChunkedLedger(storage).is_ours("a.png.json")
    assert states(run(source, out, writing=beside)) == ["done", "kept", "kept"]


def test_items_and_outcomes_come_back_from_json(tmp_path: Path) -> None:
    item = Item("a", "b", "c", Settings(paint=0.1), Writing("PNG"))
    outcome = Outcome(item, "done", key="k", stamp=(1, 2), report={"size": [1, 2]})
    assert item_of(json.loads(json.dumps(asdict(item)))) == item
    assert outcome_of(json.loads(json.dumps(asdict(outcome)))) == outcome


def test_a_picture_that_is_gone_is_said_in_its_row(tmp_path: Path) -> None:
    row = {"item": json.dumps(asdict(Item(str(tmp_path / "a.png"), "b", "a.png", Settings())))}
    assert read_row(row)["error"] == "a.png is gone; it was there when the batch began"
    photos(tmp_path, "a.png")
    read = read_row(row)
    assert (read["error"], len(read["data"])) == ("", read["size"])
