"""Put the web application together: guard, API, page; it starts nothing before it is served."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.staticfiles import StaticFiles

from sfumato import __version__
from sfumato.apps.server_guard import Guard, Rules
from sfumato.apps.server_metrics import Metrics
from sfumato.apps.server_problems import answer_all_errors
from sfumato.apps.server_routes import fact_routes, job_routes, work_routes
from sfumato.apps.server_shapes import Faces, Health, Problem
from sfumato.jobs.service import Service
from sfumato.settings import Settings

DESCRIPTION = """Turn a portrait photo into a painting that keeps the face.

Send pictures as `multipart/form-data`. Without `?async=1` the answer is the result; with it, a job to ask for.
Every refusal is a problem after RFC 9457 whose `detail` says what is wrong and what to do.
"""


def create_app(
    service: Service,
    metrics: Metrics,
    *,
    base: Settings,
    rules: Rules,
    drain: float = 30.0,
    on_start: Callable[[], None] | None = None,
) -> FastAPI:
    """Return the application, which starts the service when it is served and stops it at its end.

    Args:
        base: settings that hold where a request says nothing; its device is that of every job.
        rules: who may ask, and how much.
        drain: seconds within which accepted jobs are finished at the end.
        on_start: is called once the service works, as to load networks before they are asked for.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await run_in_threadpool(service.start)
        if on_start is not None:
            on_start()
        yield
        await run_in_threadpool(service.stop, drain)

    app = FastAPI(
        title="sfumato",
        version=__version__,
        description=DESCRIPTION,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        docs_url=None,  # they load scripts from other hosts
        redoc_url=None,
        lifespan=lifespan,
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    answer_all_errors(app)
    for router in (work_routes(service, base), job_routes(service), fact_routes(service, base)):
        app.router.routes.extend(router.routes)  # flat, so that `allowed_methods` sees them
    _add_health(app, service, metrics)
    _add_page(app)
    _describe_shapes(app)
    metrics.watch(service.load, service.bounds.memory)
    app.add_middleware(Guard, rules=rules, count=metrics.count_request)
    return app


def _add_health(app: FastAPI, service: Service, metrics: Metrics) -> None:
    @app.get("/healthz", response_model=Health, tags=["health"], summary="Tell that the server lives")
    def healthz() -> Health:
        return Health(status="ok")

    busy: dict[int | str, dict[str, Any]] = {503: {"description": "It takes none now.", "model": Health}}

    @app.get(
        "/readyz",
        response_model=Health,
        responses=busy,
        tags=["health"],
        summary="Tell whether it takes work",
    )
    def readyz() -> Response:
        ready = service.is_ready
        return JSONResponse({"status": "ok" if ready else "stopping"}, 200 if ready else 503)

    text = {"text/plain": {"schema": {"type": "string"}}}

    @app.get(
        "/metrics",
        response_class=Response,
        responses={200: {"description": "In Prometheus' format.", "content": text}},
        tags=["health"],
        summary="Tell figures about the work",
    )
    def figures() -> Response:
        return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


def _add_page(app: FastAPI) -> None:
    folder = Path(str(files("sfumato.apps") / "page"))

    @app.get("/", include_in_schema=False)
    def index() -> Response:
        return FileResponse(folder / "index.html", media_type="text/html; charset=utf-8")

    app.mount("/page", StaticFiles(directory=folder), name="page")


def _describe_shapes(app: FastAPI) -> None:
    """Add to the OpenAPI description what it refers to and FastAPI does not see."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        described = plain()
        schemas = described.setdefault("components", {}).setdefault("schemas", {})
        for shape in (Problem, Faces):
            made = shape.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas.update(made.pop("$defs", {}))
            schemas[shape.__name__] = made
        return described

    app.openapi = openapi  # type: ignore[method-assign]  # as FastAPI's documentation says
