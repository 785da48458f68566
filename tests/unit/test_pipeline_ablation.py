"""The steps of the ablation are what they claim, and what is measured of them has known values."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from skimage import data

pytest.importorskip("torch")
import torch

from sfumato.errors import InputError, MissingInputError
from sfumato.evaluation.judges import LikenessJudge, judge_by_pipeline
from sfumato.evaluation.pipeline_ablation import (
    AblationScores,
    PictureFolder,
    measure_likeness,
    measure_steps,
    structure_kept,
)
from sfumato.evaluation.pipeline_report import Conditions, report_pipeline, show_extremes, step_table
from sfumato.evaluation.pipeline_steps import (
    BY_SAM,
    BY_UNET,
    DIRECT,
    OURS,
    RESTORED,
    STEPS,
    Ablation,
    ablation_settings,
)
from sfumato.evaluation.style import frechet_distance
from sfumato.evaluation.style_fraction import StyleJudge, measure_fractions, spread_distance
from sfumato.pipeline import Pipeline, build_pipeline
from sfumato.settings import Settings
from sfumato.stages.restore import enhance_faces, restore_faces
from sfumato.stages.segment import LightSegmenter
from sfumato.training.imagenet import LITE0
from sfumato.types import Image
from tests.apps.conftest import colours
from tests.simple import FACE, SkinEverywhere, invert

Rows = NDArray[np.float64]


class SkinInTheMiddle(SkinEverywhere):
    """A network that sees skin in the middle half of what it is shown, and background around it."""

    def run(self, inputs: Mapping[str, NDArray[np.float32]]) -> Sequence[NDArray[np.float32]]:
        (probabilities,) = super().run(inputs)
        height, width = probabilities.shape[2:]
        probabilities[:, 2] = 0
        probabilities[:, 2, height // 4 : -height // 4, width // 4 : -width // 4] = 1
        probabilities[:, 0] = 1 - probabilities[:, 2]
        return [probabilities]


def brighten(crop: Image) -> Image:
    return np.asarray(np.minimum(crop.astype(np.int16) + 40, 255), dtype=np.uint8)


def plain(sam: bool = True) -> Ablation:
    """Return an ablation of plain functions: one face in colour pictures, negatives for paintings."""
    settings, papers = ablation_settings(Settings())
    ours = Pipeline(
        detect_faces=lambda image: (FACE,) if np.ptp(image, axis=2).any() else (),
        restore=partial(restore_faces, restorer=brighten, strength=settings.restore),
        paint=invert,
        segment_faces=LightSegmenter(SkinInTheMiddle()),
        settings=settings,
    )
    enhance = partial(enhance_faces, restorer=brighten, strength=papers.restore)
    paper = replace(ours, settings=papers, restore=enhance)
    return Ablation(ours, paper, LightSegmenter(SkinEverywhere()) if sam else None)


NOBODY = LikenessJudge("nobody", "", None)


def by_colour(first: Image, second: Image) -> float:
    """Return 1 for equal pictures, less for others."""
    return 1 - float(np.mean(np.abs(first.astype(np.float64) - second))) / 255


JUDGE = LikenessJudge("colour", "Likeness is measured by colour.", by_colour)


def write(folder: Path, name: str, image: Image) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.fromarray(image).save(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return four portraits in two groups, a wall, and a file that is no picture."""
    for k, name in enumerate(("hats/0.png", "hats/1.png", "glasses/2.png", "glasses/3.png")):
        write(tmp_path, name, colours(seed=k))
    write(tmp_path, "wall.png", np.full((96, 80, 3), 90, np.uint8))
    (tmp_path / "hats/broken.png").write_text("no picture")
    return tmp_path


def test_the_steps_come_in_the_order_of_the_paper() -> None:
    assert tuple(plain().run(colours()).steps) == tuple(STEPS)
    assert tuple(plain(sam=False).run(colours()).steps) == (DIRECT, RESTORED, BY_UNET, OURS)


def test_direct_stylization_is_the_painting() -> None:
    image = colours()
    assert np.array_equal(plain().run(image).steps[DIRECT].image, invert(image))


def test_restoration_restores_the_painting_in_full_at_the_photos_landmarks() -> None:
    image = colours()
    expected, _ = enhance_faces(invert(image), [FACE], brighten, 1.0)
    made = plain().run(image).steps[RESTORED].image
    assert np.array_equal(made, expected)
    assert not np.array_equal(made, invert(image))


@pytest.mark.parametrize("step", [BY_SAM, BY_UNET])
def test_what_is_pasted_is_the_restored_photo_inside_the_mask_and_the_painting_outside(step: str) -> None:
    image, ablation = colours(), plain()
    enhanced, _ = enhance_faces(image, [FACE], brighten, 1.0)
    segment = ablation.sam if step == BY_SAM else ablation.ours.segment_faces
    assert segment is not None
    inside = segment(enhanced, [FACE]).coverage(ablation.paper.settings.class_strengths, (0,)) >= 0.5
    made = ablation.run(image).steps[step].image
    assert inside.any() and not inside.all()
    assert np.array_equal(made[inside], enhanced[inside])
    assert np.array_equal(made[~inside], invert(image)[~inside])


def test_ours_is_what_the_pipeline_paints() -> None:
    ablation = plain()
    expected = ablation.ours.stylize(colours()).image
    assert np.array_equal(ablation.run(colours()).steps[OURS].image, expected)


def test_the_painting_is_not_written_to_by_later_steps() -> None:
    image, ablation = colours(), plain()
    run = ablation.run(image)
    assert np.array_equal(run.steps[DIRECT].image, invert(image))
    assert np.array_equal(ablation.run(image).steps[BY_UNET].image, run.steps[BY_UNET].image)


def test_a_picture_without_a_face_takes_no_step() -> None:
    assert plain().run(np.full((40, 40, 3), 7, np.uint8)).steps == {}


def test_costly_stages_run_once_a_picture() -> None:
    calls: list[str] = []

    def counted(name: str, stage: Callable[[Image], Any]) -> Callable[[Image], Any]:
        def call(image: Image) -> Any:
            calls.append(name)
            return stage(image)

        return call

    ablation = plain()
    ours = replace(
        ablation.ours,
        detect_faces=counted("detect", ablation.ours.detect_faces),
        paint=counted("paint", ablation.ours.paint),
    )
    replace(ablation, ours=ours).run(colours())
    assert calls == ["detect", "paint"]


def test_each_step_has_the_times_of_the_stages_that_it_needs() -> None:
    steps = plain().run(colours()).steps
    assert set(steps[DIRECT].timings) == {"stylize"}
    assert set(steps[RESTORED].timings) == {"detect", "stylize", "restore"}
    for step in (BY_SAM, BY_UNET, OURS):
        assert set(steps[step].timings) == {"detect", "restore", "segment", "stylize", "blend"}
        assert steps[step].timings["stylize"] == steps[DIRECT].timings["stylize"] > 0
    assert steps[BY_SAM].timings["restore"] == steps[BY_UNET].timings["restore"]


def test_the_paper_restores_and_paints_in_full_whatever_is_chosen() -> None:
    ours, paper = ablation_settings(Settings(strength=0.5, restore=0.2, blend="paste"))
    assert (ours.strength, ours.restore, ours.blend) == (1.0, 0.2, "melt")
    assert (paper.strength, paper.restore, paper.blend) == (1.0, 1.0, "paste")


def test_the_real_networks_take_the_steps_too() -> None:
    image = np.asarray(data.astronaut()[:300, 80:370])  # type: ignore[no-untyped-call]  # scikit-image types only parts
    settings, papers = ablation_settings(Settings(exact=True))
    ours, paper = build_pipeline(settings), build_pipeline(papers)
    run = Ablation(ours, paper, None).run(image)
    assert np.array_equal(run.steps[DIRECT].image, ours.paint(image))
    assert np.array_equal(run.steps[OURS].image, ours.stylize(image).image)
    assert np.array_equal(run.steps[BY_UNET].image, paper.stylize(image).image)
    alike = {
        step: measure_likeness(image, made.image, run.faces, ours.likeness)
        for step, made in run.steps.items()
    }
    assert alike[DIRECT] < alike[OURS] < 1


@given(st.integers(0, 99), st.integers(20, 300), st.integers(20, 300))
def test_an_unchanged_picture_keeps_all_structure(seed: int, height: int, width: int) -> None:
    image = colours(height, width, seed)
    assert structure_kept(image, image) == pytest.approx(1)
    assert structure_kept(image, invert(image)) < 0


def test_structure_agrees_with_torchmetrics() -> None:
    from torchmetrics.functional.image import structural_similarity_index_measure

    first, second = (colours(256, 300, seed) for seed in (0, 1))
    second = np.asarray(np.rint(0.7 * first + 0.3 * second), dtype=np.uint8)
    grey = [np.asarray(PIL.Image.fromarray(image).convert("L"), np.float32) for image in (first, second)]
    batches = [torch.from_numpy(image.copy())[None, None] for image in grey]
    _, places = structural_similarity_index_measure(
        batches[0], batches[1], sigma=1.5, kernel_size=11, data_range=255.0, return_full_image=True
    )
    # scikit-image leaves out windows that leave the picture, and torchmetrics mirrors it there
    expected = float(places[..., 5:-5, 5:-5].mean())
    # Pillow's luma is rounded otherwise than OpenCV's
    assert structure_kept(first, second) == pytest.approx(expected, abs=1e-3)


def test_a_face_is_fully_like_itself() -> None:
    likeness = build_pipeline().likeness
    assert measure_likeness(colours(), colours(), [FACE, FACE], likeness) == pytest.approx(1, abs=1e-5)
    assert np.isnan(measure_likeness(colours(), colours(), [FACE], None))


def found_in(folder: Path, *styles: StyleJudge, sam: bool = True) -> AblationScores:
    return measure_steps(plain(sam), PictureFolder(folder), JUDGE, styles)


def test_pictures_are_measured_grouped_and_none_is_dropped_silently(folder: Path) -> None:
    found = found_in(folder)
    assert [p.name for p in found.pictures] == ["glasses/2.png", "glasses/3.png", "hats/0.png", "hats/1.png"]
    assert found.groups() == {"glasses": 2, "hats": 2}
    assert found.without_face == ("wall.png",)
    assert list(found.unreadable) == ["hats/broken.png"]
    assert np.mean(found.values("likeness", OURS, "hats")) == found.mean("likeness", OURS, "hats").value


def test_what_is_not_cut_out_has_no_seam(folder: Path) -> None:
    found = found_in(folder)
    assert np.isnan(found.values("seam", DIRECT) + found.values("seam", RESTORED)).all()
    assert {pair.first for pair in found.paired("seam")} <= {BY_SAM, BY_UNET, OURS}
    assert len(found.paired("likeness")) == 10


def test_the_first_picture_does_not_count_in_the_seconds(folder: Path) -> None:
    found = found_in(folder)
    later = [sum(picture.timings[OURS].values()) for picture in found.pictures[1:]]
    assert found.seconds(OURS).value == pytest.approx(np.mean(later))


def test_a_folder_without_faces_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="no pictures"):
        PictureFolder(tmp_path).paths()
    write(tmp_path, "wall.png", np.full((96, 80, 3), 90, np.uint8))
    with pytest.raises(InputError, match="no face is found"):
        measure_steps(plain(), PictureFolder(tmp_path), NOBODY)


@given(st.integers(1, 12), st.integers(1, 12))
def test_a_limit_spreads_over_all_names(
    tmp_path_factory: pytest.TempPathFactory, count: int, limit: int
) -> None:
    root = tmp_path_factory.mktemp("names")
    for k in range(count):
        (root / f"{k:02}.png").touch()
    paths = PictureFolder(root, limit).paths()
    assert len(set(paths)) == len(paths) == min(count, limit)
    assert paths[0].name == "00.png"


def rows(count: int, columns: int, seed: int) -> Rows:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, columns)) @ rng.normal(size=(columns, columns)) + rng.normal(size=columns)


@given(st.integers(3, 40), st.integers(2, 12), st.integers(0, 99))
def test_the_fast_distance_is_the_slow_one(count: int, columns: int, seed: int) -> None:
    a, b = rows(count, columns, seed), rows(count + 5, columns, seed + 1)
    # the root of a covariance without full rank keeps half of the digits, and the ridge adds its own
    assert spread_distance(a, b) == pytest.approx(frechet_distance(a, b, ridge=1e-7), rel=1e-2, abs=1e-2)
    assert spread_distance(a, a) == pytest.approx(0, abs=1e-6)


def test_unchanged_photos_are_as_far_from_the_paintings_as_before() -> None:
    photos, paintings = rows(12, 6, 0), rows(20, 6, 1) + 5
    found = measure_fractions(photos, {"same": photos, "there": paintings[:12]}, paintings)
    assert (found["same"].value, found["same"].low, found["same"].high) == pytest.approx((1, 1, 1))
    assert found["there"].low <= found["there"].value <= found["there"].high < 0.2


def test_two_pictures_are_too_few_for_a_distance() -> None:
    found = measure_fractions(rows(2, 6, 0), {"same": rows(2, 6, 0)}, rows(9, 6, 1))
    assert np.isnan(found["same"].value)


def moments(images: Sequence[Image]) -> Rows:
    return np.array([np.concatenate([i.mean((0, 1)), i.std((0, 1))]) for i in images])


def test_the_report_shows_every_step_and_names_the_missing_one(folder: Path) -> None:
    style = StyleJudge("moments", moments, moments([colours(seed=k) for k in range(5, 9)]))
    found = replace(found_in(folder, style, sam=False), missing={BY_SAM: "sam-vit-b: not on this machine"})
    report = report_pipeline(found, Conditions({"data": "eval"}, JUDGE, "monet"))
    assert step_table(found).rows[2][:2] == [BY_SAM, "not measured"]
    assert report.as_json()["missing"] == {BY_SAM: "sam-vit-b: not on this machine"}
    noted = [row for row in report.rows if row["note"]]
    assert [(row["step"], row["figure"]) for row in noted] == [(BY_SAM, "not measured")]
    assert {row["figure"] for row in report.rows} >= {"likeness", "seam", "ssim", "style distance, moments"}
    assert report.as_json()["without a face"] == ["wall.png"]


def test_without_paintings_the_column_is_absent_and_the_reason_said(folder: Path) -> None:
    found = found_in(folder)
    report = report_pipeline(found, Conditions({}, JUDGE, None))
    assert step_table(found).columns == ["step", "likeness", "seam", "SSIM", "seconds"]
    assert any("--paintings" in sentence for sentence in report.sections[0].text)


def test_the_embedded_recogniser_is_said_not_to_be_independent() -> None:
    assert "not independent" in judge_by_pipeline("light", by_colour).note
    assert judge_by_pipeline("sface", by_colour).name == "sface"


def test_the_extremes_show_photo_and_steps_twice(folder: Path) -> None:
    ablation, pictures = plain(), PictureFolder(folder)
    found = measure_steps(ablation, pictures, JUDGE)
    shown = show_extremes(found, ablation, pictures, JUDGE.compare)
    assert [len(row) for row in shown] == [6] * 6
    words = [row[0].caption.split(":")[0] for row in shown[::2]]
    assert words == ["worst", "median", "best"]
    worst, best = (
        next(p for p in found.pictures if p.name in row[0].caption) for row in (shown[0], shown[4])
    )
    assert worst.scores[OURS]["likeness"] <= best.scores[OURS]["likeness"]
    assert show_extremes(measure_steps(ablation, pictures, NOBODY), ablation, pictures, None) == []


def test_the_weights_of_the_independent_judge_are_those_of_its_package() -> None:
    from sfumato.evaluation.judges import open_lite

    stored = LITE0.read()["_conv_stem.weight"]
    assert torch.equal(open_lite().state_dict()["stem.0.weight"], stored)
