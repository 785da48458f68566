"""The training loop: its schedule, its log, and that a resumed run equals an uninterrupted one."""

import csv
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from sfumato.training.loop import (
    Batch,
    Schedule,
    learning_rate_factor,
    train,
    update_average,
    write_config,
)


class LineTrainer:
    """Fit a line through noisy points."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.net = nn.Linear(1, 1)
        self.optimizer = torch.optim.Adam(self.net.parameters(), 0.1)

    @property
    def modules(self) -> Mapping[str, nn.Module]:
        """Return the line."""
        return {"net": self.net}

    @property
    def optimizers(self) -> Mapping[str, torch.optim.Optimizer]:
        """Return its optimizer."""
        return {"net": self.optimizer}

    def sample(self, rng: np.random.Generator) -> Batch:
        """Draw points of y = 3 x + 1."""
        x = torch.from_numpy(rng.normal(size=(8, 1)).astype(np.float32))
        return {"x": x, "y": 3 * x + 1}

    def step(self, batch: Batch) -> Mapping[str, float]:
        """Take one step on the squared error."""
        loss = nn.functional.mse_loss(self.net(batch["x"]), batch["y"])
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return {"loss": float(loss.detach())}


def schedule(steps: int) -> Schedule:
    return Schedule(steps=steps, warmup=5, save_every=10, log_every=5)


def test_training_learns_the_line(tmp_path: Path) -> None:
    trainer = LineTrainer()
    assert train(trainer, tmp_path, schedule(300), lambda _: None) == 300
    assert trainer.net.weight.item() == pytest.approx(3, abs=0.05)


def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    whole = LineTrainer()
    train(whole, tmp_path / "whole", schedule(40), lambda _: None)
    stopper = _StopAfter(25)
    with pytest.raises(KeyboardInterrupt):
        train(stopper, tmp_path / "cut", schedule(40), lambda _: None)
    second = LineTrainer()
    train(second, tmp_path / "cut", schedule(40), lambda _: None)
    torch.testing.assert_close(second.net.weight, whole.net.weight, rtol=0, atol=0)


class _StopAfter(LineTrainer):
    """Interrupt a training after some steps."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.left = steps

    def step(self, batch: Batch) -> Mapping[str, float]:
        """Take one step, or stop."""
        if self.left == 0:
            raise KeyboardInterrupt
        self.left -= 1
        return super().step(batch)


def test_a_budget_of_minutes_ends_the_run(tmp_path: Path) -> None:
    taken = train(LineTrainer(), tmp_path, Schedule(steps=10**6, minutes=0.002), lambda _: None)
    assert 0 < taken < 10**6


def test_losses_and_options_are_logged(tmp_path: Path) -> None:
    lines: list[str] = []
    train(LineTrainer(), tmp_path, schedule(20), lines.append)
    write_config(tmp_path, {"task": "line", "path": tmp_path})
    rows = list(csv.DictReader((tmp_path / "losses.csv").read_text().splitlines()))
    assert [row["step"] for row in rows] == ["0", "5", "10", "15"]
    assert lines[-1].startswith("step 15 ")
    assert json.loads((tmp_path / "config.json").read_text())["task"] == "line"


@given(st.integers(0, 1000), st.floats(0, 2), st.integers(1, 300))
def test_the_learning_rate_stays_between_zero_and_its_base(step: int, progress: float, warmup: int) -> None:
    assert 0 <= learning_rate_factor(step, progress, warmup) <= 1


def test_an_average_moves_by_its_decay() -> None:
    average, net = nn.BatchNorm2d(2), nn.BatchNorm2d(2)
    nn.init.constant_(net.weight, 3.0)
    net.running_mean = torch.full((2,), 5.0)
    update_average(average, net, 0.9)
    torch.testing.assert_close(average.weight.detach(), torch.full((2,), 1.2))
    assert average.running_mean is not None
    torch.testing.assert_close(average.running_mean, torch.full((2,), 0.5))
    net.num_batches_tracked = torch.tensor(7)
    update_average(average, net, 0.9)
    assert average.num_batches_tracked == 7
