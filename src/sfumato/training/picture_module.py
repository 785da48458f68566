"""Hold what trainings of picture-to-picture networks by Lightning share; it knows no loss."""

from collections.abc import Mapping
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn

from sfumato.training.lightning_callbacks import SCORE


def log_losses(module: pl.LightningModule, losses: Mapping[str, Tensor]) -> Tensor:
    """Log each loss by its name and their sum as `loss`, and return that."""
    total = torch.stack(list(losses.values())).sum()
    module.log_dict(dict(losses))
    module.log("loss", total, prog_bar=True)
    return total


def log_validation(module: pl.LightningModule, total: Tensor, count: int) -> None:
    """Log a loss on `count` pictures that were not trained on; the lower, the better the score."""
    module.log("val_loss", total, batch_size=count, sync_dist=True)
    module.log(SCORE, -total, batch_size=count, sync_dist=True)


def make_adam(net: nn.Module, rate: float, first_beta: float = 0.9) -> torch.optim.Optimizer:
    """Return Adam over a network, its rate set each step by the run's budget."""
    groups: list[dict[str, Any]] = [{"params": list(net.parameters()), "initial_lr": rate}]
    return torch.optim.Adam(groups, rate, betas=(first_beta, 0.999))
