"""Run a training: steps, schedule, log, checkpoints that resume; it knows no network and no data."""

import csv
import json
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from math import cos, pi
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from sfumato.training.run_options import Decay

Batch = Mapping[str, torch.Tensor]
Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Schedule:
    """Say how long to train, how fast to learn and how often to save.

    Attributes:
        steps: optimizer steps in all.
        minutes: wall-clock budget over all resumed runs; the learning rate follows whichever of steps and
            minutes is nearer its end. A run bounded by minutes cannot be repeated bit for bit.
        warmup: steps of linear warm-up before the cosine decay to zero.
        seed: seed of every random choice; step k draws from `default_rng((seed, k))`, so a resumed run
            sees the batches that the uninterrupted run would have seen.
        save_every, log_every: in steps.
    """

    steps: int
    minutes: float | None = None
    warmup: int = 200
    seed: int = 0
    save_every: int = 200
    log_every: int = 20


class Trainer(Protocol):
    """Hold the networks and optimizers of one training and do one step of it."""

    @property
    def modules(self) -> Mapping[str, nn.Module]:
        """Return every network to be stored, by name."""

    @property
    def optimizers(self) -> Mapping[str, torch.optim.Optimizer]:
        """Return every optimizer, by name."""

    def sample(self, rng: np.random.Generator) -> Batch:
        """Draw one batch; called from a worker thread, must touch no network."""

    def step(self, batch: Batch) -> Mapping[str, float]:
        """Take one optimizer step and return the losses to log."""


def learning_rate_factor(step: int, progress: float, warmup: int, decay: Decay = "cosine") -> float:
    """Return the factor of the base learning rate: linear warm-up, then the decay to zero.

    "linear" keeps the rate for the first half (Zhu et al., CycleGAN, 2017, section 4: 100 epochs and 100 more).

    >>> learning_rate_factor(0, 0.0, 10), learning_rate_factor(50, 0.5, 10)
    (0.1, 0.5)
    >>> [learning_rate_factor(50, progress, 0, "linear") for progress in (0.2, 0.5, 0.75, 1.0)]
    [1.0, 1.0, 0.5, 0.0]
    """
    if step < warmup:
        return (step + 1) / warmup
    if decay == "linear":
        return min(1.0, 2 * (1 - min(progress, 1.0)))
    return 0.5 * (1 + round(cos(pi * min(progress, 1.0)), 12))


def has_bfloat16() -> bool:
    """Tell whether this processor multiplies in bfloat16; one that does not takes ten times as long as in float32."""
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("bf16"))


def mixed_precision() -> torch.autocast:
    """Return the context in which networks compute in bfloat16, where the processor multiplies in it."""
    return torch.autocast("cpu", torch.bfloat16, enabled=has_bfloat16())


def set_layout(net: nn.Module, layout: torch.memory_format) -> None:
    """Store the convolution weights of `net` in a memory layout; BatchNorm networks train faster channels-last."""
    net.to(memory_format=layout)  # type: ignore[call-overload]  # PyTorch's stubs lack this overload


@torch.no_grad()
def update_average(average: nn.Module, net: nn.Module, decay: float) -> None:
    """Move the weights and running statistics of `average` towards those of `net`; counters are copied."""
    for kept, new in zip(average.state_dict().values(), net.state_dict().values(), strict=True):
        if kept.is_floating_point():
            kept.lerp_(new, 1 - decay)
        else:
            kept.copy_(new)


def train(trainer: Trainer, run: Path, schedule: Schedule, report: Report) -> int:
    """Train until the schedule ends, resuming from `run/last.pt` if it is there.

    Returns:
        The number of steps taken in all.
    """
    run.mkdir(parents=True, exist_ok=True)
    first, spent = _resume(trainer, run / "last.pt")
    start = time.monotonic() - spent
    bases = {name: [g["lr"] for g in o.param_groups] for name, o in trainer.optimizers.items()}
    for step, batch in _batches(trainer, schedule, first):  # its last value is the count
        elapsed = time.monotonic() - start
        progress = _progress(step, elapsed, schedule)
        if progress >= 1:
            break
        _set_rates(trainer, bases, learning_rate_factor(step, progress, schedule.warmup))
        losses = trainer.step(batch)
        if step % schedule.log_every == 0:
            _log(run, step, elapsed, losses)
            report(_line(step, elapsed, progress, losses))
        if (step + 1) % schedule.save_every == 0:
            _set_rates(trainer, bases, 1.0)
            _save(trainer, run / "last.pt", step + 1, elapsed)
    _set_rates(trainer, bases, 1.0)
    _save(trainer, run / "last.pt", step, time.monotonic() - start)
    return step


def _progress(step: int, elapsed: float, schedule: Schedule) -> float:
    by_time = elapsed / (60 * schedule.minutes) if schedule.minutes else 0.0
    return max(step / schedule.steps, by_time)


def _batches(trainer: Trainer, schedule: Schedule, first: int) -> Iterator[tuple[int, Batch]]:
    """Yield (step, batch), drawing two batches ahead in a thread; the last step yields an empty batch."""

    def draw(step: int) -> Batch:
        return trainer.sample(np.random.default_rng((schedule.seed, step)))

    with ThreadPoolExecutor(1) as pool:
        ahead: list[Future[Batch]] = [pool.submit(draw, first + k) for k in range(2)]
        for step in range(first, schedule.steps):
            batch = ahead.pop(0).result()
            ahead.append(pool.submit(draw, step + 2))
            yield step, batch
    yield schedule.steps, {}


def _set_rates(trainer: Trainer, bases: Mapping[str, list[float]], factor: float) -> None:
    for name, optimizer in trainer.optimizers.items():
        for group, base in zip(optimizer.param_groups, bases[name], strict=True):
            group["lr"] = base * factor


def _line(step: int, elapsed: float, progress: float, losses: Mapping[str, float]) -> str:
    left = elapsed * (1 - progress) / progress if progress else 0.0
    parts = " ".join(f"{name} {value:.4f}" for name, value in losses.items())
    return f"step {step} {elapsed / 60:.1f} min, {left / 60:.1f} left: {parts}"


def _log(run: Path, step: int, elapsed: float, losses: Mapping[str, float]) -> None:
    path = run / "losses.csv"
    fresh = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        if fresh:
            writer.writerow(["step", "seconds", *losses])
        writer.writerow([step, round(elapsed, 1), *losses.values()])


def _save(trainer: Trainer, path: Path, step: int, elapsed: float) -> None:
    state: dict[str, Any] = {
        "step": step,
        "elapsed": elapsed,
        "modules": {name: m.state_dict() for name, m in trainer.modules.items()},
        "optimizers": {name: o.state_dict() for name, o in trainer.optimizers.items()},
    }
    temporary = path.with_suffix(".tmp")
    torch.save(state, temporary)
    temporary.replace(path)


def _resume(trainer: Trainer, path: Path) -> tuple[int, float]:
    if not path.exists():
        return 0, 0.0
    state = torch.load(path, weights_only=True)
    for name, module in trainer.modules.items():
        module.load_state_dict(state["modules"][name])
    for name, optimizer in trainer.optimizers.items():
        optimizer.load_state_dict(state["optimizers"][name])
    return int(state["step"]), float(state["elapsed"])


def write_config(run: Path, config: Mapping[str, object]) -> None:
    """Store the options of a run beside its log as `config.json`."""
    run.mkdir(parents=True, exist_ok=True)
    text = json.dumps(dict(config), indent=2, default=str)
    (run / "config.json").write_text(text + "\n", encoding="utf-8")
