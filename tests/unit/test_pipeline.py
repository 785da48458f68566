"""The order of the steps: laws with simple stages, then the embedded networks on a real portrait."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from skimage import data

import sfumato
from sfumato.choice import choose_faces
from sfumato.errors import BackendMissingError, InputError, OutputExistsError, SettingsError
from sfumato.geometry import FFHQ_TEMPLATE
from sfumato.pipeline import STAGES, Pipeline, build_pipeline
from sfumato.settings import Options, Settings
from sfumato.stages.restore import FaceRestoration, restore_faces
from sfumato.stages.segment import Parsing, View
from sfumato.types import Face, Image, Touches


def face_at(x: float, y: float, scale: float) -> Face:
    """Return an upright face around (x, y) whose aligned crop covers 512 * `scale` px."""
    points = (FFHQ_TEMPLATE - 255.5) * scale + np.array([x, y], np.float32)
    a, b, c, d, e = ((float(px), float(py)) for px, py in points)
    half = 128 * scale
    return Face((x - half, y - half, x + half, y + half), (a, b, c, d, e), 0.9)


FACES = (face_at(60, 60, 0.2), face_at(170, 70, 0.3))
SHAPE = (140, 240)


def brighten(image: Image, faces: Sequence[Face]) -> tuple[Image, tuple[FaceRestoration, ...]]:
    """Restore by adding ten levels to the whole picture."""
    return np.minimum(image, 245) + np.uint8(10), tuple(FaceRestoration(0.3, 1.0) for _ in faces)


def all_skin(image: Image, faces: Sequence[Face]) -> Parsing:
    """Call every pixel of every face's crop skin."""
    from sfumato.geometry import face_affine

    skin = np.zeros((9, 64, 64), np.float32)
    skin[2] = 1
    height, width = image.shape[:2]
    whole = View(skin, np.array([[64 / width, 0, 0], [0, 64 / height, 0]]))
    return Parsing((height, width), whole, tuple(View(skin, face_affine(f.points, 64)) for f in faces))


def simple_pipeline(**options: object) -> Pipeline:
    settings = Settings(**options)  # type: ignore[arg-type]  # each test names real options
    return Pipeline(
        lambda _: FACES, brighten, lambda image: 255 - image, all_skin, settings, {"tiny": "0" * 64}
    )


def picture(seed: int, height: int = 140, width: int = 240) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@given(st.integers(0, 1000), st.floats(0, 1))
def test_preserving_nothing_gives_the_painting(seed: int, paint: float) -> None:
    image = picture(seed)
    result = simple_pipeline(preserve="none", paint=paint).stylize(image)
    np.testing.assert_array_equal(result.image, 255 - image)
    assert result.restorations == ()
    assert result.mask.max() == 0


def test_eyes_keep_their_colour_whatever_the_painting_does() -> None:
    """A blue eye stayed blue only as far as the paint left it so."""
    image = np.full((140, 240, 3), (60, 110, 150), np.uint8)

    def all_eyes(image: Image, faces: Sequence[Face]) -> Parsing:
        parsing = all_skin(image, faces)
        eyes = [View(view.probabilities[[0, 1, 3, 4, 5, 2, 6, 7, 8]], view.matrix) for view in parsing.faces]
        return Parsing(parsing.shape, parsing.whole, tuple(eyes))

    def chroma(pixels: Image) -> NDArray[np.float64]:
        return np.asarray(pixels - (pixels @ np.array([0.299, 0.587, 0.114]))[..., None])

    shift = {}
    for name, segment in {"skin": all_skin, "eyes": all_eyes}.items():
        pipeline = replace(simple_pipeline(paint=0.3, restore=0.0), segment_faces=segment)
        shift[name] = np.abs(chroma(pipeline(image)) - chroma(image))[60, 60].max()
    assert shift["eyes"] < 0.4 * shift["skin"]


def test_a_face_is_treated_alike_alone_and_beside_another() -> None:
    """The edge of a neighbour was drawn once for each face whose crop shows it."""
    image = picture(2)
    both = simple_pipeline(paint=0.3, restore=0.0).stylize(image)
    alone = simple_pipeline(paint=0.3, restore=0.0, faces="1").stylize(image)
    far = np.s_[:, :60]
    np.testing.assert_allclose(both.mask[far], alone.mask[far], atol=1e-6)


def test_a_mask_of_truth_values_is_a_mask() -> None:
    image, mask = picture(3), np.zeros((140, 240), bool)
    mask[20:80, 30:90] = True
    whole, numbers = (
        simple_pipeline().stylize(image, mask=kind).image for kind in (mask, mask.astype(np.float32))
    )
    np.testing.assert_array_equal(whole, numbers)


def test_likeness_compares_each_kept_face_with_that_of_the_photo() -> None:
    image = picture(1)

    def compare(first: Image, second: Image) -> float:
        return 1 - float(np.abs(first.astype(float) - second).mean()) / 255

    same, other = (
        replace(simple_pipeline(paint=paint, restore=0.0), likeness=compare).stylize(image)
        for paint in (0.0, 1.0)
    )
    assert len(same.likeness) == len(same.kept) == 2
    assert all(a > b for a, b in zip(same.likeness, other.likeness, strict=True))


@given(st.integers(0, 1000))
def test_full_paint_gives_the_painting(seed: int) -> None:
    image = picture(seed)
    np.testing.assert_array_equal(simple_pipeline(paint=1.0)(image), 255 - image)


@given(st.integers(0, 1000))
def test_without_paint_the_middle_of_a_face_is_the_restored_photo(seed: int) -> None:
    image = picture(seed)
    result = simple_pipeline(paint=0.0).stylize(image)
    restored, _ = brighten(image, FACES)
    kept = result.mask > 1 - 1e-3  # less than a level of any difference
    assert kept[60, 60]
    np.testing.assert_allclose(result.image[kept].astype(int), restored[kept], atol=1)
    np.testing.assert_array_equal(result.image[result.mask == 0], 255 - image[result.mask == 0])


@given(st.integers(0, 1000))
def test_a_mask_of_ones_without_paint_and_restoration_gives_the_photo(seed: int) -> None:
    image = picture(seed)
    result = simple_pipeline(paint=0.0, restore=0.0).stylize(image, mask=np.ones((140, 240), np.float32))
    np.testing.assert_array_equal(result.image, image)


def test_only_the_chosen_face_is_kept() -> None:
    result = simple_pipeline(faces="2").stylize(picture(0))
    assert result.kept == (1,)
    assert result.mask[70, 170] == 1
    assert result.mask[60, 60] < 0.05
    assert len(result.restorations) == 1


def test_faces_are_chosen_by_number_or_size() -> None:
    assert choose_faces(FACES, "all", SHAPE) == (0, 1)
    assert choose_faces(FACES, "largest", SHAPE) == (1,)
    assert choose_faces((), "largest", SHAPE) == ()
    assert choose_faces(FACES, "2,1", SHAPE) == (1, 0)
    with pytest.raises(SettingsError, match="face 3 was asked for, but 2 were found"):
        choose_faces(FACES, "1,3", SHAPE)


def test_a_place_means_the_face_nearest_to_it_at_every_size() -> None:
    assert choose_faces(FACES, "0.25:0.43", SHAPE) == (0,)
    assert choose_faces(FACES, "0.71:0.5", SHAPE) == (1,)
    assert choose_faces(FACES, "0.71:0.5,1,0.7:0.49", SHAPE) == (1, 0)
    with pytest.raises(SettingsError, match=r"no face was found at 0.5:0.99; see: sfumato detect"):
        choose_faces(FACES, "0.5:0.99", SHAPE)


@given(st.sampled_from([0, 1]), st.floats(-0.9, 0.9), st.floats(-0.9, 0.9))
def test_every_place_in_a_face_means_it_where_faces_lie_apart(index: int, right: float, down: float) -> None:
    x0, y0, x1, y1 = FACES[index].box
    x, y = (x0 + x1 + right * (x1 - x0)) / 2, (y0 + y1 + down * (y1 - y0)) / 2
    x, y = np.clip(x / SHAPE[1], 0, 1), np.clip(y / SHAPE[0], 0, 1)
    assert choose_faces(FACES, f"{x}:{y}", SHAPE) == (index,)


def drawn(keep: float, weight: float) -> Touches:
    """Return strokes over the left half of the picture, at a quarter of its size."""
    half = np.zeros((35, 60), np.float32)
    half[:, :30] = weight
    return Touches(np.full_like(half, keep), half)


@given(st.integers(0, 1000))
def test_touches_without_weight_change_nothing(seed: int) -> None:
    image, pipeline = picture(seed), simple_pipeline()
    touched = pipeline.stylize(image, touches=drawn(1, 0))
    np.testing.assert_array_equal(touched.image, pipeline.stylize(image).image)


@pytest.mark.parametrize("blend", ["melt", "paste"])
def test_touches_add_to_the_mask_and_take_from_it(blend: str) -> None:
    image, pipeline = picture(4), simple_pipeline(blend=blend, paint=0.0)
    added, taken = (pipeline.stylize(image, touches=drawn(keep, 1)) for keep in (1, 0))
    there, beyond = np.s_[:, :112], np.s_[:, 128:]
    assert added.mask[there].min() == 1
    np.testing.assert_array_equal(added.image[there], brighten(image, FACES)[0][there])
    np.testing.assert_array_equal(taken.image[there], 255 - image[there])
    np.testing.assert_array_equal(added.mask[beyond], taken.mask[beyond])


def test_touches_go_over_a_mask_of_ones_own_and_leave_it_as_it_was() -> None:
    image, mask = picture(5), np.ones((140, 240), np.float32)
    result = simple_pipeline().stylize(image, mask=mask, touches=drawn(0, 1))
    assert result.mask[:, :112].max() == 0
    assert mask.min() == 1


def test_stages_are_announced_in_their_order_and_one_may_end_the_work() -> None:
    told: list[str] = []
    simple_pipeline().stylize(picture(0), on_stage=told.append)
    assert tuple(told) == STAGES

    def give_up(stage: str) -> None:
        if stage == "stylize":
            raise KeyboardInterrupt

    painted: list[Image] = []

    def paint(image: Image) -> Image:
        painted.append(image)
        return image

    with pytest.raises(KeyboardInterrupt):
        replace(simple_pipeline(), paint=paint).stylize(picture(0), on_stage=give_up)
    assert not painted


def test_layers_are_held_only_when_asked_for() -> None:
    pipeline, image = simple_pipeline(), picture(1)
    assert pipeline.stylize(image).layers == {}
    layers = pipeline.stylize(image, layers=True).layers
    assert set(layers) == {"original", "restored", "painted", "mask", "result"}
    np.testing.assert_array_equal(layers["original"], image)
    np.testing.assert_array_equal(layers["painted"], 255 - image)
    assert {layer.shape for layer in layers.values()} == {image.shape}


@pytest.mark.parametrize("layers", [False, True])
def test_the_callers_picture_is_never_written_to(layers: bool) -> None:
    pipeline = replace(simple_pipeline(), paint=lambda image: image)
    image = picture(3)
    before = image.copy()
    pipeline.stylize(image, layers=layers)
    np.testing.assert_array_equal(image, before)


def test_a_mask_of_another_size_is_refused() -> None:
    with pytest.raises(InputError, match="the mask is 5x4 but the picture is 240x140"):
        simple_pipeline().stylize(picture(0), mask=np.ones((4, 5), np.float32))


def test_the_report_holds_all_but_pixels() -> None:
    report = simple_pipeline().stylize(picture(0)).report()
    assert report["size"] == [240, 140]
    assert report["models"] == {"tiny": "0" * 64}
    assert [face["kept"] for face in report["faces"]] == [True, True]  # type: ignore[attr-defined]
    assert set(report["timings"]) == set(STAGES)  # type: ignore[call-overload]
    measured = {"kept_area", "sharpness", "restoration", "restoration_turned_down", "likeness", "seam"}
    assert set(report["scores"]) == measured  # type: ignore[call-overload]


def test_a_painting_of_another_colour_shows_a_seam_and_the_photo_itself_none() -> None:
    photo = picture(2)
    red = np.full_like(photo, 0)
    red[..., 0] = 255
    plainly = replace(simple_pipeline(), settings=Settings(paint=0.0))
    same = replace(plainly, paint=lambda image: image).stylize(photo)
    glaring = replace(plainly, paint=lambda _: red.copy()).stylize(photo)
    for plain, painted in zip(same.seams, glaring.seams, strict=True):
        assert plain is not None
        assert painted is not None
        assert plain.score == pytest.approx(1, abs=0.02)
        assert painted.score > 1.2


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"style": "monte"}, SettingsError, "unknown style 'monte'; did you mean 'monet'"),
        ({"device": "mps"}, BackendMissingError, "device 'mps'"),
    ],
)
def test_what_cannot_be_built_is_refused(options: Options, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        build_pipeline(Settings(**options))


@pytest.fixture(scope="module")
def portrait() -> Image:
    """Return Eileen Collins, NASA, public domain: one face of about 100 px, and a flag."""
    whole = data.astronaut()  # type: ignore[no-untyped-call]  # scikit-image types only parts of itself
    return np.asarray(whole[:400, 60:420])


@pytest.fixture(scope="module")
def embedded() -> Pipeline:
    return build_pipeline(Settings(exact=True))


def test_the_embedded_networks_paint_the_picture_and_keep_the_face(
    embedded: Pipeline, portrait: Image
) -> None:
    result = embedded.stylize(portrait)
    assert len(result.faces) == 1
    x0, y0, x1, y1 = (int(v) for v in result.faces[0].box)
    centre = slice((3 * y0 + y1) // 4, (y0 + 3 * y1) // 4), slice((3 * x0 + x1) // 4, (x0 + 3 * x1) // 4)
    assert result.mask[centre].mean() > 0.9
    assert result.mask[:, :20].max() == 0
    change = np.abs(result.image.astype(int) - portrait).mean(axis=2)
    assert change[result.mask == 0].mean() > 2 * change[centre].mean()


def test_likeness_is_reported_and_falls_with_the_paint(portrait: Image) -> None:
    alike = [
        build_pipeline(Settings(exact=True, paint=paint)).stylize(portrait).likeness
        for paint in (0.0, 0.3, 1.0)
    ]
    assert all(len(cosines) == 1 for cosines in alike)
    assert [cosines[0] for cosines in alike] == sorted((c[0] for c in alike), reverse=True)
    assert 0.95 < alike[0][0] <= 1 and alike[2][0] < alike[0][0] - 0.03


def test_a_group_of_ten_is_kept_face_by_face(embedded: Pipeline) -> None:
    head = np.asarray(data.astronaut()[:200, 130:310])  # type: ignore[no-untyped-call]  # as above
    row = [
        np.asarray(255 * (head[:, :: 1 - 2 * (k % 2)] / 255) ** (0.7 + 0.15 * k), np.uint8) for k in range(5)
    ]
    group = np.vstack([np.hstack(row), np.hstack(row[::-1])])
    result = embedded.stylize(group)
    assert len(result.faces) == len(result.kept) == len(result.likeness) == len(result.seams) == 10
    assert min(result.likeness) > 0.8
    for face in result.faces:
        x, y = np.mean(face.landmarks, axis=0).round().astype(int)
        assert result.mask[y, x] > 0.9
    two = build_pipeline(replace(embedded.settings, faces="1,3")).stylize(group)
    assert two.kept == (0, 2) and 0.1 < two.mask.sum() / result.mask.sum() < 0.3


def test_without_restoration_what_is_melted_in_is_the_photo_bit_by_bit(portrait: Image) -> None:
    soft = np.asarray(cv2.GaussianBlur(portrait, (0, 0), 3), np.uint8)
    for strength, same in ((0.0, True), (1.0, False)):
        result = build_pipeline(Settings(exact=True, restore=strength)).stylize(soft, layers=True)
        assert np.array_equal(result.layers["restored"], soft) == same


def test_a_restoration_that_makes_another_face_is_turned_down(embedded: Pipeline, portrait: Image) -> None:
    soft = np.asarray(cv2.GaussianBlur(portrait, (0, 0), 3), np.uint8)
    faces = embedded.detect(soft)
    for restorer, refused in ((lambda crop: crop[::-1], True), (lambda crop: crop, False)):
        _, (report,) = restore_faces(soft, faces, restorer, 1.0, embedded.likeness)
        assert report.turned_down == refused
        assert (report.weight < 1) == refused


def test_threads_get_what_one_thread_gets(embedded: Pipeline, portrait: Image) -> None:
    pictures = [portrait, np.ascontiguousarray(portrait[:, ::-1]), portrait[:300]]
    alone = [embedded(p) for p in pictures]
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(embedded, pictures))
    for expected, actual in zip(alone, together, strict=True):
        np.testing.assert_array_equal(actual, expected)


def test_every_kind_of_source_gives_the_same_painting(
    embedded: Pipeline, portrait: Image, tmp_path: Path
) -> None:
    path = tmp_path / "portrait.png"
    PIL.Image.fromarray(portrait).save(path)
    expected = embedded.stylize(portrait).image
    for source in (path, str(path), path.read_bytes(), PIL.Image.fromarray(portrait)):
        np.testing.assert_array_equal(embedded.stylize(source).image, expected)


def test_the_library_paints_and_saves_in_two_lines(portrait: Image, tmp_path: Path) -> None:
    result = sfumato.stylize(portrait, paint=0.2)
    target = tmp_path / "painting.png"
    result.save(target)
    with PIL.Image.open(target) as saved:
        np.testing.assert_array_equal(np.asarray(saved.convert("RGB")), result.image)
    with pytest.raises(OutputExistsError):
        result.save(target)


def test_a_picture_without_a_face_is_painted_whole(embedded: Pipeline) -> None:
    result = embedded.stylize(np.full((200, 300, 3), (90, 140, 200), np.uint8))
    assert result.faces == ()
    assert result.mask.max() == 0


def test_detect_and_segment_answer_without_painting(embedded: Pipeline, portrait: Image) -> None:
    (face,) = embedded.detect(portrait)
    labels = embedded.segment(portrait)
    assert labels.shape == portrait.shape[:2]
    x, y = (round(v) for v in face.landmarks[2])
    assert labels[y, x] == 2


# --- the paper's own blending ---------------------------------------------------------------------------------


def half_skin(image: Image, faces: Sequence[Face]) -> Parsing:
    """Call what is right of each face's nose skin, with a soft edge, and note what was looked at."""
    parsing = all_skin(image, faces)
    ramp = np.clip((np.arange(64) - 24) / 16, 0, 1).astype(np.float32)
    views = []
    for view in parsing.faces:
        seen = np.zeros((9, 64, 64), np.float32)
        seen[2], seen[0] = ramp, 1 - ramp
        views.append(replace(view, probabilities=seen))
    return replace(parsing, faces=tuple(views))


def test_pasting_takes_each_pixel_from_the_restored_face_or_from_the_painting() -> None:
    image = np.random.default_rng(5).integers(0, 200, (128, 240, 3), dtype=np.uint8)
    pipeline = replace(simple_pipeline(blend="paste"), segment_faces=half_skin)
    result = pipeline.stylize(image, layers=True)
    assert set(np.unique(result.mask)) == {0.0, 1.0}
    kept = result.mask > 0
    restored, _ = brighten(image, FACES)
    np.testing.assert_array_equal(result.image[kept], restored[kept])
    np.testing.assert_array_equal(result.image[~kept], 255 - image[~kept])
    assert result.layers["result"] is not None
    melted = replace(simple_pipeline(blend="melt"), segment_faces=half_skin).stylize(image)
    assert len(np.unique(melted.mask)) > 2


def test_pasting_segments_the_restored_picture_and_melting_the_photo() -> None:
    seen: list[int] = []

    def look(image: Image, faces: Sequence[Face]) -> Parsing:
        seen.append(int(image.max()))
        return all_skin(image, faces)

    image = np.full((128, 240, 3), 50, np.uint8)
    for blend in ("paste", "melt"):
        replace(simple_pipeline(blend=blend), segment_faces=look).stylize(image)
    assert seen == [60, 50]


def test_pasting_a_face_that_is_not_to_be_kept_paints_it() -> None:
    image = np.full((128, 240, 3), 50, np.uint8)
    pipeline = replace(simple_pipeline(blend="paste", faces="2"), segment_faces=half_skin)
    result = pipeline.stylize(image)
    assert result.mask[60, 70] == 0
    assert result.mask[70, 190] == 1


def test_pasting_with_a_mask_of_ones_own_cuts_at_a_half() -> None:
    image = np.full((128, 240, 3), 50, np.uint8)
    mask = np.tile(np.linspace(0, 1, 240, dtype=np.float32), (128, 1))
    result = simple_pipeline(blend="paste", restore=0.0).stylize(image, mask=mask)
    assert set(np.unique(result.image)) == {50, 205}


def test_an_unknown_blend_is_refused() -> None:
    with pytest.raises(SettingsError, match="unknown blend 'glue'; use melt or paste"):
        Settings(blend="glue")  # type: ignore[arg-type]  # refused
