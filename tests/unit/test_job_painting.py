"""The work of each kind of job, from files to encoded results."""

from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Literal

import numpy as np
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfumato.errors import InputError, SettingsError
from sfumato.io import Limits, Picture, read_picture
from sfumato.io.xmp import read_property
from sfumato.jobs.job import Kind, Part, Work
from sfumato.jobs.painting import MEDIA_TYPES, STEPS, SUFFIXES, Made, perform, reduce_picture
from sfumato.jobs.studio import KEPT, Studio, warm
from sfumato.opening import open_stages
from sfumato.pipeline import assemble
from sfumato.recipe import used_file
from sfumato.recipe_embedding import COMPOSITE, SOURCE_TYPE, read_recipe
from sfumato.resolve import Opened
from sfumato.settings import Settings
from sfumato.types import Face, Image, Transform
from tests.serving import portrait
from tests.simple import FACE, build


def noise(
    height: int = 80, width: int = 96, channels: int = 3
) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8)


def saved(folder: Path, part: Part, pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> None:
    PIL.Image.fromarray(pixels).save(folder / part, "PNG")


def made(folder: Path, work: Work, stages: list[str] | None = None) -> Made:
    def file_of(part: Part) -> Path | None:
        return folder / part if (folder / part).is_file() else None

    told = stages if stages is not None else []
    return perform(work, file_of, build(work.settings), Limits(), told.append)


def decoded(made: Made) -> PIL.Image.Image:
    return PIL.Image.open(BytesIO(made.data))


@given(st.integers(16, 300), st.integers(16, 300), st.integers(16, 400))
def test_a_reduced_picture_is_as_long_as_asked_and_of_the_same_shape(
    height: int, width: int, side: int
) -> None:
    picture = Picture(np.zeros((height, width, 3), np.uint8), np.zeros((height, width), np.uint8))
    reduced = reduce_picture(picture, side)
    assert max(reduced.image.shape[:2]) == min(side, max(height, width))
    assert reduced.alpha is not None
    assert reduced.alpha.shape == reduced.image.shape[:2]
    assert reduced.image.shape[0] == pytest.approx(height * min(1, side / max(height, width)), abs=0.5) or (
        min(reduced.image.shape[:2]) == 16
    )


def test_a_picture_that_is_small_enough_stays_itself() -> None:
    picture = Picture(noise())
    assert reduce_picture(picture, None) is picture
    assert reduce_picture(picture, 96) is picture


@pytest.mark.parametrize("kind", sorted(STEPS))
def test_every_kind_goes_through_its_stages_in_order(tmp_path: Path, kind: Kind) -> None:
    saved(tmp_path, "image", noise())
    stages: list[str] = []
    made(tmp_path, Work(kind, Settings()), stages)
    assert tuple(dict.fromkeys(stages)) == STEPS[kind]


def test_faces_are_told_in_pixels_of_the_upright_picture(tmp_path: Path) -> None:
    saved(tmp_path, "image", noise())
    report = made(tmp_path, Work("detect", Settings())).report
    assert report["size"] == [96, 80]
    assert report["faces"][0]["box"] == list(FACE.box)


def test_classes_are_ids_or_colours(tmp_path: Path) -> None:
    saved(tmp_path, "image", noise())
    labels = made(tmp_path, Work("segment", Settings(), view="labels"))
    overlay = made(tmp_path, Work("segment", Settings(), view="overlay"))
    assert decoded(labels).mode == "L"
    assert set(np.unique(np.asarray(decoded(labels)))) <= {1, 2}  # skin beyond faces is person
    assert decoded(overlay).mode == "RGB"
    assert sum(labels.report["classes"].values()) == pytest.approx(1)


@pytest.mark.parametrize(("channels", "format"), [(3, "JPEG"), (4, "PNG")])
def test_a_thumbnail_says_how_large_the_picture_was(tmp_path: Path, channels: int, format: str) -> None:
    saved(tmp_path, "image", noise(channels=channels))
    small = made(tmp_path, Work("thumbnail", Settings(), side=48))
    assert small.report["size"] == [96, 80]
    assert (decoded(small).size, decoded(small).format) == ((48, 40), format)
    assert small.media_type == MEDIA_TYPES[format]


@pytest.mark.parametrize("metadata", ["keep", "strip"])
def test_a_result_is_marked_and_carries_its_recipe_where_metadata_are_kept(
    tmp_path: Path, metadata: Literal["keep", "strip"]
) -> None:
    saved(tmp_path, "image", noise())
    saved(tmp_path, "mask", np.zeros((40, 48), np.uint8))
    work = Work("stylize", Settings(paint=0.4), side=48, format="PNG", metadata=metadata)
    held = read_picture(made(tmp_path, work).data).metadata
    assert read_property(held.xmp or b"", SOURCE_TYPE) == COMPOSITE
    recipe = read_recipe(held, "it")
    assert (recipe is not None) is (metadata == "keep")
    if recipe is not None:
        assert recipe.source == used_file((tmp_path / "image").read_bytes())
        assert recipe.parts == {"mask": used_file((tmp_path / "mask").read_bytes())}
        assert (recipe.size, recipe.side, recipe.settings["paint"]) == ((96, 80), 48, 0.4)


@pytest.mark.parametrize("format", sorted(MEDIA_TYPES))
def test_the_result_is_of_the_format_that_was_asked_for(tmp_path: Path, format: str) -> None:
    saved(tmp_path, "image", noise())
    result = made(tmp_path, Work("stylize", Settings(), format=format))
    assert decoded(result).format == format
    assert result.media_type == MEDIA_TYPES[format]
    assert result.media_type in SUFFIXES


def test_a_format_that_is_not_written_is_refused(tmp_path: Path) -> None:
    saved(tmp_path, "image", noise())
    with pytest.raises(SettingsError, match="unknown format 'GIF'; use jpeg, png, webp, tiff, avif"):
        made(tmp_path, Work("stylize", Settings(), format="GIF"))


def test_a_picture_is_reduced_before_it_is_painted(tmp_path: Path) -> None:
    saved(tmp_path, "image", noise())
    assert decoded(made(tmp_path, Work("stylize", Settings(), side=48))).size == (48, 40)


def test_a_mask_of_ones_keeps_the_photo_and_one_of_another_size_is_refused(tmp_path: Path) -> None:
    saved(tmp_path, "image", noise())
    saved(tmp_path, "mask", np.full((80, 96, 3), 255, np.uint8))
    kept = made(tmp_path, Work("stylize", Settings(paint=0.0)))
    np.testing.assert_array_equal(np.asarray(decoded(kept)), noise())
    saved(tmp_path, "mask", np.full((20, 24, 3), 255, np.uint8))
    with pytest.raises(InputError, match="the mask is 24x20, the picture is 96x80; scale the mask to 96x80"):
        made(tmp_path, Work("stylize", Settings()))


def test_touches_of_any_size_take_the_face_away(tmp_path: Path) -> None:
    saved(tmp_path, "image", noise())
    black = np.zeros((20, 24, 4), np.uint8)
    black[..., 3] = 255
    saved(tmp_path, "touches", black)
    painted = made(tmp_path, Work("stylize", Settings(paint=0.0)))
    np.testing.assert_array_equal(np.asarray(decoded(painted)), 255 - noise())


def test_a_palette_turns_the_painting_to_its_colours(tmp_path: Path) -> None:
    saved(tmp_path, "image", noise())
    work = Work("stylize", Settings(preserve="none"))
    own = np.asarray(decoded(made(tmp_path, work))).mean(axis=(0, 1))
    saved(tmp_path, "palette", np.full((32, 32, 3), (180, 40, 40), np.uint8))
    red = np.asarray(decoded(made(tmp_path, work))).mean(axis=(0, 1))
    assert red[0] - red[2] > own[0] - own[2] + 50


def test_layers_are_pictures_of_the_same_size(tmp_path: Path) -> None:
    saved(tmp_path, "image", noise())
    layers = made(tmp_path, Work("stylize", Settings(), layers=True)).layers
    assert {read_picture(data).image.shape for data in layers.values()} == {(80, 96, 3)}


def test_networks_are_opened_once_for_all_settings() -> None:
    studio = Studio()
    first, second = (studio.pipeline(Settings(paint=paint)) for paint in (0.1, 0.9))
    assert first.paint is second.paint
    assert first.detect_faces is second.detect_faces
    assert (first.settings.paint, second.settings.paint) == (0.1, 0.9)
    assert studio.pipeline(Settings(exact=True)).paint is not first.paint


def test_only_the_last_few_networks_stay_open() -> None:
    studio = Studio()

    def open_one(name: str, *_: object, **__: object) -> Opened[Transform]:
        return Opened(lambda image: image, name, "0" * 64)

    opened = [studio._opened(open_one, f"style {k}", "cpu", exact=False) for k in range(9)]
    assert len(opened) == 9
    assert all(len(held) <= KEPT for held in studio._open.values())


@pytest.mark.parametrize("remember", [True, False])
def test_what_is_remembered_of_a_preview_changes_no_pixel(remember: bool) -> None:
    image = portrait(256)
    studio = Studio(remember=remember)
    for settings in (
        Settings(paint=0.1),
        Settings(paint=0.9),
        Settings(preserve="none"),
        Settings(paint=0.1),
    ):
        expected = assemble(open_stages(settings), settings).stylize(image).image
        np.testing.assert_array_equal(studio.pipeline(settings).stylize(image).image, expected)


def test_warming_loads_every_network() -> None:
    pipeline = Studio().pipeline(Settings())
    warm(pipeline)
    seen: list[str] = []

    def paint(image: Image) -> Image:
        seen.append("paint")
        return image

    def detect(_: Image) -> tuple[Face, ...]:
        seen.append("detect")
        return ()

    warm(replace(pipeline, paint=paint, detect_faces=detect, likeness=None))
    assert seen == ["detect", "paint"]
