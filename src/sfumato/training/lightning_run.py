"""Run a training with Lightning: budget, averages, checkpoints that resume identically, logs; it knows no network."""

import logging
import math
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

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
from safetensors.torch import save_file
from torch.utils.data import DataLoader, Dataset

from sfumato.training.loop import Report, has_bfloat16, learning_rate_factor
from sfumato.training.loss_curve import LOGS

Precision = Literal["auto", "bf16", "fp32"]
Drawn: TypeAlias = Mapping[str, torch.Tensor]
Draw: TypeAlias = Callable[[np.random.Generator], Drawn]
"""Draw the tensors of one training picture; sent to worker processes, so no lambda."""

Weights: TypeAlias = dict[str, torch.Tensor]

SCORE = "val_score"
"""What a module logs in validation; higher is better."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Say how long to train, how fast to learn, on what, and how often to look.

    Attributes:
        steps: optimizer steps in all.
        minutes: wall-clock budget over all resumed runs; the learning rate follows whichever of steps and minutes is
            nearer its end. A run bounded by minutes cannot be repeated bit for bit.
        batch: pictures a step, over all devices.
        warmup: steps of linear warm-up before the cosine decay to zero.
        seed: seed of every choice; picture k of the run is drawn from `default_rng((seed, k))`, whatever the number
            of workers, devices and interruptions.
        validate_every: steps from one validation and checkpoint to the next.
        patience: validations without a better score after which the run ends early; None never does.
        workers: processes that draw pictures; 0 draws in the training process.
        average: decay of the running average of the weights, which is validated and exported.
        clip: largest norm of the gradient.
        precision: bf16 where the device multiplies in it, else fp32.
        accelerator, devices, nodes: as Lightning has them; several devices train by DistributedDataParallel.
    """

    steps: int = 20_000
    minutes: float | None = None
    batch: int = 12
    warmup: int = 200
    seed: int = 0
    validate_every: int = 500
    log_every: int = 20
    patience: int | None = None
    workers: int = 1
    average: float = 0.998
    clip: float = 1.0
    precision: Precision = "auto"
    accelerator: str = "auto"
    devices: int = 1
    nodes: int = 1


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


class Budget(Callback):
    """Set the learning rate of each step and end the run, by steps or by minutes, whichever is nearer its end."""

    def __init__(self, options: RunOptions) -> None:
        self._options = options
        self._spent = 0.0
        self._start = time.monotonic()

    @property
    def elapsed(self) -> float:
        """Return the seconds trained in all runs so far."""
        return self._spent + time.monotonic() - self._start

    def progress(self, step: int) -> float:
        """Return the used part of the budget."""
        minutes = self._options.minutes
        by_time = self.elapsed / (60 * minutes) if minutes else 0.0
        return max(step / self._options.steps, by_time)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self._start = time.monotonic()

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: object, batch_idx: int
    ) -> None:
        """Set the rates of all groups of all optimizers."""
        factor = learning_rate_factor(
            trainer.global_step, self.progress(trainer.global_step), self._options.warmup
        )
        for optimizer in trainer.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["initial_lr"] * factor

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: object,
        batch: object,
        batch_idx: int,
    ) -> None:
        """End the run when the budget is spent; Lightning then validates once more."""
        if self.progress(trainer.global_step) >= 1:
            trainer.should_stop = True

    def state_dict(self) -> dict[str, Any]:
        """Return the time spent."""
        return {"elapsed": self.elapsed}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from the time spent."""
        self._spent = float(state_dict["elapsed"])


class WeightFiles(Callback):
    """Write `last.safetensors` at each validation, and `best.safetensors` when its score is the best so far.

    It stands before the averaging in the list of callbacks, so that it sees the averaged weights that are validated.
    """

    def __init__(self, run: Path) -> None:
        self._run = run
        self._validated: Weights = {}
        self.best = -math.inf

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Hold what was validated, before the averaging takes it back; the score is not known yet."""
        state = pl_module.get_submodule("net").state_dict()
        self._validated = {name: tensor.detach().cpu().clone() for name, tensor in state.items()}

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write it, now that the score is known."""
        if not trainer.is_global_zero:
            return
        score = float(trainer.callback_metrics[SCORE])
        facts = {"step": str(trainer.global_step), SCORE: f"{score:.6f}"}
        write_weights(self._validated, self._run / "last.safetensors", facts)
        if score > self.best:
            self.best = score
            write_weights(self._validated, self._run / "best.safetensors", facts)

    def state_dict(self) -> dict[str, Any]:
        """Return the best score."""
        return {"best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from the best score."""
        self.best = float(state_dict["best"])


class Reporter(Callback):
    """Say the loss and the time left, a line every `log_every` steps; for files and pipes, where no bar can move."""

    def __init__(self, budget: Budget, report: Report, every: int) -> None:
        self._budget, self._report, self._every = budget, report, every

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: object,
        batch: object,
        batch_idx: int,
    ) -> None:
        """Report one step."""
        step = trainer.global_step
        if trainer.is_global_zero and step % self._every == 0:
            progress = self._budget.progress(step)
            left = self._budget.elapsed * (1 - progress) / progress / 60
            loss = float(trainer.callback_metrics.get("loss", math.nan))
            self._report(f"step {step} {self._budget.elapsed / 60:.1f} min, {left:.1f} left: loss {loss:.4f}")

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Report a validation."""
        if not trainer.is_global_zero:
            return
        scores = {k: float(v) for k, v in trainer.callback_metrics.items() if k.startswith("val_")}
        self._report("validated: " + ", ".join(f"{name} {value:.4f}" for name, value in scores.items()))


def write_weights(weights: Weights, path: Path, facts: Mapping[str, str]) -> None:
    """Write weights as safetensors, with facts about them, under a temporary name first."""
    temporary = path.with_name(f".{path.name}.part")
    save_file({name: tensor.contiguous() for name, tensor in weights.items()}, temporary, dict(facts))
    temporary.replace(path)


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
