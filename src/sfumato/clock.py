"""Time the stages of a piece of work and tell somebody when each begins; it does none of them."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

OnStage: TypeAlias = Callable[[str], None]
"""Is told the name of each stage before it begins; what it raises ends the work."""


@dataclass(frozen=True, slots=True)
class Clock:
    """The stages so far.

    Attributes:
        on_stage: is told the name of each stage; None where nobody watches.
        timings: seconds of each stage that has ended, by name.
    """

    on_stage: OnStage | None = None
    timings: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Announce and time what is done inside."""
        if self.on_stage is not None:
            self.on_stage(name)
        start = time.perf_counter()
        yield
        self.timings[name] = time.perf_counter() - start
