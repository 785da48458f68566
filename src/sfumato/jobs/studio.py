"""Hand out pipelines whose networks are opened once and shared; the last few of each kind stay open."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast
from weakref import WeakSet

import numpy as np

from sfumato.jobs.remembering import Remembering
from sfumato.opening import Open, Stage, open_stages
from sfumato.pipeline import Pipeline, assemble
from sfumato.resolve import Opened
from sfumato.segmenters import open_segmenter
from sfumato.settings import Settings
from sfumato.types import Face

KEPT = 3
"""Networks of each kind that stay open."""

REMEMBERED = 8
"""Results of a network that are remembered: of a few pictures, or of one with several faces."""

REMEMBERED_PARSINGS = 2
"""The same of a segmenter, whose results take nine megabytes and five more for each face."""


class Studio:
    """Hand out pipelines; safe to share between threads.

    Args:
        remember: keep what networks made of small pictures for some minutes, see `Remembering`.
    """

    def __init__(self, *, remember: bool = True) -> None:
        self._remember = remember
        self._memories: WeakSet[Remembering[Any]] = WeakSet()
        self._lock = threading.Lock()
        self._open: dict[object, OrderedDict[tuple[str, str, bool], Opened[Any]]] = {}
        self._opening: dict[object, threading.Lock] = {}

    def pipeline(self, settings: Settings) -> Pipeline:
        """Return a pipeline for settings that name models of the registry.

        Raises:
            SettingsError, ModelError, BackendMissingError: as `build_pipeline`.
        """
        return assemble(open_stages(settings, self._opened), settings)

    def _opened(self, open_one: Open[Stage], name: str, device: str, *, exact: bool) -> Opened[Stage]:
        """Return the stage of this name; a kind is opened by one thread at a time, for it may take minutes."""
        with self._lock:
            opening = self._opening.setdefault(open_one, threading.Lock())
            held = self._open.setdefault(open_one, OrderedDict())
        key = (name, device, exact)
        with opening:
            if key not in held:
                held[key] = self._remembered(open_one, open_one(name, device, exact=exact))
            held.move_to_end(key)
            while len(held) > KEPT:
                held.popitem(last=False)
            return held[key]

    def _remembered(self, open_one: Open[Stage], opened: Opened[Stage]) -> Opened[Stage]:
        if not self._remember:
            return opened
        most = REMEMBERED_PARSINGS if open_one is open_segmenter else REMEMBERED
        memory = Remembering(cast("Callable[..., Any]", opened.stage), most)
        with self._lock:
            self._memories.add(memory)
        return replace(opened, stage=cast(Stage, memory))

    def tidy(self) -> None:
        """Forget what networks made of pictures that nobody asked for in the last minutes."""
        with self._lock:
            memories = list(self._memories)
        for memory in memories:
            memory.tidy()


def warm(pipeline: Pipeline) -> None:
    """Let all networks of a pipeline load, so that the first picture need not wait for them."""
    image = np.full((256, 256, 3), 128, np.uint8)
    face = Face((80, 70, 176, 190), ((108, 112), (148, 112), (128, 136), (112, 158), (144, 158)), 1.0)
    pipeline.detect_faces(image)
    pipeline.paint(image)
    pipeline.segment_faces(image, [face])
    pipeline.restore(image, [face])
    if pipeline.likeness is not None:
        pipeline.likeness(image, image)
