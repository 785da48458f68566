"""Answer every refusal as problem+json (RFC 9457), in the words of the command line; nothing is refused here."""

import math
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response
from starlette.routing import Match, Route

from sfumato.errors import BusyError, SfumatoError, StoppingError, TokenError
from sfumato.jobs.job import Refusal

MEDIA_TYPE = "application/problem+json"

RETRY_AFTER = "60"
"""Seconds after which a server that stopped, or lacked a model, is worth asking again."""

GONE = 499
"""Status of a request whose client went away, for the log: nobody reads the answer."""


def describe_problem(status: int, kind: str, detail: str) -> dict[str, Any]:
    """Return the members of a problem.

    >>> describe_problem(404, "UnknownJobError", "no")["type"]
    'urn:sfumato:problem:unknown-job'
    """
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", kind.removesuffix("Error")).lower()
    try:
        title = HTTPStatus(status).phrase
    except ValueError:
        title = "Client Closed Request"
    return {"type": f"urn:sfumato:problem:{name}", "title": title, "status": status, "detail": detail}


def answer_problem(status: int, kind: str, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return a problem as the answer to a request."""
    problem = describe_problem(status, kind, detail)
    return JSONResponse(problem, status, dict(headers or {}), media_type=MEDIA_TYPE)


def answer_error(error: SfumatoError) -> Response:
    """Return a refusal as the answer to a request."""
    headers = {}
    if isinstance(error, BusyError):
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
    if isinstance(error, TokenError):
        headers["WWW-Authenticate"] = "Bearer"
    return answer_problem(error.http_status, type(error).__name__, str(error), headers)


def answer_refusal(refusal: Refusal) -> Response:
    """Return the failure of a job as the answer to the request that waited for it."""
    headers = {"Retry-After": RETRY_AFTER} if refusal.kind == StoppingError.__name__ else None
    return answer_problem(refusal.status, refusal.kind, refusal.detail, headers)


def allowed_methods(request: Request) -> list[str]:
    """Return the methods that the address of a request knows; the framework tells those of its first route alone."""
    routes = (route for route in request.app.routes if isinstance(route, Route))
    fitting = (route for route in routes if route.matches(request.scope)[0] is not Match.NONE)
    return sorted({method for route in fitting for method in route.methods or ()})


def answer_all_errors(app: FastAPI) -> None:
    """Let the app answer every error by a problem."""

    @app.exception_handler(SfumatoError)
    async def refuse(_: Request, error: SfumatoError) -> Response:
        return answer_error(error)

    @app.exception_handler(HTTPException)
    async def refuse_route(request: Request, error: HTTPException) -> Response:
        headers = dict(error.headers or {})
        if error.status_code == 405:
            headers["Allow"] = ", ".join(allowed_methods(request))
        known = {
            404: "there is no such address; see /openapi.json",
            405: f"{request.method} means nothing here",
        }
        detail = known.get(error.status_code, str(error.detail))
        return answer_problem(error.status_code, "RequestError", detail, headers)

    @app.exception_handler(RequestValidationError)
    async def refuse_parameter(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        detail = f"parameter '{first['loc'][-1]}': {first['msg'].lower()}"
        return answer_problem(422, "SettingsError", detail)

    @app.exception_handler(ClientDisconnect)
    async def leave(_: Request, __: ClientDisconnect) -> Response:
        return answer_problem(GONE, "RequestError", "the client went away")

    @app.exception_handler(Exception)
    async def confess(_: Request, __: Exception) -> Response:
        return answer_problem(500, "SfumatoError", "the server failed at this request; its log says why")
