"""Say how long a training runs, how fast it learns and on what machine; it runs nothing."""

from dataclasses import dataclass
from typing import Literal

Decay = Literal["cosine", "linear"]
Precision = Literal["auto", "bf16", "fp32"]


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Say how long to train, how fast to learn, on what, and how often to look.

    Attributes:
        steps: optimizer steps in all.
        minutes: wall-clock budget over all resumed runs; the learning rate follows whichever of steps and minutes is
            nearer its end. A run bounded by minutes cannot be repeated bit for bit.
        batch: pictures a step, over all devices.
        warmup: steps of linear warm-up before the decay to zero.
        decay: "cosine" from the start; "linear" after a first half without any, as CycleGAN's authors do it.
        seed: seed of every choice; picture k of the run is drawn from `default_rng((seed, k))`, whatever the number
            of workers, devices and interruptions.
        validate_every: steps from one validation and checkpoint to the next.
        patience: validations without a better score after which the run ends early; None never does.
        workers: processes that draw pictures; 0 draws in the training process.
        average: decay of the running average of the weights, which is validated and exported.
        clip: largest norm of the gradient; None lets any pass.
        precision: bf16 where the device multiplies in it, else fp32.
        accelerator, devices, nodes: as Lightning has them; several devices train by DistributedDataParallel.
    """

    steps: int = 20_000
    minutes: float | None = None
    batch: int = 12
    warmup: int = 200
    decay: Decay = "cosine"
    seed: int = 0
    validate_every: int = 500
    log_every: int = 20
    patience: int | None = None
    workers: int = 1
    average: float = 0.998
    clip: float | None = 1.0
    precision: Precision = "auto"
    accelerator: str = "auto"
    devices: int = 1
    nodes: int = 1
