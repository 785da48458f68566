"""Batches on a real Ray cluster of two nodes on this machine: the same bytes as here, and nothing lost with a node."""

import os
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sfumato.batch.cluster import Cluster
from sfumato.batch.item import Outcome, Writing
from sfumato.batch.plan import OWN, Folder
from sfumato.batch.remote import RemoteFolder
from sfumato.batch.storage import Storage
from sfumato.batch.work import Build
from sfumato.pipeline import Pipeline
from sfumato.settings import Settings
from sfumato.types import Image
from tests.buckets import serve_bucket
from tests.simple import build, invert
from tests.unit.test_batch_local import photos, results, run, states

pytest.importorskip("ray")
pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("ignore")]  # the warnings are Ray's own


def slow(settings: Settings) -> Pipeline:
    def paint(image: Image) -> Image:
        time.sleep(0.2)
        return invert(image)

    return replace(build(settings), paint=paint)


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    with serve_bucket() as address:
        yield address


@pytest.fixture(scope="module")
def nodes(bucket: str) -> Iterator[object]:
    """Run a cluster that finds the bucket: a head that paints and one more node."""
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


def on_cluster(
    source: Path,
    target: Path,
    build: Build = build,
    *,
    overwrite: bool = False,
    writing: Writing | None = None,
) -> list[Outcome]:
    engine = Cluster(str(target), 2, build, overwrite=overwrite)
    items = list(Folder(source, target, Settings(), writing or Writing()).items())
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


def test_a_bucket_is_painted_into_another_and_only_once(
    source: Path, tmp_path: Path, bucket: str, nodes: object
) -> None:
    beside = Writing(recipe="sidecar")
    run(source, tmp_path / "here", writing=beside)
    photographs, paintings = Storage.open(f"{bucket}/photos"), Storage.open(f"{bucket}/paintings")
    for path in sorted(source.rglob("*.png")):
        photographs.write(str(path.relative_to(source)), path.read_bytes())
    plan = RemoteFolder(f"{bucket}/photos", f"{bucket}/paintings", Settings(), beside)
    engine = Cluster(plan.target, 2, build)
    assert states(list(engine.run(plan.items()))) == ["done"] * 3
    made = {name: paintings.read(name) for name in paintings.walk() if not name.startswith(OWN)}
    assert made == results(tmp_path / "here")
    assert states(list(engine.run(plan.items()))) == ["kept"] * 3
    paintings.delete("a.png.json")
    photographs.write("new.png", (source / "a.png").read_bytes())
    assert sorted(states(list(engine.run(plan.items())))) == ["done", "done", "kept", "kept"]


def test_sidecars_are_the_same_and_made_again_where_they_are_missing(
    source: Path, tmp_path: Path, nodes: object
) -> None:
    beside = Writing(recipe="sidecar")
    run(source, tmp_path / "here", writing=beside)
    out = tmp_path / "there"
    on_cluster(source, out, writing=beside)
    made = results(out)
    assert made == results(tmp_path / "here") and len(made) == 6
    (out / "a.png.json").unlink()
    assert states(on_cluster(source, out, writing=beside)) == ["done", "kept", "kept"]
    assert states(run(source, out, writing=beside)) == ["kept", "kept", "kept"]
    assert results(out) == made
    (out / "a.png.json").write_text("mine")
    assert states(on_cluster(source, out, writing=beside)) == ["failed", "kept", "kept"]
    assert (out / "a.png.json").read_text() == "mine"


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
