"""The paper's figures, drawn by the embedded networks of a real portrait and of a landscape without a face."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from skimage import data

from sfumato.errors import DatasetError, InputError, MissingInputError, ModelError, SettingsError
from sfumato.evaluation.figure_loss import read_curves
from sfumato.evaluation.figure_material import Material, find_pair, gather_material
from sfumato.evaluation.figure_panels import Panels, draw_panels
from sfumato.evaluation.figure_pictures import overlay_classes, surroundings
from sfumato.evaluation.figure_style import BODY_FONT, SMALL, WIDTH, legible, render, text_width, wrap
from sfumato.evaluation.figure_workflow import BOX, lay_out
from sfumato.evaluation.figures import (
    DIRECT,
    OURS,
    TRUE,
    Drawing,
    draw_method,
    draw_results,
    draw_run,
    draw_segmentations,
)
from sfumato.evaluation.workflow import Step, trace_workflow
from sfumato.pipeline import build_pipeline
from sfumato.settings import Options, make_settings
from sfumato.stages.restore import enhance_faces
from sfumato.types import Image

GONE = "models/gone.onnx"


build = cache(build_pipeline)
"""Builds the pipeline of each settings once, for networks take a while to load."""


def portrait() -> Image:
    """Return the astronaut's head and shoulders, 256x256."""
    return np.ascontiguousarray(data.astronaut()[:256, 96:352])  # type: ignore[no-untyped-call]  # of scikit-image


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a portrait with its mask in EasyPortrait's layout, and a view without a face beside the data set."""
    root = tmp_path_factory.mktemp("dataset")
    (root / "images/val").mkdir(parents=True)
    (root / "annotations/val").mkdir(parents=True)
    PIL.Image.fromarray(portrait()).save(root / "images/val/portrait.png")
    labels = np.zeros((256, 256), np.uint8)
    cv2.ellipse(labels, (128, 110), (50, 70), 0, 0, 360, 2, -1)
    cv2.ellipse(labels, (128, 150), (16, 6), 0, 0, 360, 7, -1)
    PIL.Image.fromarray(labels).save(root / "annotations/val/portrait.png")
    ramp = np.linspace(0, 255, 160, dtype=np.uint8)
    view = np.stack(np.broadcast_arrays(ramp[None, :], ramp[:96, None], np.uint8(90)), axis=-1)
    PIL.Image.fromarray(view).save(root / "view.png")
    return root


@pytest.fixture(scope="module")
def material(dataset: Path) -> Material:
    paths = (dataset / "images/val/portrait.png", dataset / "view.png")
    sources = [(path.name, path) for path in paths]
    return gather_material(sources, ["light", GONE], make_settings(), build)


@pytest.fixture(scope="module")
def drawings(material: Material) -> Mapping[int, Drawing]:
    return {1: draw_method(material), 3: draw_segmentations(material), 4: draw_results(material)}


def with_options(material: Material, **options: object) -> Material:
    """Return the material of a pipeline of other settings."""
    settings = replace(material.pipeline.settings, **options)  # type: ignore[arg-type]  # of Settings
    pipeline = build(settings) if settings.blend == "paste" else replace(material.pipeline, settings=settings)
    return replace(material, pipeline=pipeline)


def texts_of(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if text.get_text().strip()]


def whole_text(figure: Figure) -> str:
    return " ".join(" ".join(text.get_text().split()) for text in figure.texts)


def picture_axes(figure: Figure) -> list[Axes]:
    return [axes for axes in figure.axes if axes.images]


def visible_texts(figure: Figure) -> Iterator[Text]:
    """Yield what can be read; axes also hold labels of places beyond their ends."""
    beyond = set[Text]()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = axis.get_view_interval()
            beyond |= {tick.label1 for tick in axis.get_major_ticks() if not low <= tick.get_loc() <= high}
    hidden = {text for axes in figure.axes if not axes.axison for text in axes.findobj(Text)}
    texts = [text for text in figure.findobj(Text) if text.get_text().strip() and text.get_visible()]
    yield from (text for text in texts if text not in beyond | hidden)


def assert_clean(figure: Figure) -> None:
    """Check what holds for every figure: its size, readable text that neither overlaps nor is cut, no blank axes."""
    assert figure.get_figwidth() == pytest.approx(WIDTH / 25.4)
    figure.draw_without_rendering()
    shown = list(visible_texts(figure))
    assert min(float(text.get_fontsize()) for text in shown) >= 7
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]  # of Agg
    boxes = [text.get_window_extent(renderer) for text in shown]
    for box in boxes:
        assert box.x0 >= -2 and box.x1 <= figure.bbox.x1 + 2, box
        assert box.y0 >= -2 and box.y1 <= figure.bbox.y1 + 2, box
    for one, other in itertools.combinations(boxes, 2):
        apart = (
            one.x1 <= other.x0 + 2
            or other.x1 <= one.x0 + 2
            or one.y1 <= other.y0 + 8
            or other.y1 <= one.y0 + 8
        )
        assert apart
    for axes in figure.axes:
        assert axes.images or axes.lines or axes.patches or axes.texts
        for image in axes.images:
            assert len(np.unique(np.asarray(image.get_array()).reshape(-1, 3), axis=0)) > 1


def test_the_models_and_what_is_missing_are_known(material: Material) -> None:
    assert material.titles == ("light",)
    assert set(material.missing) == {GONE}
    assert isinstance(material.missing[GONE], MissingInputError)


def test_figure_1_has_a_box_for_each_step_of_the_run(
    material: Material, drawings: Mapping[int, Drawing]
) -> None:
    result = material.pipeline.stylize(material.subjects[0].image)
    drawing = drawings[1]
    assert drawing.panels == tuple(result.timings)
    assert [f"{k}  {name.capitalize()}" for k, name in enumerate(result.timings, 1)] == [
        text for text in texts_of(drawing.figure) if text[0].isdigit() and "  " in text
    ]
    canvas = drawing.figure.axes[0]
    assert sum(patch.get_gid() == "box" for patch in canvas.patches) == len(drawing.panels)
    assert len(picture_axes(drawing.figure)) == len(drawing.panels)
    assert_clean(drawing.figure)


def test_figure_1_names_the_models_that_ran(material: Material, drawings: Mapping[int, Drawing]) -> None:
    shown = texts_of(drawings[1].figure)
    used = set(material.pipeline.models)
    assert used == {"detector-light", "restorer-light", "segmenter-light", "monet-light", "recogniser-light"}
    assert used <= set(shown)


@pytest.mark.parametrize(
    ("options", "absent"),
    [
        ({"restore": 0.0}, {"restore"}),
        ({"preserve": "none"}, {"restore", "segment"}),
        ({"strength": 0.0}, {"stylize"}),
    ],
)
def test_figure_1_follows_the_settings(
    material: Material, drawings: Mapping[int, Drawing], options: Options, absent: set[str]
) -> None:
    whole = set(drawings[1].panels)
    drawing = draw_method(with_options(material, **options))
    assert whole - set(drawing.panels) == absent
    assert_clean(drawing.figure)


def test_the_paper_segments_the_enhanced_picture_and_we_the_photo(material: Material) -> None:
    def sources(blend: str) -> Mapping[str, tuple[str, ...]]:
        pipeline = with_options(material, blend=blend).pipeline
        steps = trace_workflow(pipeline, material.subjects[0].image, "light")
        return {step.name: step.sources for step in steps}

    melt, paste = sources("melt"), sources("paste")
    assert melt["segment"] == ("detect",)
    assert paste["segment"] == ("restore",)
    assert melt["blend"] == paste["blend"] == ("stylize", "restore", "segment")


def test_a_picture_without_a_face_has_a_workflow_too(material: Material) -> None:
    drawing = draw_method(replace(material, subjects=material.subjects[1:]))
    assert "segment" not in drawing.panels
    assert_clean(drawing.figure)


def step(name: str) -> Step:
    return Step(name, "model", ("found",), np.zeros((4, 3, 3), np.uint8), False, ())


ALL = ("read", "detect", "restore", "segment", "stylize", "blend", "measure")


@pytest.mark.parametrize(
    "left_out", [(), ("restore",), ("restore", "segment"), ("stylize",), ("stylize", "restore")]
)
def test_no_arrow_runs_through_a_box(left_out: Sequence[str]) -> None:
    names = [name for name in ALL if name not in left_out]
    layout = lay_out([step(name) for name in names])
    for source, target in itertools.combinations(names, 2):
        if (target == "detect" and source != "read") or (target == "measure" and source != "blend"):
            continue
        corners = layout.route(source, target)
        for (x0, y0), (x1, y1) in itertools.pairwise(corners):
            for name in names:
                left, top = layout.corner(name)
                width, height = layout.size(name)
                beside = max(x0, x1) <= left + 1e-6 or min(x0, x1) >= left + width - 1e-6
                assert beside or max(y0, y1) <= top + 1e-6 or min(y0, y1) >= top + height - 1e-6, (
                    source,
                    target,
                )


def test_boxes_stand_within_the_figure() -> None:
    layout = lay_out([step(name) for name in ALL])
    assert all(layout.corner(name)[0] >= 0 and layout.corner(name)[0] + BOX <= WIDTH for name in ALL)


def write_loss(run: Path, text: str) -> Path:
    run.mkdir()
    (run / "loss.csv").write_text(text)
    return run


def test_figure_2_shows_every_curve_of_the_log(tmp_path: Path) -> None:
    rows = (
        "curve,step,loss\n"
        + "".join(f"training,{k},{2 / (k + 1)}\n" for k in range(20))
        + "validation,10,0.4\n"
    )
    drawing = draw_run(read_curves(write_loss(tmp_path / "b2", rows)), "b2")
    axes = drawing.figure.axes[0]
    assert [line.get_label() for line in axes.lines] == ["training", "validation"] == list(drawing.panels)
    assert np.asarray(axes.lines[0].get_xydata())[3].tolist() == [3, 0.5]
    assert axes.get_xlabel() == "step"
    assert axes.get_ylabel() == "loss"
    assert "Change of loss with the training process (run b2, to step 19)." in whole_text(drawing.figure)
    assert_clean(drawing.figure)


def test_a_run_without_losses_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match=r"loss\.csv is missing"):
        read_curves(tmp_path)
    with pytest.raises(MissingInputError, match="holds no loss"):
        read_curves(write_loss(tmp_path / "empty", "curve,step,loss\n"))
    for k, text in enumerate(
        ("a,b\n1,2\n", "curve,step,loss\ntraining,one,2\n", "curve,step,loss\ntraining,1\n")
    ):
        with pytest.raises(InputError, match="no table of curve, step and loss"):
            read_curves(write_loss(tmp_path / str(k), text))


def test_figure_3_has_a_column_for_each_model_and_the_truth(drawings: Mapping[int, Drawing]) -> None:
    drawing = drawings[3]
    assert drawing.panels == ("photo", "light", TRUE)
    assert set(drawing.panels) <= set(texts_of(drawing.figure))
    assert len(picture_axes(drawing.figure)) == 2 * 3 - 1
    assert "no annotation" in " ".join(texts_of(drawing.figure)).replace("\n", " ")
    assert {"person", "left brow", "teeth"} <= set(texts_of(drawing.figure))
    assert_clean(drawing.figure)


def test_figure_3_without_annotations_has_no_column_for_them(material: Material) -> None:
    drawing = draw_segmentations(replace(material, subjects=material.subjects[1:]))
    assert drawing.panels == ("photo", "light")
    assert "true mask" not in whole_text(drawing.figure)


def test_figure_4_has_the_columns_of_the_paper_and_ours(drawings: Mapping[int, Drawing]) -> None:
    drawing = drawings[4]
    assert drawing.panels == ("original", DIRECT, "light", OURS)
    assert len(picture_axes(drawing.figure)) == 2 * 4
    for title in drawing.panels:
        assert title in whole_text(drawing.figure)
    assert_clean(drawing.figure)


def test_figure_4_shows_what_the_pipelines_make(material: Material, drawings: Mapping[int, Drawing]) -> None:
    photo, direct, pasted, ours = (
        np.asarray(axes.images[0].get_array()) for axes in picture_axes(drawings[4].figure)[:4]
    )
    settings, image = material.pipeline.settings, material.subjects[0].image
    paper = build(replace(settings, blend="paste", restore=1.0))
    assert np.array_equal(photo, image)
    assert np.array_equal(pasted, paper.stylize(image).image)
    assert np.array_equal(ours, material.pipeline.stylize(image).image)
    painted = material.pipeline.paint(image)
    restorer = paper.restore.keywords["restorer"]  # type: ignore[attr-defined]  # a partial
    assert np.array_equal(direct, enhance_faces(painted, material.subjects[0].faces, restorer, 1.0)[0])


def test_each_caption_names_the_figure_and_what_is_missing(drawings: Mapping[int, Drawing]) -> None:
    for number, drawing in drawings.items():
        text = whole_text(drawing.figure)
        assert f"Fig. {number}." in text
        assert drawing.caption in text
        assert drawing.caption.endswith("Could not be opened and so not shown: gone.")


def test_files_are_the_same_each_time() -> None:
    image = portrait()[:64, :64]
    one, other = (draw_panels(3, Panels(("photo",), ((image,),), "A caption.")) for _ in range(2))
    assert render(one, "png") == render(other, "png") == render(one, "png")
    assert render(one, "pdf") == render(other, "pdf")


def test_a_png_has_300_dots_per_inch(drawings: Mapping[int, Drawing]) -> None:
    with PIL.Image.open(BytesIO(render(drawings[1].figure, "png"))) as picture:
        assert picture.size[0] == int(WIDTH / 25.4 * 300)
        assert picture.info["dpi"] == pytest.approx((300, 300), abs=0.1)


def test_a_pdf_embeds_its_fonts_and_tells_no_date(drawings: Mapping[int, Drawing]) -> None:
    pdf = render(drawings[3].figure, "pdf")
    assert b"/FontFile2" in pdf
    assert b"/Type3" not in pdf
    assert b"CreationDate" not in pdf


def test_two_files_of_one_name_are_told_apart(dataset: Path, tmp_path: Path) -> None:
    models = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        target = tmp_path / name / "net.onnx"
        weights = Path(__file__).parents[2] / "src/sfumato/weights/segmenter-light.onnx"
        target.write_bytes(weights.read_bytes())
        models.append(str(target))
    gathered = gather_material([("view", dataset / "view.png")], models, make_settings(), build)
    assert gathered.titles == tuple(models)


def test_the_next_model_takes_the_place_of_one_that_is_missing(dataset: Path) -> None:
    sources = [("view", dataset / "view.png")]
    gathered = gather_material(sources, [GONE, "light"], make_settings(), build)
    assert gathered.titles == ("light",)
    assert gathered.pipeline.settings.segmenter == "light"


def test_a_damaged_model_is_missing_and_an_unknown_name_an_error(dataset: Path, tmp_path: Path) -> None:
    sources, settings = [("view", dataset / "view.png")], make_settings()
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(b"no network")
    gathered = gather_material(sources, ["light", str(damaged)], settings, build)
    assert isinstance(gathered.missing[str(damaged)], ModelError)
    with pytest.raises(ModelError, match="damaged"):
        gather_material(sources, [str(damaged), GONE], settings, build)
    with pytest.raises(SettingsError, match="lihgt"):
        gather_material(sources, ["light", "lihgt"], settings, build)


def test_a_mask_of_another_size_is_refused(dataset: Path, tmp_path: Path) -> None:
    assert find_pair(dataset / "view.png") is None
    for folder in ("images/val", "annotations/val"):
        (tmp_path / folder).mkdir(parents=True)
    photo = tmp_path / "images/val/a.png"
    PIL.Image.fromarray(portrait()).save(photo)
    assert find_pair(photo) is None
    PIL.Image.fromarray(np.zeros((9, 9), np.uint8)).save(tmp_path / "annotations/val/a.png")
    with pytest.raises(DatasetError, match="9x9"):
        gather_material([("a", photo)], ["light"], make_settings(), build)


@pytest.mark.parametrize("columns", [1, 2, 9])
@pytest.mark.parametrize("shape", [(30, 90, 3), (90, 30, 3)])
def test_panels_are_equal_whatever_their_number_and_shape(columns: int, shape: tuple[int, int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    titles = tuple(f"a-model-with-a-long-name-{k}" for k in range(columns))
    figure = draw_panels(4, Panels(titles, ((image,) * columns,) * 3, "Results comparison."))
    sizes = [axes.get_position().size * figure.get_size_inches() for axes in picture_axes(figure)]
    assert len(sizes) == 3 * columns
    assert np.ptp(np.array(sizes), axis=0).max() < 1e-9
    assert sizes[0][1] / sizes[0][0] == pytest.approx(shape[0] / shape[1])
    assert_clean(figure)


def test_heads_are_shown_whole_where_there_are_faces(material: Material) -> None:
    subject = material.subjects[0]
    rows, columns = surroundings(subject.image, subject.faces)
    x0, y0, x1, y1 = subject.faces[0].box
    assert rows.start <= y0 and y1 <= rows.stop
    assert columns.start <= x0 and x1 <= columns.stop
    assert surroundings(subject.image, ()) == (slice(None), slice(None))


def test_an_overlay_leaves_the_background() -> None:
    image = portrait()
    assert np.array_equal(overlay_classes(image, np.zeros(image.shape[:2], np.uint8)), image)


def test_lines_are_no_wider_than_they_may_be() -> None:
    for text in ("unet-efficientnet-b2", "a" * 90, "direct stylization and enhancement", "", "--- a/b"):
        lines = wrap(text, 20.0, BODY_FONT)
        assert max(text_width(line, BODY_FONT) for line in lines) <= 20.0
        assert "".join("".join(lines).split()) == "".join(text.split())


def test_names_of_files_are_shown_as_they_are_as_far_as_the_font_has_letters() -> None:
    assert legible("a$b_^{c}$ \N{CJK UNIFIED IDEOGRAPH-4E2D}\n", BODY_FONT) == "a$b_^{c}$ ?"
    image = portrait()
    figure = draw_panels(3, Panels(("a$b$",), ((image,),), "Of $x_1$ and \N{CJK UNIFIED IDEOGRAPH-4E2D}."))
    assert "a$b$" in texts_of(figure)
    assert "Of $x_1$ and ?." in whole_text(figure)
    assert_clean(figure)


def test_the_users_matplotlib_is_left_as_it_was(material: Material) -> None:
    import matplotlib

    with matplotlib.rc_context({"font.size": 31.0}):
        figure = draw_segmentations(material).figure
        assert matplotlib.rcParams["font.size"] == 31.0
        assert {text.get_fontsize() for text in figure.texts} == {SMALL, 9.0}
