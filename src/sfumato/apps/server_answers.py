"""Take the job of a request in, wait for it and hand its result over; it knows no address."""

import asyncio
from typing import Any

from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response

from sfumato.apps.server_fields import Fields
from sfumato.apps.server_forms import read_form
from sfumato.apps.server_problems import answer_refusal
from sfumato.apps.server_shapes import describe_job
from sfumato.errors import CancelledJobError
from sfumato.jobs.job import Client, Job
from sfumato.jobs.service import Service
from sfumato.settings import Settings


async def answer_work(
    request: Request, service: Service, fields: type[Fields], base: Settings, *, later: bool
) -> Response:
    """Take a request's job in, and answer with it or, in the end, with its result."""
    host = request.client.host if request.client else ""
    client = Client(host, request.headers.get("sfumato-client", "")[:64])
    async with read_form(request, fields, base) as asked:
        job = await run_in_threadpool(service.accept, asked.work, asked.uploads, client, waited_for=not later)
    if later:
        state = describe_job(job, service.progress(job.id))
        return JSONResponse(state.model_dump(mode="json"), 202, headers={"Location": f"/v1/jobs/{job.id}"})
    ended = await _wait(request, service, job)
    if ended.error is not None:
        return answer_refusal(ended.error)
    if ended.state == "cancelled":
        raise CancelledJobError("the job was cancelled before it was done; send it again")
    return _deliver(service, ended)


async def _wait(request: Request, service: Service, job: Job) -> Job:
    """Wait until the job has ended; if its client goes away, cancel it.

    Raises:
        ClientDisconnect: it did.
    """
    ended = asyncio.wrap_future(service.wait(job.id))
    gone = asyncio.create_task(_until_gone(request))
    either: tuple[asyncio.Future[Any], ...] = (ended, gone)
    try:
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if ended.done():
            return ended.result()
    finally:
        gone.cancel()
        if not ended.done():
            await run_in_threadpool(service.cancel, job.id)
    raise ClientDisconnect


async def _until_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _deliver(service: Service, job: Job) -> Response:
    """Answer with the result of a job; unless its layers are wanted, nothing of it is kept."""
    forget = None if job.layers and service.bounds.keep else BackgroundTask(service.forget, job.id)
    headers = {"Sfumato-Job": job.id}
    if "faces" in job.report:
        headers["Sfumato-Faces"] = str(len(job.report["faces"]))
    if job.work.kind == "thumbnail":
        headers["Sfumato-Size"] = "{}x{}".format(*job.report["size"])
    if job.media_type is None:
        return JSONResponse(dict(job.report), headers=headers, background=forget)
    path = service.result_file(job.id)
    return FileResponse(path, media_type=job.media_type, headers=headers, background=forget)
