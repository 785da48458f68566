"""Run a training with Lightning: averages, checkpoints that resume identically, logs; it knows no network."""

import logging
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, TypeAlias

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.callbacks import (
    Callback,
    EarlyStopping,
    EMAWeightAveraging,
    ModelCheckpoint,
    RichProgressBar,
)
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from torch.utils.data import DataLoader, Dataset

from sfumato.training.lightning_callbacks import SCORE, Budget, Reporter, WeightFiles
from sfumato.training.loop import Report, has_bfloat16
from sfumato.training.loss_curve import LOGS
from sfumato.training.run_options import RunOptions
from sfumato.training.sample_grid import SampleGrid

Drawn: TypeAlias = Mapping[str, torch.Tensor]
Draw: TypeAlias = Callable[[np.random.Generator], Drawn]
"""Draw the tensors of one training picture; sent to worker processes, so no lambda."""


class Draws(Dataset[Drawn]):
    """The pictures `first` to `first + count` of a run, each drawn from its own number."""

    def __init__(self, draw: Draw, *, seed: int, first: int, count: int) -> None:
        self._draw, self._seed, self._first, self._count = draw, seed, first, count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Drawn:
        """Return the picture of this place."""
        return self._draw(np.random.default_rng((self._seed, self._first + index)))


class DrawnData(pl.LightningDataModule):
    """Feed a training with drawn pictures, one epoch a stretch between validations, and with fixed validation ones."""

    def __init__(self, draw: Draw, validation: Dataset[Drawn], options: RunOptions) -> None:
        super().__init__()
        self._draw, self._validation, self._options = draw, validation, options

    def train_dataloader(self) -> DataLoader[Drawn]:
        """Return the pictures of the current epoch; Lightning asks anew for each, and deals them to the devices."""
        options = self._options
        epoch = self.trainer.current_epoch if self.trainer else 0
        count = options.validate_every * options.batch
        draws = Draws(self._draw, seed=options.seed, first=epoch * count, count=count)
        share = options.batch // (options.devices * options.nodes)
        return DataLoader(draws, batch_size=share, num_workers=options.workers, shuffle=False)

    def val_dataloader(self) -> DataLoader[Drawn]:
        """Return the validation pictures."""
        return DataLoader(self._validation, batch_size=self._options.batch, num_workers=0, shuffle=False)


def run_training(
    module: pl.LightningModule,
    data: pl.LightningDataModule,
    run: Path,
    options: RunOptions,
    report: Report,
    resume: Path | None = None,
) -> tuple[int, float]:
    """Train until the budget is spent, resuming from `resume` or else from `run/last.ckpt` if that is there.

    Args:
        module: has the network as `net`, logs `loss` and, in validation, `SCORE`.

    Returns:
        Steps and seconds of all runs.
    """
    pl.seed_everything(options.seed, verbose=False)
    budget = Budget(options)
    last = run / "last.ckpt"
    start = resume or (last if last.exists() else None)
    with _quiet():
        trainer = _make_trainer(run, options, budget, report)
        trainer.fit(module, data, ckpt_path=start, weights_only=True)
    return trainer.global_step, budget.elapsed


def _make_trainer(run: Path, options: RunOptions, budget: Budget, report: Report) -> pl.Trainer:
    return pl.Trainer(
        default_root_dir=run,
        accelerator=options.accelerator,
        devices=options.devices,
        num_nodes=options.nodes,
        sync_batchnorm=options.devices * options.nodes > 1 and _on_gpu(options),  # PyTorch has it there only
        precision=_precision(options),
        max_steps=options.steps,
        limit_train_batches=options.validate_every,
        reload_dataloaders_every_n_epochs=1,
        gradient_clip_val=options.clip,
        log_every_n_steps=options.log_every,
        num_sanity_val_steps=0,
        logger=[CSVLogger(run, LOGS), TensorBoardLogger(str(run), "", "tensorboard")],
        callbacks=list(_callbacks(run, options, budget, report)),
        enable_model_summary=False,
        enable_progress_bar=sys.stderr.isatty(),
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence Lightning's hints: a full folder is a resumed run, and few workers are the user's choice."""
    logger = logging.getLogger("lightning.pytorch.utilities.rank_zero")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Checkpoint directory .* exists and is not empty")
            warnings.filterwarnings("ignore", ".*does not have many workers")
            warnings.filterwarnings(
                "ignore", ".*LeafSpec.* is deprecated", FutureWarning
            )  # its own use of PyTorch
            yield
    finally:
        logger.setLevel(level)


def _callbacks(run: Path, options: RunOptions, budget: Budget, report: Report) -> Iterator[Callback]:
    yield budget
    yield WeightFiles(run)
    yield SampleGrid(run)
    if not sys.stderr.isatty():
        yield Reporter(budget, report, options.log_every)
    else:
        yield RichProgressBar()
    yield EMAWeightAveraging(decay=options.average)
    if options.patience is not None:
        yield EarlyStopping(SCORE, mode="max", patience=options.patience, verbose=False)
    yield ModelCheckpoint(run, filename="last", enable_version_counter=False, save_on_train_epoch_end=True)


def _on_gpu(options: RunOptions) -> bool:
    return options.accelerator in ("auto", "gpu") and torch.cuda.is_available()


def _precision(options: RunOptions) -> Literal["bf16-mixed", "32-true"]:
    wanted = options.precision
    if wanted == "auto":
        able = torch.cuda.is_bf16_supported() if _on_gpu(options) else has_bfloat16()
        wanted = "bf16" if able else "fp32"
    return "bf16-mixed" if wanted == "bf16" else "32-true"
