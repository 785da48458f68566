"""Close connections on which no request comes to its end of head; uvicorn itself would hold them for ever."""

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle


class ImpatientProtocol(H11Protocol):
    """HTTP/1.1 that waits for the head of a request for a while only.

    Attributes:
        head_seconds: how long it waits, from the connection or from the first byte after the last answer.
    """

    head_seconds = 10.0
    _hurry: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begin to wait."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Wait on where the head is not whole yet."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._forget()
        super().connection_lost(exc)

    def _watch(self) -> None:
        if not self._is_idle():
            self._forget()
        elif self._hurry is None:
            self._hurry = self.loop.call_later(self.head_seconds, self._give_up)

    def _forget(self) -> None:
        if self._hurry is not None:
            self._hurry.cancel()
            self._hurry = None

    def _give_up(self) -> None:
        self._hurry = None
        if self._is_idle():
            self.transport.close()

    def _is_idle(self) -> bool:
        """Return whether no request is being answered."""
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is None or cycle.response_complete
