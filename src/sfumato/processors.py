"""Tell how many processors there are for this process, containers and quotas considered; it runs nothing."""

import os
from pathlib import Path


def count_processors(root: Path = Path("/")) -> int:
    """Return how many processors this process may use, by its affinity and by the quotas of its control groups.

    Args:
        root: where /proc and /sys are looked for.
    """
    quotas = [_processors(path) for path in group_files("cpu.max", root)]
    free = min([float(len(os.sched_getaffinity(0))), *(quota for quota in quotas if quota is not None)])
    return max(1, int(free))


def group_files(name: str, root: Path) -> list[Path]:
    """Return the files of this name of the control groups (version 2) that this process is in, as far as they are."""
    groups = root / "sys/fs/cgroup"
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        lines = []
    own = [line.removeprefix("0::/") for line in lines if line.startswith("0::/")]
    return [path for path in {groups / name, *(groups / group / name for group in own)} if path.is_file()]


def _processors(path: Path) -> float | None:
    """Return the processors that a quota such as "150000 100000" allows, or None where it allows all."""
    quota, _, period = path.read_text(encoding="ascii").strip().partition(" ")
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() else None
