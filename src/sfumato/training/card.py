"""Write the card of a trained model: data, licence, steps, hardware, seed and scores; it measures nothing."""

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from pathlib import Path

import torch


@dataclass(frozen=True, slots=True)
class ModelCard:
    """Say what a model is, how it came about and how good it is.

    Attributes:
        data: one line for each data set: what was taken from it and its licence.
        command: the training command of this repository that makes the model.
        scores: measured figures by name, each with its unit and its data in the name.
        limits: what the model cannot do.
    """

    name: str
    task: str
    parameters: int
    data: tuple[str, ...]
    licence: str
    command: str
    steps: int
    minutes: float
    seed: int
    scores: Mapping[str, float]
    limits: tuple[str, ...]

    def markdown(self, model: Path) -> str:
        """Return the card of the model file `model` as Markdown."""
        rows = [
            f"# {self.name}",
            "",
            f"{self.task}. {self.parameters:,} parameters, {model.stat().st_size:,} bytes, ",
            f"sha256 `{sha256(model.read_bytes()).hexdigest()}`.",
            "",
            f"- **Command**: `{self.command}`",
            f"- **Training**: {self.steps:,} steps in {self.minutes:.0f} minutes, seed {self.seed}, {date.today()}",
            f"- **Hardware**: {hardware()}",
            f"- **Licence of the weights**: {self.licence}",
            "",
            "## Data",
            "",
            *[f"- {line}" for line in self.data],
            "",
            "## Scores",
            "",
            *[f"- {name}: {value:.4g}" for name, value in self.scores.items()],
            "",
            "## Limits",
            "",
            *[f"- {line}" for line in self.limits],
            "",
        ]
        return "\n".join(rows)

    def write(self, model: Path) -> Path:
        """Write the card beside `model` as `NAME.md` and return its path."""
        path = model.with_suffix(".md")
        path.write_text(self.markdown(model), encoding="utf-8")
        return path


def hardware() -> str:
    """Return one line that names the processor, its threads in use and PyTorch's version."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        names = [
            line.split(":", 1)[1].strip()
            for line in info.read_text().splitlines()
            if line.startswith("model name")
        ]
        cpu = names[0] if names else cpu
    device = (
        torch.cuda.get_device_name()
        if torch.cuda.is_available()
        else f"{cpu}, {torch.get_num_threads()} threads"
    )
    return f"{device}, PyTorch {torch.__version__}"


def count_parameters(net: torch.nn.Module) -> int:
    """Return the number of trainable parameters."""
    return sum(p.numel() for p in net.parameters())
