"""Answer the requests of the API with a service; what is allowed is checked before, and what is done is done there."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from starlette.background import BackgroundTask
from starlette.responses import FileResponse, Response, StreamingResponse

from sfumato import __version__
from sfumato.apps.server_answers import answer_work
from sfumato.apps.server_archive import zip_files
from sfumato.apps.server_fields import (
    DetectFields,
    Fields,
    SegmentFields,
    StylizeFields,
    ThumbnailFields,
    describe_form,
)
from sfumato.apps.server_shapes import (
    About,
    JobState,
    ModelCard,
    Models,
    Sizes,
    describe_job,
)
from sfumato.jobs.painting import SUFFIXES
from sfumato.jobs.service import Service
from sfumato.registry import ModelSpec
from sfumato.resolve import WORDS
from sfumato.settings import Settings
from sfumato.store import find_stored, known_models

Id = Annotated[str, Path(pattern="^[0-9a-f]{32}$", description="Of a job.")]
Later = Annotated[bool, Query(alias="async", description="Answer with a job at once instead of its result.")]

PROBLEMS: Mapping[int, str] = {
    400: "The form is broken.",
    401: "The token is missing or wrong.",
    403: "The request comes from elsewhere.",
    404: "There is no such job, or its time is over.",
    408: "The upload was too slow.",
    409: "The job was cancelled.",
    413: "The picture is too large.",
    415: "The format is none that is read.",
    422: "The picture or an option cannot be used.",
    429: "The queue is full, or too many requests came.",
    500: "The server failed.",
    503: "The server is stopping, or a model is missing.",
    504: "The job took too long.",
    507: "The server has no space.",
}


def _problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    answer = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": PROBLEMS[status], "content": answer} for status in statuses}


WORK_PROBLEMS = _problems(400, 401, 403, 404, 408, 409, 413, 415, 422, 429, 500, 503, 504, 507)
JOB_PROBLEMS = _problems(401, 403, 404, 422, 500)
PLAIN_PROBLEMS = _problems(401, 403, 500)


def _pictures(*types: str) -> dict[str, Any]:
    return {kind: {"schema": {"type": "string", "format": "binary"}} for kind in types}


def _work(
    router: APIRouter, path: str, fields: type[Fields], answer: Mapping[str, Any], summary: str
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a route that takes a form and answers with a result, or with a job."""
    accepted = {"description": "The job, when ?async=1 asks for it.", "model": JobState}
    return router.post(
        path,
        summary=summary,
        response_class=Response,
        responses={200: {"description": "The result.", "content": answer}, 202: accepted, **WORK_PROBLEMS},
        openapi_extra={"requestBody": describe_form(fields)},
    )


def work_routes(service: Service, base: Settings) -> APIRouter:
    """Return the routes that take pictures.

    Args:
        base: the server's own settings.
    """
    router = APIRouter(prefix="/v1", tags=["pictures"])
    faces = {"application/json": {"schema": {"$ref": "#/components/schemas/Faces"}}}

    @_work(router, "/stylize", StylizeFields, _pictures(*SUFFIXES), "Paint a picture and keep the faces")
    async def stylize(request: Request, later: Later = False) -> Response:
        return await answer_work(request, service, StylizeFields, base, later=later)

    @_work(router, "/detect", DetectFields, faces, "Find the faces of a picture")
    async def detect(request: Request, later: Later = False) -> Response:
        return await answer_work(request, service, DetectFields, base, later=later)

    @_work(router, "/segment", SegmentFields, _pictures("image/png"), "Tell the class of every pixel")
    async def segment(request: Request, later: Later = False) -> Response:
        return await answer_work(request, service, SegmentFields, base, later=later)

    thumbnails = _pictures("image/jpeg", "image/png")

    @_work(router, "/thumbnail", ThumbnailFields, thumbnails, "Reduce a picture, upright and in sRGB")
    async def thumbnail(request: Request, later: Later = False) -> Response:
        return await answer_work(request, service, ThumbnailFields, base, later=later)

    return router


def job_routes(service: Service) -> APIRouter:
    """Return the routes that tell of jobs."""
    router = APIRouter(prefix="/v1/jobs/{id}", tags=["jobs"])

    @router.get("", response_model=JobState, responses=JOB_PROBLEMS, summary="Tell how far a job is")
    def tell(id: Id) -> JobState:
        return describe_job(service.find(id), service.progress(id))

    @router.delete(
        "", status_code=204, responses=JOB_PROBLEMS, summary="Cancel a job, or forget a finished one"
    )
    def cancel(id: Id) -> Response:
        service.cancel(id)
        return Response(status_code=204)

    _add_files(router, service)
    return router


def _add_files(router: APIRouter, service: Service) -> None:
    """Add the routes that hand out what a job made."""

    @router.get(
        "/result",
        response_class=FileResponse,
        responses={200: {"description": "The result.", "content": _pictures(*SUFFIXES)}, **JOB_PROBLEMS},
        summary="Fetch the result of a job",
    )
    def result(id: Id) -> Response:
        job = service.find(id)
        path = service.result_file(id)
        return FileResponse(
            path,
            media_type=job.media_type,
            filename=f"painting{SUFFIXES[str(job.media_type)]}",
            background=BackgroundTask(service.fetched, id),
        )

    @router.get(
        "/layers",
        response_class=StreamingResponse,
        responses={
            200: {"description": "All layers.", "content": _pictures("application/zip")},
            **JOB_PROBLEMS,
        },
        summary="Fetch all layers of a job",
    )
    def layers(id: Id) -> Response:
        names = service.find(id).layers or ("any",)
        files = {f"{name}.png": service.result_file(id, name).read_bytes for name in names}
        headers = {"Content-Disposition": 'attachment; filename="layers.zip"'}
        return StreamingResponse(zip_files(files), media_type="application/zip", headers=headers)

    @router.get(
        "/layers/{name}",
        response_class=FileResponse,
        responses={200: {"description": "One layer.", "content": _pictures("image/png")}, **JOB_PROBLEMS},
        summary="Fetch one layer of a job",
    )
    def layer(id: Id, name: Annotated[str, Path(examples=["mask"])]) -> Response:
        return FileResponse(service.result_file(id, name), media_type="image/png", filename=f"{name}.png")


def fact_routes(service: Service, base: Settings) -> APIRouter:
    """Return the routes that tell what there is."""
    router = APIRouter(prefix="/v1", tags=["facts"])

    @router.get(
        "/models", response_model=Models, responses=PLAIN_PROBLEMS, summary="List every model and its terms"
    )
    def models() -> Models:
        return Models(models=[card for card in map(_describe_model, known_models().values()) if card])

    @router.get("/about", response_model=About, responses=PLAIN_PROBLEMS, summary="Tell defaults and limits")
    def about() -> About:
        limits, kept = service.bounds.limits, service.bounds.keep / 60
        defaults = {name: getattr(base, name) for name in StylizeFields.model_fields if hasattr(base, name)}
        sizes = Sizes(bytes=limits.bytes, pixels=limits.pixels)
        return About(version=__version__, defaults=defaults, limits=sizes, keep_minutes=kept)

    return router


def _describe_model(spec: ModelSpec) -> ModelCard | None:
    """Return what the API says of a model, or None for one that no option names."""
    if spec.task not in WORDS:
        return None
    return ModelCard(
        name=spec.name,
        task=spec.task,
        option=spec.style or spec.name.removeprefix(f"{spec.task}-"),
        installed=find_stored(spec) is not None,
        embedded=spec.embedded,
        commercial_use=spec.commercial_use,
        code_licence=spec.code_licence,
        weights_licence=spec.weights_licence,
        in_plain_words=spec.in_plain_words,
        paper=spec.paper,
    )
