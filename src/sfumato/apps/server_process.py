"""Run uvicorn so that it finishes what was accepted before it ends; a second signal ends it at once."""

import socket
import threading

import uvicorn
from fastapi import FastAPI

from sfumato.apps.server_protocol import ImpatientProtocol
from sfumato.jobs.service import LAST_STAGE, Service

CONNECTIONS = 500
"""Beyond which none is served."""


class DrainingServer(uvicorn.Server):
    """Serve an application around a service.

    Args:
        drain: seconds that accepted jobs have to end once a signal came.
    """

    def __init__(self, app: FastAPI, service: Service, drain: float) -> None:
        config = uvicorn.Config(
            app,
            http=ImpatientProtocol,
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=round(drain + LAST_STAGE) + 1,
            limit_concurrency=CONNECTIONS,
        )
        super().__init__(config)
        self._service = service
        self._drain = drain

    def handle_exit(self, _signal: int, _frame: object) -> None:
        """Stop at the first signal, and at once at the second; the process then leaves with 0."""
        if self.should_exit:
            self.force_exit = True
            self._service.hurry()
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more in, and finish jobs in a thread while clients wait for them."""
        self._service.refuse_new()
        threading.Thread(target=self._service.stop, args=(self._drain,), daemon=True).start()
        await super().shutdown(sockets)
