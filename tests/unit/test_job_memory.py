"""The estimate of what a job needs, and what this machine has to give."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfumato.jobs.bounds import count_workers
from sfumato.jobs.job import Kind, Work
from sfumato.jobs.memory import BASE, LARGE_NETWORKS, SHARE, estimate_need, memory_budget
from sfumato.processors import count_processors
from sfumato.settings import Settings

kinds = st.sampled_from(["stylize", "detect", "segment", "thumbnail"])
sides = st.integers(16, 20_000)


@given(kinds, sides, sides, sides)
def test_a_larger_picture_needs_more(kind: Kind, height: int, width: int, more: int) -> None:
    work = Work(kind, Settings())
    assert BASE < estimate_need(work, (height, width)) < estimate_need(work, (height, width + more))


def test_layers_need_more() -> None:
    plain, layers = (
        estimate_need(Work("stylize", Settings(), layers=kept), (9, 9)) for kept in (False, True)
    )
    assert layers > plain


@pytest.mark.parametrize(
    ("kind", "settings", "large"),
    [
        ("stylize", Settings(style="cyclegan-monet"), True),
        ("stylize", Settings(restorer="gfpgan-1.4"), True),
        ("segment", Settings(segmenter="sam-vit-b"), True),
        ("segment", Settings(style="cyclegan-monet"), False),
        ("detect", Settings(detector="yunet"), True),
        ("detect", Settings(segmenter="sam-vit-b"), False),
        ("thumbnail", Settings(style="cyclegan-monet", detector="yunet"), False),
    ],
)
def test_networks_that_are_used_and_not_embedded_count(kind: Kind, settings: Settings, large: bool) -> None:
    more = estimate_need(Work(kind, settings), (64, 64)) - estimate_need(Work(kind, Settings()), (64, 64))
    assert more == (LARGE_NETWORKS if large else 0)


def machine(root: Path, meminfo: str | None, limit: str | None) -> Path:
    for name, text in {"proc/meminfo": meminfo, "sys/fs/cgroup/memory.max": limit}.items():
        if text is not None:
            (root / name).parent.mkdir(parents=True)
            (root / name).write_text(text)
    return root


@pytest.mark.parametrize(
    ("meminfo", "limit", "free"),
    [
        ("MemTotal: 9 kB\nMemAvailable: 2000 kB\n", None, 2_048_000),
        ("MemAvailable: 2000 kB\n", "max\n", 2_048_000),
        ("MemAvailable: 2000 kB\n", "1000000\n", 1_000_000),
        ("MemTotal: 9 kB\n", "1000000\n", 1_000_000),
        (None, None, 4_000_000_000),
    ],
)
def test_the_budget_is_half_of_what_is_free_here_or_in_the_container(
    tmp_path: Path, meminfo: str | None, limit: str | None, free: int
) -> None:
    assert memory_budget(machine(tmp_path, meminfo, limit)) == int(SHARE * free)


@pytest.mark.parametrize(
    ("quota", "processors"),
    [("max 100000\n", None), ("400000 100000\n", 4), ("50000 100000\n", 1), ("100000 100000", 1)],
)
def test_the_processors_follow_the_quota(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quota: str, processors: int | None
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(16)))
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text("0::/system.slice/sfumato.service\n")
    group = tmp_path / "sys/fs/cgroup/system.slice/sfumato.service"
    group.mkdir(parents=True)
    (group / "cpu.max").write_text(quota)
    (group / "memory.max").write_text("3000000")
    assert count_processors(tmp_path) == (processors or 16)
    assert memory_budget(tmp_path) == int(SHARE * 3_000_000)


def test_this_machine_has_memory_and_a_worker() -> None:
    assert memory_budget() > 10_000_000
    assert count_workers(count_processors()) >= 1
