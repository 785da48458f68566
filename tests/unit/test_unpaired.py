"""Unpaired photos and paintings: what is drawn, what is held out, what a cut shows."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfumato.errors import InputError
from sfumato.training.unpaired import (
    HeldOut,
    UnpairedDraw,
    UnpairedFolders,
    cut_square,
    middle_square,
)


@pytest.fixture
def folders(tmp_path: Path) -> UnpairedFolders:
    """Return folders whose pictures are flat: photos of levels 0.., paintings of 100.., portraits of 200.. ."""
    for first, (name, count) in zip(
        (0, 100, 200), (("photos", 5), ("paintings", 4), ("faces", 2)), strict=True
    ):
        (tmp_path / name).mkdir()
        for k in range(count):
            cv2.imwrite(str(tmp_path / name / f"{k}.png"), np.full((40, 60, 3), first + k, np.uint8))
    return UnpairedFolders(tmp_path / "photos", tmp_path / "paintings", (tmp_path / "faces",), held_out=2)


def levels(draw: UnpairedDraw, name: str, count: int = 60) -> set[int]:
    drawn = [draw(np.random.default_rng(k))[name] for k in range(count)]
    assert {tuple(d.shape) for d in drawn} == {(3, 16, 16)}
    return {int(d[0, 0, 0]) for d in drawn}


def test_everything_but_what_is_held_out_is_drawn(folders: UnpairedFolders) -> None:
    draw = UnpairedDraw(folders, 16)
    assert levels(draw, "photo") == {0, 1, 2, 200, 201}
    assert levels(draw, "painting") == {100, 101}
    held = HeldOut(folders, 16)
    items = [held[k] for k in range(len(held))]
    shown = [(int(item["photo"][0, 0, 0]), int(item["painting"][0, 0, 0])) for item in items]
    assert shown == [(3, 102), (4, 103)]


def test_folders_that_are_held_out_whole_are_refused(folders: UnpairedFolders) -> None:
    with pytest.raises(InputError, match="4 pictures are too few where 4 are held out; add 1 or more"):
        UnpairedDraw(replace(folders, held_out=4), 16)


def test_an_epoch_is_as_long_as_the_larger_domain(folders: UnpairedFolders) -> None:
    assert UnpairedDraw(folders, 16).epoch == 5


def test_without_portraits_only_photos_are_drawn(folders: UnpairedFolders) -> None:
    alone = UnpairedFolders(folders.photos, folders.paintings, held_out=2)
    assert levels(UnpairedDraw(alone, 16), "photo") == {0, 1, 2}


@given(st.integers(1, 50), st.integers(1, 50), st.integers(1, 40), st.integers(0, 99))
def test_a_cut_has_the_size_asked_for_and_only_levels_of_the_picture(
    height: int, width: int, size: int, seed: int
) -> None:
    image = np.full((height, width, 3), 7, np.uint8)
    for cut in (cut_square(image, size, (1.0, 1.3), np.random.default_rng(seed)), middle_square(image, size)):
        assert cut.shape == (size, size, 3)
        assert (cut == 7).all()


def test_a_cut_of_zoom_one_is_as_large_as_the_shorter_side() -> None:
    image = np.arange(12 * 20, dtype=np.uint8).reshape(12, 20)[..., None].repeat(3, axis=2)
    cut = cut_square(image, 12, (1.0, 1.0), np.random.default_rng(3))[..., 0]
    windows = [image[:, x : x + 12, 0] for x in range(9)]
    assert any(np.array_equal(cut, w) or np.array_equal(cut, w[:, ::-1]) for w in windows)
    np.testing.assert_array_equal(middle_square(image, 12), image[:, 4:16])
