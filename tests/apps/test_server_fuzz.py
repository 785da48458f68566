"""The API against its own description: whatever schemathesis makes of it, the server answers as it says."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import schemathesis
import uvicorn
from fastapi import FastAPI
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from schemathesis import Case
from schemathesis.specs.openapi.checks import positive_data_acceptance

from sfumato.apps.cli_serve import address_of, listen
from sfumato.apps.server import create_app
from sfumato.apps.server_guard import Rules
from sfumato.apps.server_metrics import Metrics
from sfumato.jobs.service import Service
from sfumato.jobs.store import Store
from sfumato.settings import Settings
from tests.apps.test_server_api import BOUNDS, portrait
from tests.simple import build


def make(store: Store) -> FastAPI:
    service = Service(store, BOUNDS, build)
    return create_app(service, Metrics(), base=Settings(), rules=Rules(rate=10**6), drain=5)


def describe() -> dict[str, Any]:
    with TemporaryDirectory() as folder, Store(Path(folder)) as store:
        return make(store).openapi()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve in a thread, with a simple pipeline."""
    with listen("127.0.0.1", 0) as listening, Store(tmp_path_factory.mktemp("state")) as store:
        server = uvicorn.Server(uvicorn.Config(make(store), http="h11", log_config=None, access_log=False))
        thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listening])))
        thread.start()
        yield f"http://{address_of(listening)}"
        server.should_exit = True
        thread.join(30)


schemathesis.openapi.format(
    "binary", st.sampled_from([portrait(), portrait("JPEG")]) | st.binary(max_size=200)
)
schema = schemathesis.openapi.from_dict(describe())


@schema.parametrize()
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_every_answer_is_one_that_is_described(case: Case[Any], address: str) -> None:
    # No schema says which models there are and what a picture is, so refusals of valid forms are no faults.
    case.call_and_validate(base_url=address, excluded_checks=[positive_data_acceptance])
