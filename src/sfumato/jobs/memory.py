"""Estimate the memory that a job takes from the size of its picture, and what this machine has to give."""

from pathlib import Path

from sfumato.jobs.job import Work
from sfumato.processors import group_files

BASE = 15_000_000
"""Bytes of any job, whatever the picture."""

BUFFERS = {"stylize": 375_000_000, "detect": 180_000_000, "segment": 285_000_000, "thumbnail": 0}
"""Bytes more in which the networks of a worker compute; the networks themselves are shared and no job's own."""

PER_PIXEL = {"stylize": 12, "detect": 6, "segment": 20, "thumbnail": 9}
"""Bytes of each pixel of the picture, measured as the growth of the process (benchmarks/bench_memory.py)."""

LAYERS = 11
"""Bytes of each pixel more where the layers are kept."""

BESIDE = 9
"""Bytes of each pixel of what comes beside the picture: a mask, touches, a palette."""

LARGE_NETWORKS = 1_500_000_000
"""Bytes that networks which are not embedded may take: CycleGAN's generator, GFPGAN, a Segment Anything."""

EMBEDDED = frozenset({"light", "monet", "auto"})

SHARE = 0.5
"""Part of the memory that is free at the start that jobs may take."""


def estimate_need(work: Work, shape: tuple[int, int]) -> int:
    """Return the bytes that a job will take at its peak.

    Args:
        shape: (h, w) of the picture as its header says.
    """
    pixels = shape[0] * shape[1]
    each = PER_PIXEL[work.kind] + (LAYERS if work.layers else 0)
    return BASE + BUFFERS[work.kind] + pixels * each + (0 if _is_embedded(work) else LARGE_NETWORKS)


def _is_embedded(work: Work) -> bool:
    if work.kind == "thumbnail":
        return True
    settings = work.settings
    used = [settings.detector]
    if work.kind != "detect":
        used.append(settings.segmenter)
    if work.kind == "stylize":
        used += [settings.style, settings.restorer, settings.recogniser]
    return EMBEDDED.issuperset(used)


def memory_budget(root: Path = Path("/")) -> int:
    """Return the bytes that jobs may take together: half of what is free, or of what the container may take.

    Args:
        root: where /proc and /sys are looked for.
    """
    limits = [_available(root / "proc/meminfo"), *(_limit(path) for path in group_files("memory.max", root))]
    known = [limit for limit in limits if limit is not None]
    return int(SHARE * min(known, default=4_000_000_000))


def _available(meminfo: Path) -> int | None:
    try:
        lines = meminfo.read_text(encoding="ascii").splitlines()
    except OSError:  # not Linux
        return None
    sizes = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return 1024 * int(sizes[0]) if sizes else None


def _limit(path: Path) -> int | None:
    text = path.read_text(encoding="ascii").strip()
    return int(text) if text.isdigit() else None
