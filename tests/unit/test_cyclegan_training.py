"""CycleGAN's training: one optimizer for the authors' two, pools and rates that resume, losses that fall."""

from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset

from sfumato.training.cyclegan import (
    LIGHT_BLOCKS,
    CycleGan,
    CycleGanModule,
    CycleGanOptions,
    distance,
    make_generator,
)
from sfumato.training.image_pool import ImagePool
from sfumato.training.lightning_run import Drawn, DrawnData, run_training
from sfumato.training.run_options import RunOptions
from sfumato.training.sample_grid import lay_grid

TINY = CycleGanOptions(blocks=1, width=4, judge_width=4, size=32, learning_rate=1e-3)
RUN = RunOptions(
    steps=6,
    batch=2,
    warmup=0,
    decay="linear",
    clip=None,
    validate_every=2,
    log_every=1,
    workers=0,
    accelerator="cpu",
    precision="fp32",
)


def batch_of(seed: int, count: int = 2) -> Drawn:
    """Return dark photos and light paintings of noise."""
    rng = np.random.default_rng(seed)
    photos, paintings = rng.integers(0, 128, (count, 3, 32, 32)), rng.integers(128, 256, (count, 3, 32, 32))
    return {
        "photo": torch.from_numpy(photos.astype(np.uint8)),
        "painting": torch.from_numpy(paintings.astype(np.uint8)),
    }


class Draw:
    """Draw a photo and a painting, until the power fails."""

    def __init__(self, fails_at: int | None = None) -> None:
        self._fails_at, self._drawn = fails_at, 0

    def __call__(self, rng: np.random.Generator) -> Drawn:
        self._drawn += 1
        if self._fails_at is not None and self._drawn > self._fails_at:
            raise KeyError("the power fails")
        return {name: value[0] for name, value in batch_of(int(rng.integers(1000)), 1).items()}


class Held(Dataset[Drawn]):
    """Two pictures of each domain that are validated on."""

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> Drawn:
        return {name: value[0] for name, value in batch_of(-1 - index + 5000, 1).items()}


def fit(run: Path, fails_at: int | None = None) -> CycleGanModule:
    module = CycleGanModule(replace(TINY, pool=3), seed=0)
    run_training(module, DrawnData(Draw(fails_at), Held(), RUN), run, RUN, lambda _: None)
    return module


def step_once(module: CycleGanModule, optimizer: torch.optim.Optimizer, batch: Drawn) -> dict[str, float]:
    """Take one step and return the losses before it."""
    losses = module.losses(batch)
    optimizer.zero_grad()
    torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]  # PyTorch leaves it untyped
    optimizer.step()
    return {name: float(loss.detach()) for name, loss in losses.items()}


def authors_step(gan: CycleGan, batch: Drawn, optimizers: tuple[torch.optim.Optimizer, ...]) -> None:
    """Take the authors' step: generators first, then both discriminators, each by its own optimizer; no pool yet."""
    generators, judges = optimizers
    photos, paintings = batch["photo"].float() / 255, batch["painting"].float() / 255
    painted, unpainted = gan.paint(photos), gan.unpaint(paintings)
    loss = ((gan.judge_paintings(painted) - 1) ** 2).mean() + ((gan.judge_photos(unpainted) - 1) ** 2).mean()
    loss = loss + 10 * 2 * (gan.unpaint(painted) - photos).abs().mean()
    loss = loss + 10 * 2 * (gan.paint(unpainted) - paintings).abs().mean()
    loss = loss + 5 * 2 * (gan.paint(paintings) - paintings).abs().mean()
    loss = loss + 5 * 2 * (gan.unpaint(photos) - photos).abs().mean()
    generators.zero_grad()
    loss.backward()
    generators.step()
    judges.zero_grad()
    for judge, real, made in (
        (gan.judge_paintings, paintings, painted),
        (gan.judge_photos, photos, unpainted),
    ):
        (0.5 * (((judge(real) - 1) ** 2).mean() + (judge(made.detach()) ** 2).mean())).backward()
    judges.step()


def test_one_optimizer_does_what_the_authors_two_do() -> None:
    module = CycleGanModule(TINY, seed=0)
    gan = deepcopy(module.gan)
    generators = [*gan.paint.parameters(), *gan.unpaint.parameters()]
    judges = [*gan.judge_paintings.parameters(), *gan.judge_photos.parameters()]
    rates = {"lr": TINY.learning_rate, "betas": (0.5, 0.999)}
    optimizers = torch.optim.Adam(generators, **rates), torch.optim.Adam(judges, **rates)  # type: ignore[arg-type]
    ours = module.configure_optimizers()
    for step in range(3):
        authors_step(gan, batch_of(step), optimizers)
        step_once(module, ours, batch_of(step))
    for expected, actual in zip(gan.parameters(), module.gan.parameters(), strict=True):
        torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-6)


def test_losses_fall_on_one_batch() -> None:
    module = CycleGanModule(TINY, seed=0)
    optimizer = module.configure_optimizers()
    steps = [step_once(module, optimizer, batch_of(0)) for _ in range(25)]
    for name in ("cycle_photos", "cycle_paintings", "identity_photos", "identity_paintings", "judge_photos"):
        assert steps[-1][name] < 0.8 * steps[0][name], name
    assert len(steps[0]) == 8


def test_no_identity_loss_without_its_weight() -> None:
    module = CycleGanModule(replace(TINY, identity=0.0), seed=0)
    photos = torch.rand(1, 3, 32, 32)
    assert module.cycle_losses(photos, photos, photos, photos).keys() == {"cycle_photos", "cycle_paintings"}


def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    whole = fit(tmp_path / "whole")
    with pytest.raises(KeyError):
        fit(tmp_path / "cut", fails_at=5 * RUN.batch)
    resumed = fit(tmp_path / "cut")
    assert {path.name for path in (tmp_path / "whole/samples").iterdir()} == {
        "step_000002.png",
        "step_000004.png",
        "step_000006.png",
    }
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name


def test_a_grid_shows_every_sample_in_a_row_and_what_became_of_it_in_columns() -> None:
    first, second = torch.zeros(2, 3, 4, 5), torch.full((2, 3, 4, 5), 0.5)
    second[1] = 2.0
    grid = lay_grid([first, second])
    assert grid.shape == (8, 10, 3)
    assert not grid[:, :5].any()
    assert (grid[:4, 5:] == 128).all() and (grid[4:, 5:] == 255).all()


def test_samples_show_both_ways_and_back() -> None:
    module, batch = CycleGanModule(TINY, seed=0), batch_of(0)
    shown = module.sample(batch)
    assert [tuple(s.shape) for s in shown] == [(2, 3, 32, 32)] * 6
    torch.testing.assert_close(shown[0], batch["photo"] / 255)
    torch.testing.assert_close(shown[2], module.gan.unpaint(module.gan.paint(shown[0])))


@pytest.mark.parametrize(("size", "blocks"), [(128, 6), (256, 9), (512, 9)])
def test_the_blocks_follow_the_size(size: int, blocks: int) -> None:
    assert CycleGanOptions(size=size).residual_blocks == blocks
    assert CycleGanOptions(generator="light", size=size).residual_blocks == LIGHT_BLOCKS


def test_the_light_generator_can_be_trained_too() -> None:
    net = make_generator(CycleGanOptions(generator="light", blocks=1))
    assert net(torch.rand(1, 3, 32, 32)).shape == (1, 3, 32, 32)


def test_distances_are_on_the_authors_scale() -> None:
    assert float(distance(torch.ones(1, 3, 2, 2), torch.zeros(1, 3, 2, 2))) == 2


def test_a_pool_goes_on_where_it_was_stored() -> None:
    pool, again = ImagePool(3, seed=0), ImagePool(3, seed=9)
    pool.exchange(torch.rand(5, 3, 2, 2))
    again.load_state_dict(pool.state_dict())
    new = torch.rand(20, 3, 2, 2)
    torch.testing.assert_close(pool.exchange(new), again.exchange(new))


def test_an_empty_pool_can_be_stored() -> None:
    again = ImagePool(2, seed=1)
    again.load_state_dict(ImagePool(2, seed=0).state_dict())
    pictures = torch.rand(2, 3, 2, 2)
    torch.testing.assert_close(again.exchange(pictures), pictures)
