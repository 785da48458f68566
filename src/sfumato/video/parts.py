"""Keep painted parts of a video beside the result, so that a run that was ended goes on; nothing is painted here."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from shutil import rmtree

from filelock import FileLock, Timeout

from sfumato.errors import OutputError
from sfumato.io.picture import shown
from sfumato.settings import Settings
from sfumato.video.clip import Window
from sfumato.video.joining import Part
from sfumato.video.memory import Memory, load_memory, save_memory
from sfumato.video.writing import Encoding

PART_FRAMES = 48
"""Frames of a part: what is lost at most when a run is ended."""

ENDS = 1_000_000
"""Bytes of the file's head and of its tail that its key depends on."""


@dataclass(frozen=True, slots=True)
class Work:
    """What is painted, and how: all that a painted part depends on.

    Attributes:
        settings, models: of the pipeline.
        steady: whether frames are steadied.
        longest: most pixels of the longer side.
    """

    source: Path
    window: Window
    longest: int | None
    settings: Settings
    models: Mapping[str, str]
    encoding: Encoding
    steady: bool

    def key(self) -> str:
        """Return sixteen digits that stand for all of it.

        Of the video they hold its size, its time of change, and its first and last megabyte, not all of it: hours of
        film are not read for this.
        """
        told = self.source.stat()
        with self.source.open("rb") as file:
            head = file.read(ENDS)
            file.seek(max(0, told.st_size - ENDS))
            ends = sha256(head + file.read(ENDS)).hexdigest()
        parts = {
            "file": [told.st_size, told.st_mtime_ns, ends],
            "window": asdict(self.window),
            "longest": self.longest,
            "settings": asdict(self.settings),
            "models": dict(self.models),
            "encoding": asdict(self.encoding),
            "steady": self.steady,
            "part": PART_FRAMES,
            "version": version("sfumato"),
        }
        return sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Progress:
    """What is painted already.

    Attributes:
        parts: in their order.
        memory: what the last frame of them left; None where there is no part.
        latest, lasts: time stamp of the last frame, and how long it is shown as far as is known.
    """

    parts: tuple[Part, ...] = ()
    memory: Memory | None = None
    latest: int | None = None
    lasts: int = 0


@dataclass(frozen=True, slots=True)
class Workplace:
    """The folder of the parts of a video: each is NUMBER.mp4 with NUMBER.json, and the last has NUMBER.npz too."""

    folder: Path

    def part(self, number: int) -> Path:
        """Return where a part lies."""
        return self.folder / f"{number:06d}.mp4"

    def unfinished(self) -> Path:
        """Return where the part lies that is being painted."""
        return self.folder / "unfinished.mp4"

    def keep(self, progress: Progress) -> None:
        """Take the part that is being painted for finished; what was kept for the part before it is deleted.

        The part gets its name last: without it nothing else counts.
        """
        number = len(progress.parts) - 1
        assert progress.memory is not None
        save_memory(progress.memory, self.part(number).with_suffix(".npz"))
        facts = {"first": progress.parts[-1].first, "latest": progress.latest, "lasts": progress.lasts}
        self.part(number).with_suffix(".json").write_text(json.dumps(facts), encoding="utf-8")
        self.unfinished().replace(self.part(number))
        if number:
            self.part(number - 1).with_suffix(".npz").unlink(missing_ok=True)

    def resume(self) -> Progress:
        """Return what is painted, up to the last part whose memory is whole; nothing if none is."""
        count = 0
        while self.part(count).is_file():
            count += 1
        for last in range(count - 1, -1, -1):
            with suppress(OSError, ValueError, KeyError):
                memory = load_memory(self.part(last).with_suffix(".npz"))
                facts = [self._facts(number) for number in range(last + 1)]
                parts = tuple(Part(self.part(k), int(fact["first"])) for k, fact in enumerate(facts))
                return Progress(parts, memory, int(facts[-1]["latest"]), int(facts[-1]["lasts"]))
        return Progress()

    def _facts(self, number: int) -> dict[str, int]:
        facts: dict[str, int] = json.loads(self.part(number).with_suffix(".json").read_text(encoding="utf-8"))
        return facts

    def clear(self) -> None:
        """Delete the folder."""
        rmtree(self.folder, ignore_errors=True)


@contextmanager
def open_workplace(target: Path, key: str) -> Iterator[Workplace]:
    """Give the folder `.sfumato-video-KEY` beside the target, to this process alone.

    Raises:
        OutputError: another process paints the same video there, or the folder cannot be made.
    """
    folder = target.parent / f".sfumato-video-{key}"
    try:
        folder.mkdir(exist_ok=True)
        lock = FileLock(folder / "lock", timeout=0)
        lock.acquire()
    except Timeout as error:
        raise OutputError(f"{shown(target)} is being painted by another process; wait for it") from error
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise OutputError(
            f"cannot write {shown(target)}: {reason}; choose a place that you may write to"
        ) from error
    try:
        yield Workplace(folder)
    finally:
        lock.release()
