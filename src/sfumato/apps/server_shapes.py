"""Describe what the API answers; nothing is computed here."""

from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, Field

from sfumato.apps.server_problems import describe_problem
from sfumato.jobs.job import Job, Kind, State
from sfumato.jobs.service import Progress

EXAMPLE_ID = "0123456789abcdef0123456789abcdef"


class Problem(BaseModel):
    """What is wrong, after RFC 9457; `detail` names the thing, the fact and the remedy."""

    type: str = Field(examples=["urn:sfumato:problem:settings"])
    title: str = Field(examples=["Unprocessable Content"])
    status: int = Field(examples=[422])
    detail: str = Field(examples=["paint is 1.5; use 0 to 1"])


class FoundFace(BaseModel):
    """A face, in pixels of the upright picture."""

    box: tuple[float, float, float, float] = Field(
        description="x0, y0, x1, y1", examples=[[177.2, 53.1, 290.5, 210.8]]
    )
    landmarks: list[tuple[float, float]] = Field(
        description="Image-left eye, image-right eye, nose, image-left and image-right mouth corner."
    )
    score: float = Field(examples=[0.98])


class Faces(BaseModel):
    """The faces of a picture, best first."""

    size: tuple[int, int] = Field(
        description="Width and height of the upright picture.", examples=[[512, 512]]
    )
    faces: list[FoundFace]


class JobState(BaseModel):
    """A job as it is now."""

    id: str = Field(examples=[EXAMPLE_ID])
    kind: Kind
    state: State
    position: int | None = Field(description="How many jobs will be served up to this one.", examples=[3])
    stage: str | None = Field(description="What is being done.", examples=["stylize"])
    progress: float = Field(description="0 to 1, of the stages.", examples=[0.5])
    created: datetime
    started: datetime | None
    finished: datetime | None
    expires: datetime | None = Field(description="When the job and its result are forgotten.")
    result: str | None = Field(
        description="Address of the result.", examples=[f"/v1/jobs/{EXAMPLE_ID}/result"]
    )
    layers: list[str] = Field(description="Names for /v1/jobs/{id}/layers/{name}.")
    report: dict[str, Any] | None = Field(description="What was found and measured, as --json says it.")
    error: Problem | None


class ModelCard(BaseModel):
    """A model and its terms."""

    name: str = Field(examples=["monet-light"])
    task: str = Field(examples=["stylizer"])
    option: str = Field(description="What the option of this task takes.", examples=["monet"])
    installed: bool
    embedded: bool
    commercial_use: str = Field(examples=["unclear"])
    code_licence: str
    weights_licence: str
    in_plain_words: str
    paper: str


class Models(BaseModel):
    """Every model that can be named."""

    models: list[ModelCard]


class Sizes(BaseModel):
    """The largest picture that is taken."""

    bytes: int
    pixels: int


class About(BaseModel):
    """What this server is and does where a request says nothing."""

    version: str = Field(examples=["0.1.0"])
    defaults: dict[str, Any]
    limits: Sizes
    keep_minutes: float = Field(description="How long finished jobs are kept.", examples=[60])


class Health(BaseModel):
    """Whether the server lives, or takes work."""

    status: str = Field(examples=["ok"])


def describe_job(job: Job, progress: Progress) -> JobState:
    """Return a job as the API shows it."""
    address = f"/v1/jobs/{job.id}"
    error = job.error
    return JobState(
        id=job.id,
        kind=job.work.kind,
        state=job.state,
        position=progress.position,
        stage=progress.stage,
        progress=progress.part,
        created=_time(job.created),
        started=_time(job.started) if job.started else None,
        finished=_time(job.finished) if job.finished else None,
        expires=_time(job.expires) if job.expires else None,
        result=f"{address}/result" if job.state == "done" and job.media_type else None,
        layers=list(job.layers),
        report=dict(job.report) or None,
        error=Problem(**describe_problem(error.status, error.kind, error.detail)) if error else None,
    )


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
