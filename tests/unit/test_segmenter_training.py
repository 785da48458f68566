"""Training samples and the loss of the segmenter, on portraits drawn by the test."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sfumato.training.loop import Schedule
from sfumato.training.parsing_samples import (
    FLIPPED_CLASS,
    SOMEBODY,
    ParsingSource,
    Sample,
    compose_sample,
    flip_sample,
    read_parsing,
    read_people,
    read_rgb,
)
from sfumato.training.photometry import vary_photo
from sfumato.training.segmenter import SegmenterOptions, SegmenterTrainer, parsing_loss, train_segmenter


def portrait(seed: int, size: int = 128) -> Sample:
    """Draw a face of ellipses with its labels."""
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 90, (size, size, 3), dtype=np.uint8)
    labels = np.zeros((size, size), np.uint8)
    parts = [(1, 0.5, 0.55, 0.42, 0.45), (2, 0.5, 0.5, 0.25, 0.33), (3, 0.38, 0.38, 0.08, 0.02)]
    parts += [(4, 0.62, 0.38, 0.08, 0.02), (5, 0.38, 0.45, 0.06, 0.03), (6, 0.62, 0.45, 0.06, 0.03)]
    parts += [(7, 0.5, 0.7, 0.1, 0.05), (8, 0.5, 0.7, 0.06, 0.02)]
    for label, x, y, a, b in parts:
        centre, axes = (int(x * size), int(y * size)), (int(a * size), int(b * size))
        cv2.ellipse(labels, centre, axes, 0, 0, 360, label, -1)
        cv2.ellipse(image, centre, axes, 0, 0, 360, (25 * label, 255 - 25 * label, 120), -1)
    return Sample(image, labels)


@pytest.fixture
def source() -> ParsingSource:
    portraits = [portrait(k) for k in range(3)]
    people = [Sample(p.image, np.where(p.labels > 0, SOMEBODY, 0).astype(np.uint8)) for p in portraits]
    return ParsingSource(
        portraits, people, [np.random.default_rng(9).integers(0, 256, (90, 110, 3), np.uint8)]
    )


@given(st.integers(0, 2**31))
def test_a_flip_swaps_the_sides_and_twice_is_the_identity(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sample = Sample(
        rng.integers(0, 256, (7, 9, 3), dtype=np.uint8), rng.integers(0, 10, (7, 9), dtype=np.uint8)
    )
    flipped = flip_sample(sample)
    for left, right in ((3, 4), (5, 6)):
        np.testing.assert_array_equal(flipped.labels == left, (sample.labels == right)[:, ::-1])
    np.testing.assert_array_equal(flip_sample(flipped).labels, sample.labels)
    np.testing.assert_array_equal(flip_sample(flipped).image, sample.image)
    assert sorted(FLIPPED_CLASS) == list(range(10))


@pytest.mark.parametrize("seed", range(25))
def test_samples_have_the_size_and_the_ids_asked_for(source: ParsingSource, seed: int) -> None:
    sample = compose_sample(source, 64, np.random.default_rng(seed))
    assert sample.image.shape == (64, 64, 3)
    assert sample.labels.shape == (64, 64)
    assert sample.image.dtype == sample.labels.dtype == np.uint8
    assert sample.labels.max() <= SOMEBODY


def test_samples_repeat_by_their_seed(source: ParsingSource) -> None:
    first, second = (compose_sample(source, 64, np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(first.image, second.image)
    np.testing.assert_array_equal(first.labels, second.labels)


def test_varying_a_photo_keeps_its_shape_and_its_argument() -> None:
    image = portrait(0).image
    before = image.copy()
    for seed in range(20):
        varied = vary_photo(image, np.random.default_rng(seed))
        assert varied.shape == image.shape
        assert varied.dtype == np.uint8
    np.testing.assert_array_equal(image, before)


def write_folder(root: Path) -> None:
    for name in (
        "images/train",
        "annotations/train",
        "images/val",
        "annotations/val",
        "people/images",
        "people/masks",
        "photos",
    ):
        (root / name).mkdir(parents=True)
    for k in range(2):
        sample = portrait(k)
        for split in ("train", "val"):
            cv2.imwrite(str(root / f"images/{split}/{k}.png"), sample.image[..., ::-1])
            cv2.imwrite(str(root / f"annotations/{split}/{k}.png"), sample.labels)
        cv2.imwrite(str(root / f"people/images/{k}.jpg"), sample.image[..., ::-1])
        cv2.imwrite(str(root / f"people/masks/{k}.png"), 255 * (sample.labels > 0).astype(np.uint8))
    cv2.imwrite(str(root / "photos/a.png"), np.full((80, 80, 3), 90, np.uint8))


def test_folders_in_the_layout_of_easyportrait_are_read(tmp_path: Path) -> None:
    write_folder(tmp_path)
    np.testing.assert_array_equal(read_parsing(tmp_path, "train")[1].labels, portrait(1).labels)
    np.testing.assert_array_equal(read_parsing(tmp_path, "train")[1].image, portrait(1).image)
    people = read_people(tmp_path / "people")
    assert set(np.unique(people[0].labels)) == {0, SOMEBODY}
    assert read_people(tmp_path / "people", longest=64)[0].image.shape == (64, 64, 3)


@pytest.mark.parametrize("mask", [None, np.zeros((9, 9), np.uint8), np.full((128, 128), 77, np.uint8)])
def test_a_pair_that_does_not_fit_is_named(tmp_path: Path, mask: NDArray[np.uint8] | None) -> None:
    write_folder(tmp_path)
    path = tmp_path / "annotations/train/0.png"
    path.unlink()
    if mask is not None:
        cv2.imwrite(str(path), mask)
    with pytest.raises(ValueError, match=r"annotations/train/0\.png is missing, of another size"):
        read_parsing(tmp_path, "train")


def test_a_broken_training_picture_is_named(tmp_path: Path) -> None:
    path = tmp_path / "broken.jpg"
    path.write_text("no picture")
    with pytest.raises(ValueError, match=r"broken\.jpg cannot be decoded"):
        read_rgb(path)


def test_the_loss_is_small_only_for_the_right_labels() -> None:
    labels = torch.from_numpy(portrait(0, 64).labels.astype(np.int64))[None]
    right = 20 * torch.nn.functional.one_hot(labels, 9).movedim(-1, 1).float()
    assert parsing_loss(right, labels) < 0.01
    assert parsing_loss(right.roll(1, dims=1), labels) > 1


@pytest.mark.parametrize("chosen", [1, 4, 8])
def test_somebody_may_be_any_class_but_background(chosen: int) -> None:
    labels = torch.full((1, 8, 8), SOMEBODY)
    logits = torch.zeros(1, 9, 8, 8)
    logits[:, chosen] = 30
    assert parsing_loss(logits, labels) < 1e-3
    logits[:, 0] = 60
    assert parsing_loss(logits, labels) > 5


def test_training_lowers_the_loss_and_exports_a_network(tmp_path: Path) -> None:
    write_folder(tmp_path)
    options = SegmenterOptions(
        tmp_path,
        tmp_path / "people",
        (tmp_path / "photos",),
        Schedule(steps=30, warmup=5, log_every=1),
        size=64,
        batch=4,
    )
    path = train_segmenter(options, tmp_path / "run", lambda _: None)
    assert path.stat().st_size < 6_000_000
    assert "- IoU of skin (val split, whole pipeline): " in path.with_suffix(".md").read_text()
    rows = (tmp_path / "run/losses.csv").read_text().splitlines()[1:]
    losses = [float(row.split(",")[2]) for row in rows]
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])


def test_the_same_seed_starts_from_the_same_weights(tmp_path: Path) -> None:
    options = SegmenterOptions(tmp_path, tmp_path, (), Schedule(steps=1))
    first, second = SegmenterTrainer(options), SegmenterTrainer(options)
    for a, b in zip(first.net.parameters(), second.net.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)
