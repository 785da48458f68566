"""Accompany a training by Lightning: its budget, its files of weights, its lines of progress; it starts none."""

import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback
from safetensors.torch import save_file

from sfumato.training.loop import Report, learning_rate_factor
from sfumato.training.run_options import RunOptions

Weights: TypeAlias = dict[str, torch.Tensor]

SCORE = "val_score"
"""What a module logs in validation; higher is better."""


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
        step, options = trainer.global_step, self._options
        factor = learning_rate_factor(step, self.progress(step), options.warmup, options.decay)
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
