"""Batches with real worker processes and a simple pipeline: nothing is lost, nothing foreign replaced."""

import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from sfumato.batch.item import Outcome, Writing
from sfumato.batch.ledger import Entry, Ledger, open_lines, read_lines, write_line
from sfumato.batch.local import Local
from sfumato.batch.plan import OWN, Folder, Shard
from sfumato.batch.watch import watch
from sfumato.batch.work import Build
from sfumato.errors import SettingsError
from sfumato.io import read_picture
from sfumato.pipeline import Pipeline
from sfumato.recipe import used_file
from sfumato.recipe_embedding import _CREDENTIALS, read_recipe
from sfumato.recipe_parsing import parse_recipe
from sfumato.settings import Settings
from sfumato.types import Image
from tests.simple import build, invert

SUICIDE = 77
"""Width of a picture that kills its worker."""


def dying(settings: Settings) -> Pipeline:
    """Return a pipeline that kills its process at pictures of one width."""

    def paint(image: Image) -> Image:
        if image.shape[1] == SUICIDE:
            os.kill(os.getpid(), signal.SIGKILL)
        return invert(image)

    return replace(build(settings), paint=paint)


def slow(settings: Settings) -> Pipeline:
    def paint(image: Image) -> Image:
        time.sleep(0.2)
        return invert(image)

    return replace(build(settings), paint=paint)


def photos(folder: Path, *names: str, width: int = 40) -> Path:
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (32, width, 3), dtype=np.uint8)
        PIL.Image.fromarray(pixels).save(folder / name)
    return folder


def run(
    source: Path,
    target: Path,
    *,
    build: Build = build,
    workers: int = 2,
    shard: Shard | None = None,
    overwrite: bool = False,
    settings: Settings | None = None,
    writing: Writing | None = None,
) -> list[Outcome]:
    folder = Folder(source, target, settings or Settings(), writing or Writing())
    engine = Local(target, workers, build, shard or Shard(), overwrite)
    return sorted(engine.run(folder.items()), key=lambda outcome: outcome.item.name)


def states(outcomes: Sequence[Outcome]) -> list[str]:
    return [outcome.state for outcome in outcomes]


def results(target: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(target)): path.read_bytes()
        for path in sorted(target.rglob("*"))
        if path.is_file() and OWN not in path.parts
    }


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return photos(tmp_path / "in", "a.png", "b/c.png", "b/d.png")


def test_every_picture_is_painted_into_the_mirrored_tree(source: Path, tmp_path: Path) -> None:
    outcomes = run(source, tmp_path / "out")
    assert states(outcomes) == ["done"] * 3
    assert set(results(tmp_path / "out")) == {"a.png", "b/c.png", "b/d.png"}
    with PIL.Image.open(source / "a.png") as photo, PIL.Image.open(tmp_path / "out" / "a.png") as painted:
        assert painted.size == photo.size
    described = outcomes[0].describe()
    assert described["input"] == "a.png"
    assert described["size"] == [40, 32]
    assert set(described["timings"]) >= {"read", "stylize"}


def test_the_number_of_workers_changes_no_byte(source: Path, tmp_path: Path) -> None:
    one, three = tmp_path / "one", tmp_path / "three"
    run(source, one, workers=1)
    run(source, three, workers=3)
    assert results(one) == results(three)


@pytest.mark.parametrize("workers", [1, 2])
def test_every_result_carries_its_recipe(source: Path, tmp_path: Path, workers: int) -> None:
    run(source, tmp_path / "out", workers=workers)
    for name in results(tmp_path / "out"):
        recipe = read_recipe(read_picture(tmp_path / "out" / name).metadata, name)
        assert recipe is not None
        assert recipe.source == used_file((source / name).read_bytes(), name)
        assert recipe.models == {"negative": "0" * 64}


def test_recipes_lie_beside_results_and_come_back_when_they_are_gone(source: Path, tmp_path: Path) -> None:
    out, writing = tmp_path / "out", Writing(recipe="sidecar")
    run(source, out, writing=writing)
    before = results(out)
    assert set(before) == {name + end for name in ("a.png", "b/c.png", "b/d.png") for end in ("", ".json")}
    assert parse_recipe(before["a.png.json"], "it").writing.recipe == "sidecar"
    assert states(run(source, out, writing=writing)) == ["kept"] * 3
    (out / "a.png.json").unlink()
    assert states(run(source, out, writing=writing)) == ["done", "kept", "kept"]
    assert results(out) == before


def test_a_run_that_was_killed_between_a_recipe_and_its_picture_goes_on(source: Path, tmp_path: Path) -> None:
    out, writing = tmp_path / "out", Writing(recipe="sidecar")
    run(source, out, writing=writing)
    (out / "a.png").unlink()
    assert states(run(source, out, writing=writing, settings=Settings(paint=0.9))) == ["done"] * 3
    assert parse_recipe((out / "a.png.json").read_bytes(), "it").settings["paint"] == 0.9


def test_a_foreign_file_in_the_place_of_a_recipe_is_never_replaced(source: Path, tmp_path: Path) -> None:
    out, writing = tmp_path / "out", Writing(recipe="sidecar")
    out.mkdir()
    (out / "a.png.json").write_text("mine")
    outcomes = run(source, out, writing=writing)
    assert states(outcomes) == ["failed", "done", "done"]
    assert "a.png.json exists and was not painted from a.png" in outcomes[0].error
    assert (out / "a.png.json").read_text() == "mine"
    assert not (out / "a.png").exists()
    assert states(run(source, out, writing=writing, overwrite=True)) == ["done", "kept", "kept"]


def test_lost_credentials_of_a_photo_are_in_the_report(source: Path, tmp_path: Path) -> None:
    (source / "a.png").write_bytes((source / "a.png").read_bytes() + _CREDENTIALS)
    outcomes = run(source, tmp_path / "out")
    assert [outcome.describe().get("credentials") for outcome in outcomes] == ["not carried over", None, None]


def test_results_are_signed_in_the_workers(source: Path, tmp_path: Path) -> None:
    pytest.importorskip("c2pa")
    from cryptography.hazmat.primitives.asymmetric import ec

    from tests.unit.test_signing import identity, read

    mine = identity(tmp_path, ec.generate_private_key(ec.SECP256R1()))
    writing = Writing(certificate=str(mine.certificate), key=str(mine.key))
    assert states(run(source, tmp_path / "out", writing=writing)) == ["done"] * 3
    assert read((tmp_path / "out" / "a.png").read_bytes(), "PNG")[0] == "Valid"
    assert states(run(source, tmp_path / "out", writing=writing)) == ["kept"] * 3


def test_a_second_run_paints_only_what_is_missing(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(source, out)
    before = {name: (out / name).stat().st_mtime_ns for name in results(out)}
    (out / "b/c.png").unlink()
    photos(source, "new.png")
    assert states(run(source, out)) == ["kept", "done", "kept", "done"]
    assert (out / "a.png").stat().st_mtime_ns == before["a.png"]


def test_a_photo_that_was_only_touched_is_not_painted_again_and_a_changed_one_is(
    source: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    run(source, out)
    os.utime(source / "a.png", (1, 1))
    photos(source, "b/d.png", width=50)
    assert states(run(source, out)) == ["kept", "kept", "done"]
    with PIL.Image.open(out / "b/d.png") as painted:
        assert painted.size == (50, 32)


def test_other_settings_or_another_encoding_paint_own_results_anew(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(source, out)
    assert states(run(source, out, settings=Settings(paint=0.9))) == ["done"] * 3
    assert (
        states(run(source, out, settings=Settings(paint=0.9), writing=Writing(metadata="strip")))
        == ["done"] * 3
    )
    assert states(run(source, out)) == ["done"] * 3


def test_a_file_of_others_is_never_replaced_unasked(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "a.png").write_text("mine")
    first, *rest = run(source, out)
    assert first.error.endswith(
        "a.png exists and was not painted from a.png; use --overwrite or another folder"
    )
    assert first.exit_code == 4
    assert states(rest) == ["done", "done"]
    assert (out / "a.png").read_text() == "mine"
    assert states(run(source, out, overwrite=True)) == ["done", "kept", "kept"]


def test_a_result_that_was_worked_on_is_not_replaced_either(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(source, out)
    (out / "a.png").write_text("retouched")
    assert states(run(source, out)) == ["failed", "kept", "kept"]
    assert (out / "a.png").read_text() == "retouched"


def test_one_bad_file_never_stops_the_rest(source: Path, tmp_path: Path) -> None:
    (source / "bad.png").write_bytes(b"not a picture")
    outcomes = run(source, tmp_path / "out")
    assert states(outcomes) == ["done", "done", "done", "failed"]
    assert "bad.png is no JPEG" in outcomes[-1].error
    assert outcomes[-1].describe()["exit_code"] == 3


def test_a_picture_that_kills_its_worker_is_given_up_and_the_rest_is_painted(tmp_path: Path) -> None:
    source = photos(tmp_path / "in", *(f"{k}.png" for k in range(6)))
    photos(source, "2.png", width=SUICIDE)
    outcomes = run(source, tmp_path / "out", build=dying)
    assert states(outcomes) == ["done", "done", "failed", "done", "done", "done"]
    assert outcomes[2].error.startswith("2.png ended the worker twice (signal 9)")


def test_parts_paint_everything_once_even_at_the_same_time(tmp_path: Path) -> None:
    source, out = photos(tmp_path / "in", *(f"{k}.png" for k in range(5))), tmp_path / "out"
    parts: list[list[Outcome]] = []
    threads = [
        threading.Thread(target=lambda k=k: parts.append(run(source, out, workers=1, shard=Shard(k, 2))))
        for k in (1, 2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(o.item.name for part in parts for o in part) == [f"{k}.png" for k in range(5)]
    assert len(results(out)) == 5
    assert states(run(source, out)) == ["kept"] * 5


def test_two_runs_of_one_part_exclude_each_other(tmp_path: Path) -> None:
    with Ledger(tmp_path / OWN), pytest.raises(SettingsError, match="another run paints into"):
        run(photos(tmp_path / "in", "a.png"), tmp_path)


def test_what_a_killed_run_left_behind_is_removed(source: Path, tmp_path: Path) -> None:
    left = tmp_path / "out" / OWN / "tmp-1-of-1"
    left.mkdir(parents=True)
    (left / "7").write_bytes(b"half a picture")
    run(source, tmp_path / "out")
    assert not left.exists()


@pytest.mark.long
def test_a_run_that_was_killed_between_the_line_and_the_name_paints_again(
    source: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    run(source, out, writing=Writing("TIFF"))
    run(source, out, writing=Writing("TIFF"), settings=Settings(paint=0.9))
    ledger = out / OWN / "ledger-1-of-1.jsonl"
    lines = ledger.read_text().splitlines(keepends=True)
    ledger.write_text("".join(lines[:3]) + "".join(lines[3:]))
    run(source, out, writing=Writing("TIFF"))
    ledger.write_text(
        "".join([*lines, *lines[3:]])
    )  # the last lines speak of results that did not get their names
    assert states(run(source, out, writing=Writing("TIFF"), settings=Settings(paint=0.9))) == ["done"] * 3


def test_stopping_begins_no_more_and_finishes_what_is_in_hand(tmp_path: Path) -> None:
    source, out = photos(tmp_path / "in", *(f"{k}.png" for k in range(12))), tmp_path / "out"
    done: list[Outcome] = []
    folder = Folder(source, out, Settings())
    for outcome in Local(out, 2, slow).run(folder.items(), lambda: len(done) >= 2):
        done.append(outcome)
    assert 2 <= len(done) < 12
    assert set(states(done)) == {"done"}
    assert len(results(out)) == len(done)


def test_ctrl_c_twice_leaves_whole_files_only(tmp_path: Path) -> None:
    source, out = photos(tmp_path / "in", *(f"{k}.png" for k in range(6))), tmp_path / "out"
    engine = Local(out, 2, slow).run(Folder(source, out, Settings()).items())
    next(engine)
    with pytest.raises(KeyboardInterrupt):
        engine.throw(KeyboardInterrupt)  # type: ignore[attr-defined]  # it is a generator
    for name in results(out):
        with PIL.Image.open(out / name) as painted:
            painted.load()
    assert [path.name for path in (out / OWN).iterdir() if path.name.startswith("tmp")] == []


def test_a_photo_that_vanishes_is_named(source: Path, tmp_path: Path) -> None:
    items = list(Folder(source, tmp_path / "out", Settings()).items())
    (source / "a.png").unlink()
    outcomes = list(Local(tmp_path / "out", 1, build).run(items))
    failed = next(outcome for outcome in outcomes if outcome.state == "failed")
    assert failed.error == "a.png is gone; it was there when the batch began"


def test_a_broken_line_of_a_ledger_is_skipped_and_ended(tmp_path: Path) -> None:
    entry = Entry("k", "s", (1, 2), (3, 4), "c")
    with Ledger(tmp_path) as ledger:
        ledger.note("a.jpg", entry)
    path = tmp_path / "ledger-1-of-1.jsonl"
    with path.open("a") as file:
        file.write('{"target": "b.jpg", "key')
    with Ledger(tmp_path) as ledger:
        assert ledger.entries == {"a.jpg": entry}
        ledger.note("c.jpg", entry)
    with path.open("a") as file:
        file.write('["no object"]\n{"target": "d.jpg"}\n{"target": "e.jpg", "result": 1, "source": [1, 2]}\n')
    with Ledger(tmp_path) as ledger:
        assert set(ledger.entries) == {"a.jpg", "c.jpg"}


def test_lines_come_back(tmp_path: Path) -> None:
    for number in range(3):
        with open_lines(tmp_path / "report.jsonl") as file:
            write_line(file, {"number": number})
    assert [line["number"] for line in read_lines(tmp_path / "report.jsonl")] == [0, 1, 2]


def test_a_hot_folder_gives_each_picture_once_it_is_whole(tmp_path: Path) -> None:
    """A file that still grows is left until it stays the same from one look to the next."""
    folder = Folder(photos(tmp_path / "in", "a.png"), tmp_path / "out", Settings())
    looks = 0
    given: list[tuple[int, str]] = []

    def stop() -> bool:
        nonlocal looks
        looks += 1
        if looks in (3, 4, 5):
            with (folder.source / "growing.png").open("ab") as file:
                file.write(b"x" * looks)
        if looks == 8:
            photos(folder.source, "a.png", width=60)
        if looks == 9:
            (folder.source / "growing.png").unlink()
        return looks > 11

    def items() -> Iterator[object]:
        yield from folder.items()

    for item in watch(folder.items, stop, seconds=0):
        if item is not None:
            given.append((looks, item.name))
    assert given == [(2, "a.png"), (6, "growing.png"), (9, "a.png")]


def test_a_watched_folder_is_painted_as_it_fills(tmp_path: Path) -> None:
    folder = Folder(photos(tmp_path / "in", "a.png"), tmp_path / "out", Settings())
    done: list[str] = []
    engine = Local(tmp_path / "out", 1, build)
    for outcome in engine.run(watch(folder.items, lambda: len(done) >= 2, seconds=0.05)):
        done.append(outcome.item.name)
        photos(folder.source, "b.png")
    assert done == ["a.png", "b.png"]
