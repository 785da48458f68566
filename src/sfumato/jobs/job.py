"""Name what a job is: the work that was asked for, and what became of it; nothing runs here."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeAlias

from sfumato.settings import Settings

Kind: TypeAlias = Literal["stylize", "detect", "segment", "thumbnail"]
State: TypeAlias = Literal["queued", "running", "done", "failed", "cancelled"]
View: TypeAlias = Literal["labels", "overlay"]
Part: TypeAlias = Literal["image", "mask", "touches", "palette"]
"""What is uploaded."""

FINISHED: frozenset[State] = frozenset({"done", "failed", "cancelled"})


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be done with a picture.

    Attributes:
        kind: paint it, find its faces, tell the class of every pixel, or reduce it.
        settings: all choices, so that a restart with other defaults changes nothing.
        side: longest side in pixels that the picture is reduced to first; None leaves it.
        format: of the result, one of `io.Picture.format`; None is that of the picture.
        quality: 1..100, of the result.
        metadata: whether EXIF and XMP go along.
        layers: also keep the picture after each step.
        view: what `segment` draws.
    """

    kind: Kind
    settings: Settings
    side: int | None = None
    format: str | None = None
    quality: int = 92
    metadata: Literal["keep", "strip"] = "keep"
    layers: bool = False
    view: View = "labels"


@dataclass(frozen=True, slots=True)
class Client:
    """Who asks: jobs are served in turn between addresses, and between the pages of one address.

    Attributes:
        address: of the connection.
        page: what the client calls itself; several pages of one address are told apart by it.
    """

    address: str = ""
    page: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a job failed: the line that the command line would say, and the HTTP status that goes with it."""

    detail: str
    status: int = 500
    kind: str = "SfumatoError"


@dataclass(frozen=True, slots=True)
class Job:
    """A piece of work, accepted.

    Attributes:
        id: random, 32 hexadecimal digits; whoever knows it may fetch the result.
        client: who asked.
        state: queued, running, or one of `FINISHED`.
        need: bytes of memory that it is estimated to take.
        waited_for: a client waits on the line; such a job ends with its connection and does not outlive the server.
        created, started, finished, expires: seconds since 1970; None where it has not come to that.
        attempts: how often it was begun; more than once after a server was killed.
        media_type: of the result.
        layers: names of the layers that were kept.
        report: what was found and measured.
        error: why it failed.
    """

    id: str
    work: Work
    client: Client
    need: int
    created: float
    waited_for: bool = False
    state: State = "queued"
    started: float | None = None
    finished: float | None = None
    expires: float | None = None
    attempts: int = 0
    media_type: str | None = None
    layers: tuple[str, ...] = ()
    report: Mapping[str, Any] = field(default_factory=dict)
    error: Refusal | None = None

    @property
    def is_finished(self) -> bool:
        """Return whether nothing more will become of it."""
        return self.state in FINISHED


def to_json(job: Job) -> str:
    """Return a job as a line of JSON, from which `from_json` makes the same job."""
    return json.dumps(asdict(job))


def from_json(text: str) -> Job:
    """Return the job that `to_json` wrote."""
    held = json.loads(text)
    work, client, error = (held.pop(name) for name in ("work", "client", "error"))
    return Job(
        **{**held, "layers": tuple(held["layers"])},
        work=Work(**{**work, "settings": Settings(**work["settings"])}),
        client=Client(**client),
        error=Refusal(**error) if error else None,
    )
