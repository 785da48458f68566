"""Show what a network paints as it learns: a grid of held-out samples at each validation; it trains nothing."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, runtime_checkable

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback

from sfumato.io import Picture, write_picture
from sfumato.types import Image

MOST_SAMPLES = 6


@runtime_checkable
class Shows(Protocol):
    """A module that can show what it does."""

    def sample(self, batch: Mapping[str, torch.Tensor]) -> list[torch.Tensor]:
        """Return batches of pictures, Nx3xSxS in 0..1, to be shown side by side."""


class SampleGrid(Callback):
    """Write `samples/step_N.png` at each validation: a row for each held-out sample, a column for each of its pictures.

    The weights shown are the averaged ones, which are exported.
    """

    def __init__(self, run: Path) -> None:
        self._folder = run / "samples"

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Paint the first held-out samples and write them."""
        if not trainer.is_global_zero or not isinstance(pl_module, Shows):
            return
        batch = next(iter(trainer.datamodule.val_dataloader()))  # type: ignore[attr-defined]  # set by fit
        shown = {name: value[:MOST_SAMPLES].to(pl_module.device) for name, value in batch.items()}
        with torch.no_grad():
            grid = lay_grid(pl_module.sample(shown))
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"step_{trainer.global_step:06d}.png"
        write_picture(Picture(grid), path, overwrite=True)


def lay_grid(columns: list[torch.Tensor]) -> Image:
    """Return batches of pictures (Nx3xHxW in 0..1) as one picture, a column each.

    >>> lay_grid([torch.zeros(2, 3, 4, 5), torch.ones(2, 3, 4, 5)]).shape
    (8, 10, 3)
    """
    wide = torch.cat([column.float().cpu() for column in columns], dim=3)
    tall = torch.cat(list(wide), dim=1).clamp(0, 1)
    return np.asarray(
        (tall * 255 + 0.5).to(torch.uint8).permute(1, 2, 0).contiguous().numpy(), dtype=np.uint8
    )
