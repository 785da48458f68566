"""Remember generated pictures, so that the discriminator does not forget old faults; it knows no network."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch


class ImagePool:
    """Hand out a mix of new and earlier pictures (Shrivastava et al., 2017; CycleGAN keeps 50)."""

    def __init__(self, size: int, seed: int) -> None:
        self._size = size
        self._rng = np.random.default_rng(seed)
        self._kept: list[torch.Tensor] = []

    def exchange(self, pictures: torch.Tensor) -> torch.Tensor:
        """Return a batch of the same size.

        Each picture is itself or, once the pool is full, half the time an earlier one whose place it takes.
        """
        return torch.stack([self._exchange_one(picture) for picture in pictures.detach()])

    def state_dict(self) -> dict[str, Any]:
        """Return the kept pictures and the state of the draws, as `torch.load(weights_only=True)` reads them."""
        kept = torch.stack(self._kept) if self._kept else torch.empty(0)
        return {"kept": kept.cpu(), "draws": json.dumps(self._rng.bit_generator.state)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned."""
        self._kept = list(state["kept"])
        self._rng.bit_generator.state = json.loads(state["draws"])

    def _exchange_one(self, picture: torch.Tensor) -> torch.Tensor:
        if len(self._kept) < self._size:
            self._kept.append(picture)
            return picture
        if self._rng.random() < 0.5:
            return picture
        place = int(self._rng.integers(self._size))
        earlier, self._kept[place] = self._kept[place], picture
        return earlier.to(picture.device)
