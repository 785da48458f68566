"""Serve the page and the API: parse, bind, run; what a request does is done elsewhere."""

import logging
import os
import socket
import sys
import threading
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from sfumato.apps.cli_options import DeviceOption, ExactOption, PresetOption, QuietOption, describe
from sfumato.apps.cli_pipeline import choose_settings
from sfumato.errors import BackendMissingError, SettingsError
from sfumato.processors import count_processors
from sfumato.settings import Settings, cache_folder, server_token

if TYPE_CHECKING:
    from sfumato.apps.server_guard import Rules
    from sfumato.jobs.bounds import Bounds

SERVE_HELP = describe(
    "Serve a web page and an HTTP API, for this machine alone unless --host says otherwise. Pictures stay on it.",
    "sfumato serve",
    "sfumato serve --port 8000 --keep 0",
    "SFUMATO_TOKEN=$(openssl rand -hex 16) sfumato serve --host 0.0.0.0",
)

LOCAL = ("127.0.0.1", "localhost", "::1")

SHORTEST_TOKEN = 16

NETWORK = "Network"
LIMITS = "Limits"


def _option(*names: str, text: str, panel: str, least: float | None = None) -> typer.models.OptionInfo:
    info: typer.models.OptionInfo = typer.Option(*names, help=text, rich_help_panel=panel, min=least)
    return info


HostOption: TypeAlias = Annotated[
    str,
    _option("--host", text="Address to listen at; any but this machine's own needs a token.", panel=NETWORK),
]
PortOption: TypeAlias = Annotated[
    int, _option("--port", text="Port; 0 takes a free one.", panel=NETWORK, least=0)
]
NameOption: TypeAlias = Annotated[
    list[str] | None,
    _option(
        "--name",
        text="Further name of the server, as behind a proxy; may be repeated.",
        panel=NETWORK,
    ),
]
TokenOption: TypeAlias = Annotated[
    str | None,
    _option(
        "--token",
        text="What requests must carry; SFUMATO_TOKEN hides it from ps.",
        panel=NETWORK,
    ),
]
StateOption: TypeAlias = Annotated[
    Path | None,
    _option(
        "--state",
        text="Folder of accepted jobs and kept results (default: serve in the cache).",
        panel=LIMITS,
    ),
]
KeepOption: TypeAlias = Annotated[
    float,
    _option(
        "--keep",
        text="Minutes for which results are kept; 0 forgets them once fetched.",
        panel=LIMITS,
        least=0,
    ),
]
WorkersOption: TypeAlias = Annotated[
    int | None,
    _option("--workers", text="Jobs that run at once (default: by the processors).", panel=LIMITS, least=1),
]
QueueOption: TypeAlias = Annotated[int, _option("--queue", text="Jobs that may wait.", panel=LIMITS, least=1)]
MemoryOption: TypeAlias = Annotated[
    float | None,
    _option(
        "--memory",
        text="Gigabytes for all jobs (default: half of what is free).",
        panel=LIMITS,
        least=0,
    ),
]
MegabytesOption: TypeAlias = Annotated[
    float, _option("--max-megabytes", text="Largest file of a picture.", panel=LIMITS, least=0.01)
]
MegapixelsOption: TypeAlias = Annotated[
    float, _option("--max-megapixels", text="Largest picture.", panel=LIMITS, least=0.01)
]
JobSecondsOption: TypeAlias = Annotated[
    float, _option("--job-seconds", text="How long a job may run.", panel=LIMITS, least=1)
]
UploadSecondsOption: TypeAlias = Annotated[
    float, _option("--upload-seconds", text="How long an upload may take.", panel=LIMITS, least=1)
]
RateOption: TypeAlias = Annotated[
    int, _option("--rate", text="Pictures that an address may send in a minute.", panel=LIMITS, least=1)
]
DrainOption: TypeAlias = Annotated[
    float, _option("--drain", text="Seconds to finish accepted jobs when stopped.", panel=LIMITS, least=0)
]


@dataclass(frozen=True, slots=True)
class Place:
    """Where the server listens and keeps its jobs."""

    host: str
    port: int
    state: Path


def serve(
    host: HostOption = "127.0.0.1",
    port: PortOption = 7860,
    name: NameOption = None,
    token: TokenOption = None,
    state: StateOption = None,
    keep: KeepOption = 60.0,
    workers: WorkersOption = None,
    queue: QueueOption = 64,
    memory: MemoryOption = None,
    max_megabytes: MegabytesOption = 50.0,
    max_megapixels: MegapixelsOption = 60.0,
    job_seconds: JobSecondsOption = 300.0,
    upload_seconds: UploadSecondsOption = 60.0,
    rate: RateOption = 600,
    drain: DrainOption = 30.0,
    preset: PresetOption = None,
    device: DeviceOption = None,
    exact: ExactOption = None,
    quiet: QuietOption = False,
) -> None:
    """Serve the page and the API until stopped."""
    require_web()
    from sfumato.apps.server_guard import FORM_ROOM, Rules
    from sfumato.io import Limits
    from sfumato.jobs.bounds import Bounds, count_workers
    from sfumato.jobs.memory import memory_budget

    token = token or server_token()
    check_token_strength(host, token, named=bool(name))
    limits = Limits(pixels=round(1e6 * max_megapixels), bytes=round(1e6 * max_megabytes))
    bounds = Bounds(
        length=queue,
        memory=round(1e9 * memory) if memory else memory_budget(),
        workers=workers or count_workers(count_processors()),
        limits=limits,
        seconds=job_seconds,
        keep=60 * keep,
    )
    rules = Rules(
        token=token,
        hosts=frozenset((*LOCAL, *map(str.lower, name or ()))) if host in LOCAL else None,
        upload=2 * limits.bytes + FORM_ROOM,
        upload_seconds=upload_seconds,
        rate=rate,
    )
    base = choose_settings({"preset": preset, "device": device, "exact": exact})
    place = Place(host, port, state or cache_folder() / "serve")
    run_server(place, base, bounds, rules, drain=drain, quiet=quiet)


def require_web() -> None:
    """Raise unless the packages of the extra are there.

    Raises:
        BackendMissingError: one is missing.
    """
    for package in ("fastapi", "uvicorn", "limits", "prometheus_client", "python_multipart"):
        if find_spec(package) is None:
            raise BackendMissingError(f"serving needs {package}; try: pip install 'sfumato[web]'")


def check_token_strength(host: str, token: str | None, *, named: bool = False) -> None:
    """Raise if others could reach the server without a token, or with one that is soon guessed.

    Args:
        named: the server has a name of its own, as behind a proxy that others reach.

    Raises:
        SettingsError: they could.
    """
    if (host not in LOCAL or named) and token is None:
        what = "--name" if host in LOCAL else f"--host {host}"
        raise SettingsError(
            f"{what} lets others in; set a token in SFUMATO_TOKEN (such as of: openssl rand -hex 16), or leave it out"
        )
    if token is not None and (len(token) < SHORTEST_TOKEN or not token.isascii() or not token.isprintable()):
        raise SettingsError(
            f"the token is soon guessed; use {SHORTEST_TOKEN} plain letters or more, such as of: openssl rand -hex 16"
        )


def run_server(
    place: Place, base: Settings, bounds: "Bounds", rules: "Rules", *, drain: float, quiet: bool
) -> None:
    """Listen and answer until SIGINT or SIGTERM; then finish what was accepted.

    Raises:
        SettingsError: the address is taken or none of this machine's, or another server uses the folder.
    """
    from sfumato.apps.server import create_app
    from sfumato.apps.server_metrics import Metrics
    from sfumato.apps.server_process import DrainingServer
    from sfumato.backends import share_processors
    from sfumato.jobs.bounds import count_threads
    from sfumato.jobs.service import Service
    from sfumato.jobs.store import Store
    from sfumato.jobs.studio import Studio, warm

    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("sfumato").setLevel(logging.WARNING if quiet else logging.INFO)
    share_processors(count_threads(count_processors(), bounds.workers))
    studio, metrics = Studio(remember=bounds.keep > 0), Metrics()
    pipeline = studio.pipeline(base)
    with listen(place.host, place.port) as listening, Store(place.state) as store:
        service = Service(store, bounds, studio.pipeline, metrics.count_job, studio.tidy)
        warming = threading.Thread(target=warm, args=(pipeline,), daemon=True)

        def greet() -> None:
            warming.start()
            print(f"sfumato serves http://{address_of(listening)}/  (stop: Ctrl-C)", flush=True)

        app = create_app(service, metrics, base=base, rules=rules, drain=drain, on_start=greet)
        DrainingServer(app, service, drain).run(sockets=[listening])
    if warming.is_alive() or service.is_working:
        leave()


def leave() -> None:
    """End the process with 0 although networks still compute: the interpreter would abort amid their code."""
    logging.shutdown()
    sys.stdout.flush()
    os._exit(0)


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises:
        SettingsError: the address is taken, or none of this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=512)
    except (OSError, OverflowError) as error:
        reason = (error.strerror or "no such host").lower() if isinstance(error, OSError) else "no such port"
        raise SettingsError(
            f"cannot listen at {host}, port {port}: {reason}; use another --port or --host"
        ) from error


def address_of(listening: socket.socket) -> str:
    """Return host and port of a socket as an address shows them."""
    host, port = listening.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
