"""Scores of restorers: known values, laws, and other libraries' figures."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("torch")
import torch

from sfumato.errors import InputError, ModelError
from sfumato.evaluation.judges import LikenessJudge, open_lite, open_mobile_face_net, open_vgg
from sfumato.evaluation.perceptual import perceptual_distance
from sfumato.evaluation.restoration import (
    LEVELS,
    damage_face,
    peak_signal_to_noise,
    similarity_of_structure,
)
from sfumato.evaluation.restoration_report import level_table, report_restorers, show_extremes
from sfumato.evaluation.restorer_comparison import (
    IDENTITY,
    NOTHING,
    PERCEPTUAL,
    PSNR,
    SSIM,
    FaceFolder,
    RestorerRival,
    choose_measures,
    compare_restorers,
    open_restorers,
)
from sfumato.nets.segmenter import Encoder
from sfumato.types import Image
from tests.apps.conftest import colours


def soft(seed: int, side: int = 96) -> Image:
    """Return a smooth picture."""
    small = colours(8, 8, seed)
    return np.asarray(PIL.Image.fromarray(small).resize((side, side), PIL.Image.Resampling.BICUBIC)).copy()


@pytest.fixture(scope="module")
def lite() -> Encoder:
    return open_lite()


def test_equal_pictures_have_the_best_score_of_each_kind(lite: Encoder) -> None:
    image = soft(0)
    assert peak_signal_to_noise(image, image) == 100
    assert similarity_of_structure(image, image) == pytest.approx(1)
    assert perceptual_distance(lite)(image, image) == 0


@given(st.integers(0, 99), st.integers(0, 99))
def test_the_perceptual_distance_has_no_direction_and_a_bound(first: int, second: int) -> None:
    torch.manual_seed(0)
    measure = perceptual_distance(Encoder().eval())
    a, b = colours(32, 32, first), colours(32, 32, second)
    assert measure(a, b) == pytest.approx(measure(b, a), rel=1e-5, abs=1e-9)
    assert 0 <= measure(a, b) <= 5 * 4  # two unit vectors are 2 apart at most, at each of five sizes


def test_more_noise_is_further_away(lite: Encoder) -> None:
    measure, image = perceptual_distance(lite), soft(1)
    noise = np.random.default_rng(0).normal(size=image.shape)
    noisy = [np.clip(image + level * noise, 0, 255).astype(np.uint8) for level in (2, 8, 32)]
    distances = [measure(image, picture) for picture in noisy]
    assert distances == sorted(distances) and distances[0] > 0


def test_the_perceptual_distance_is_that_of_the_cosines(lite: Encoder) -> None:
    """Equation 1 with unit weights is 2 - 2 cos at each place: computed here by numpy alone."""
    a, b = soft(2, 64), soft(3, 64)
    with torch.no_grad():
        batches = [torch.from_numpy(i).permute(2, 0, 1)[None].float() / 127.5 - 1 for i in (a, b)]
        features = [[layer[0].numpy().astype(np.float64) for layer in lite(batch)] for batch in batches]
    expected = 0.0
    for x, y in zip(*features, strict=True):
        cosines = (x * y).sum(0) / (np.linalg.norm(x, axis=0) * np.linalg.norm(y, axis=0))
        expected += float((2 - 2 * cosines).mean())
    assert perceptual_distance(lite)(a, b) == pytest.approx(expected, rel=1e-4)


def test_psnr_and_ssim_agree_with_torchmetrics() -> None:
    from torchmetrics.functional.image import (
        peak_signal_noise_ratio,
        structural_similarity_index_measure,
    )

    first = soft(4, 128)
    noise = np.random.default_rng(0).normal(0, 9, first.shape)
    second = np.clip(first + noise, 0, 255).astype(np.uint8)
    batches = [torch.from_numpy(i).permute(2, 0, 1)[None].float() for i in (first, second)]
    assert peak_signal_to_noise(first, second) == pytest.approx(
        float(peak_signal_noise_ratio(batches[0], batches[1], data_range=255.0)), abs=1e-3
    )
    _, places = structural_similarity_index_measure(
        batches[0], batches[1], sigma=1.5, kernel_size=11, data_range=255.0, return_full_image=True
    )
    # scikit-image leaves out windows that leave the picture, and torchmetrics mirrors it there
    expected = float(places[..., 5:-5, 5:-5].mean())
    assert similarity_of_structure(first, second) == pytest.approx(expected, abs=1e-4)  # single precision


def test_damage_is_the_same_for_every_method_and_differs_from_face_to_face() -> None:
    face, strong = soft(5), LEVELS["strong"]
    assert np.array_equal(damage_face(face, strong, 3), damage_face(face, strong, 3))
    assert not np.array_equal(damage_face(face, strong, 3), damage_face(face, strong, 4))
    assert not np.array_equal(damage_face(face, strong, 3), damage_face(face, strong, 3, seed=1))


def by_colour(first: Image, second: Image) -> float:
    return 1 - float(np.mean(np.abs(first.astype(np.float64) - second))) / 255


JUDGE = LikenessJudge("colour", "Likeness is measured by colour.", by_colour)
MEASURES = {PSNR: peak_signal_to_noise, IDENTITY: by_colour}
DARKER = RestorerRival("darker", "0" * 64, lambda face: np.asarray(face // 2, dtype=np.uint8))
FACES = {f"{k}.png": soft(k) for k in range(4)}


def test_doing_nothing_is_perfect_where_nothing_is_damaged() -> None:
    found = compare_restorers([DARKER], FACES, MEASURES)
    assert found.scores("sharp", NOTHING, PSNR) == (100,) * 4
    assert found.mean("sharp", NOTHING, IDENTITY).value == 1
    assert found.mean("strong", NOTHING, PSNR).value < found.mean("mild", NOTHING, PSNR).value


def test_a_bad_restorer_is_said_to_be_worse_than_doing_nothing() -> None:
    found = compare_restorers([DARKER], {f"{k}.png": soft(k) for k in range(8)}, MEASURES)
    (pair,) = found.paired("mild", PSNR)
    assert pair.verdict.startswith("bicubic is better than darker")


def test_a_distance_is_compared_by_its_negative() -> None:
    measures = {PERCEPTUAL: lambda a, b: 1 - by_colour(a, b), PSNR: peak_signal_to_noise}
    found = compare_restorers([DARKER], FACES, measures)
    (pair,) = found.paired("mild", PERCEPTUAL)
    assert pair.difference.value > 0  # doing nothing is nearer to the truth


def test_the_first_face_does_not_count_in_the_seconds() -> None:
    found = compare_restorers([DARKER], FACES, MEASURES)
    every = [s for row in found.rows if row.method == "darker" for s in row.seconds]
    assert len(every) == 4 * len(LEVELS)
    assert found.seconds("darker").value == pytest.approx(np.mean(every[1:]))


def test_the_report_holds_a_table_for_each_level_and_the_extremes() -> None:
    found = compare_restorers([DARKER], FACES, MEASURES)
    shown = show_extremes(found, [DARKER], FACES)
    report = report_restorers(found, [DARKER], JUDGE, "faces", shown)
    assert [row[0].caption.split(":")[0] for row in shown] == ["best", "median", "worst"]
    assert [len(row) for row in shown] == [3, 3, 3]
    assert level_table(found, "sharp").rows[0][1] == "100.00 [100.00, 100.00]"
    assert len(report.rows) == len(LEVELS) * 2 * 2 + 1
    assert report.as_json()["levels"].keys() == LEVELS.keys()  # type: ignore[attr-defined]  # of any JSON


def test_missing_restorers_are_named_and_none_at_all_is_an_error() -> None:
    rivals, missing = open_restorers(["light", "gfpgan-1.4"], "cpu")
    assert [rival.name for rival in rivals] == ["light"]
    assert "not on this machine" in missing["gfpgan-1.4"]
    with pytest.raises(ModelError, match=r"gfpgan-1\.4"):
        open_restorers(["gfpgan-1.4"], "cpu")


def test_a_face_that_is_not_aligned_is_refused(tmp_path: Path) -> None:
    PIL.Image.fromarray(colours(40, 30)).save(tmp_path / "a.png")
    with pytest.raises(InputError, match=r"a\.png is 30x40; .* 512x512"):
        FaceFolder(tmp_path).read()


def test_measures_depend_on_what_there_is() -> None:
    assert list(choose_measures(JUDGE, None)) == [PSNR, SSIM, PERCEPTUAL, IDENTITY]
    assert IDENTITY not in choose_measures(LikenessJudge("nobody", "", None), None)


@pytest.mark.parametrize("opening", [open_mobile_face_net, open_vgg])
def test_a_file_of_other_weights_is_refused(opening: Callable[[Path], object], tmp_path: Path) -> None:
    path = tmp_path / "other.pth"
    torch.save({"net_state_dict": {"a": torch.zeros(1)}}, path)
    with pytest.raises(ModelError, match="holds no weights"):
        opening(path)
    path.write_bytes(b"no weights at all")
    with pytest.raises(ModelError, match="holds no weights"):
        opening(path)
