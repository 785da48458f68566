"""The comparison of segmenters on drawn portraits: what it counts, names, leaves out and reports."""

import csv
import json
from collections.abc import Sequence
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import cast

import cv2
import numpy as np
import pytest

from sfumato.cost import SegmenterCost
from sfumato.errors import InputError, MissingInputError, ModelError, SettingsError
from sfumato.evaluation.report import Report, as_csv, as_html
from sfumato.evaluation.segmenter_comparison import (
    Comparison,
    PortraitSet,
    Rival,
    compare_segmenters,
    measure_costs,
    open_rivals,
)
from sfumato.evaluation.segmenter_report import paint_labels, report_segmenters, show_extremes
from sfumato.evaluation.segmenter_summary import summarise
from sfumato.evaluation.selection import choose_segmenter, remember_segmenter
from sfumato.segmenters import Segments, open_segmenter
from sfumato.settings import read_chosen_segmenter
from sfumato.types import Face, Image, Labels
from tests.unit.portraits import write_dataset

FACE = Face((30.0, 20.0, 98.0, 110.0), ((48, 58), (80, 58), (64, 70), (52, 88), (76, 88)), 0.9)


class Drawn:
    """A segmenter that knows the drawn portraits by their colours, and is wrong in some share of the rows."""

    def __init__(self, wrong: float = 0.0) -> None:
        self._wrong = wrong

    def __call__(self, image: Image, _faces: Sequence[Face]) -> "Drawn":
        seen = Drawn(self._wrong)
        seen._image = image
        return seen

    def labels(self) -> Labels:
        green = self._image[..., 1].astype(int)
        blue = self._image[..., 2]
        labels = np.where((blue == 120) & (green > 50), (255 - green) // 25, 0).astype(np.uint8)
        labels[: round(self._wrong * len(labels))] = 0
        return labels

    _image: Image


def rival(name: str, wrong: float = 0.0, *, classes: bool = True) -> Rival:
    return Rival(name, name, "0" * 64, cast(Segments, Drawn(wrong)), classes)


def one_face(image: Image) -> Sequence[Face]:
    return (FACE,)


def cost(warm: float) -> SegmenterCost:
    return SegmenterCost(1_000_000, 4_000_000, 2.5, 1.0, warm, (warm, warm), 100_000_000, 3)


@pytest.fixture(scope="module")
def portraits(tmp_path_factory: pytest.TempPathFactory) -> PortraitSet:
    return PortraitSet(write_dataset(tmp_path_factory.mktemp("data"), count=8))


@pytest.fixture(scope="module")
def compared(portraits: PortraitSet) -> Comparison:
    rivals = [rival("right"), rival("rough", 0.45), rival("rough-too", 0.46, classes=False)]
    found = compare_segmenters(rivals, portraits, one_face, variants=("plain", "dark"))
    return replace(found, missing={"sam-vit-b": "it is not on this machine"})


def test_a_perfect_model_scores_1_and_one_that_misses_rows_less(compared: Comparison) -> None:
    right, rough = (compared.figures(name)["face"] for name in ("right", "rough"))
    assert right["iou"].value == right["boundary_f1"].value == 1
    assert rough["precision"].value == 1
    assert rough["iou"].value == rough["recall"].value < 0.9


def test_classes_are_reported_of_models_that_have_them(compared: Comparison) -> None:
    assert set(compared.figures("right")) > {"skin", "teeth", "face"}
    assert set(compared.figures("rough-too")) == {"face"}


def test_the_mean_over_classes_is_that_of_the_measurement_of_a_data_set(
    compared: Comparison, portraits: PortraitSet
) -> None:
    from sfumato.evaluation.parsing import score_parsing

    samples = [portraits.read(pair) for pair in portraits.pairs()]
    pairs = [(Drawn(0.45)(sample.image, ()).labels(), sample.labels) for sample in samples]
    assert compared.figures("rough")["mean"]["iou"].value == pytest.approx(score_parsing(pairs).mean)


def test_every_variant_is_measured_and_plain_is_always_among_them(portraits: PortraitSet) -> None:
    found = compare_segmenters([rival("right")], portraits, one_face, variants=("dark",))
    assert list(found.scores["right"]) == ["plain", "dark"]
    assert np.nanmean(found.face_scores("right", variant="dark")) < 0.5  # it knows colours, and nothing else


def test_groups_add_up_to_all_portraits(compared: Comparison) -> None:
    for members in compared.by_group("right").values():
        assert sum(number for number, _ in members.values()) == 8


def test_the_difference_between_models_is_tested_in_pairs(compared: Comparison) -> None:
    pairs = {(pair.first, pair.second): pair for pair in compared.paired()}
    assert set(pairs) == {("right", "rough"), ("right", "rough-too"), ("rough", "rough-too")}
    assert pairs["right", "rough"].significant


def test_the_ranking_leads_from_best_to_worst(compared: Comparison) -> None:
    scores = compared.face_scores("rough")
    ranked = [scores[k] for k in compared.ranked("rough")]
    assert ranked == sorted(scores, reverse=True)


def test_a_limit_takes_portraits_from_all_over(portraits: PortraitSet) -> None:
    pairs = replace(portraits, limit=3).pairs()
    assert [pair.name for pair in pairs] == ["val0", "val4", "val7"]
    assert len(replace(portraits, limit=100).pairs()) == 8


def test_a_photo_without_a_mask_is_refused(tmp_path: Path) -> None:
    root = write_dataset(tmp_path / "data")
    (root / "annotations/val/val0.png").unlink()
    with pytest.raises(InputError, match="val0"):
        PortraitSet(root).pairs()


def test_models_that_are_not_here_are_named_with_the_reason() -> None:
    rivals, missing = open_rivals(["unet-light", "sam-vit-b", "unet-light"], "cpu")
    assert [rival.name for rival in rivals] == ["unet-light"]
    assert "sfumato models pull sam-vit-b" in missing["sam-vit-b"]


def test_a_name_that_nothing_has_is_refused() -> None:
    with pytest.raises(SettingsError, match="unet-lihgt"):
        open_rivals(["unet-lihgt"], "cpu")
    with pytest.raises(MissingInputError):
        open_rivals(["nowhere.onnx"], "cpu")
    with pytest.raises(ModelError, match="sam-vit-b"):
        open_rivals(["sam-vit-b"], "cpu")
    with pytest.raises(ModelError, match="name one at least"):
        open_rivals([], "cpu")


def test_files_of_one_name_are_told_apart(tmp_path: Path) -> None:
    from sfumato.registry import find_embedded, model_path

    source = model_path(find_embedded("segmenter"))
    paths = [tmp_path / name / "mine.onnx" for name in ("a", "b")]
    for path in paths:
        path.parent.mkdir()
        path.write_bytes(source.read_bytes())
    rivals, missing = open_rivals([str(path) for path in paths], "cpu")
    assert [rival.name for rival in rivals] == ["mine"]
    assert missing == {str(paths[1]): "it is the same file as mine, which is measured"}


def test_models_whose_names_have_dots_are_all_named() -> None:
    asked = ["light", "sam2.1-hiera-tiny", "sam2.1-hiera-small", "unet-light", "auto"]
    rivals, missing = open_rivals(asked, "cpu")
    assert [rival.name for rival in rivals] == ["light"]
    assert list(missing) == asked[1:]


def test_auto_takes_part_under_the_name_of_what_it_means() -> None:
    ((found,), _) = open_rivals(["auto"], "cpu")
    assert (found.name, found.asked) == ("auto", "light")  # or the choice would be to choose "auto"


def test_nothing_is_timed_without_a_face(portraits: PortraitSet) -> None:
    costs, unknown = measure_costs([rival("right")], portraits, lambda _: (), "cpu")
    assert costs == {}
    assert "no face is found" in unknown["cost of right"]


@pytest.mark.long
def test_a_model_that_cannot_be_timed_does_not_stop_the_others(portraits: PortraitSet) -> None:
    light = Rival("light", "light", "0" * 64, cast(Segments, Drawn()), True)
    costs, unknown = measure_costs([rival("no-such"), light], portraits, one_face, "cpu")
    assert list(costs) == ["light"]
    assert "no-such" in unknown["cost of no-such"]


def report(compared: Comparison, portraits: PortraitSet) -> Report:
    costs = {"right": cost(0.1), "rough": cost(0.05), "rough-too": cost(0.06)}
    pictures = show_extremes(compared, portraits, one_face)
    return report_segmenters(summarise(replace(compared, costs=costs)), pictures, "right: because")


def test_a_report_says_everything_in_every_form(
    compared: Comparison, portraits: PortraitSet, tmp_path: Path
) -> None:
    found = report(compared, portraits)
    written = {path.suffix: path.read_text() for path in found.write(tmp_path, "segmenters")}
    held = json.loads(written[".json"])
    assert held["missing"] == {"sam-vit-b": "it is not on this machine"}
    assert held["models"]["right"]["variants"]["plain"]["pooled"]["face"]["iou"]["value"] == 1
    assert held["models"]["right"]["cost"]["gflops"] == 2.5
    assert held["pictures with a face"] == {"plain": 8, "dark": 8}
    assert held["chosen"] == "right: because"
    rows = list(csv.DictReader(StringIO(written[".csv"])))
    assert {row["model"] for row in rows} == {"right", "rough", "rough-too"}
    assert {row["variant"] for row in rows} == {"plain", "dark"}
    page = written[".html"]
    assert "sam-vit-b" in page
    assert "it is not on this machine" in page
    assert page.count("<img ") == sum(len(row) for row in found.sections[-1].pictures)
    assert "<script" not in page
    assert 'src="http' not in page
    assert 'href="http' not in page


def test_a_report_without_costs_or_further_variants_leaves_these_parts_out(portraits: PortraitSet) -> None:
    plain = summarise(compare_segmenters([rival("right")], portraits, one_face, variants=()))
    titles = [section.title for section in report_segmenters(plain).sections]
    assert titles[0] == "Face region"
    assert "Cost" not in titles
    assert "Robustness" not in titles
    assert report_segmenters(plain).lead == []


def test_extremes_show_the_best_the_median_and_the_worst(
    compared: Comparison, portraits: PortraitSet
) -> None:
    rows = show_extremes(compared, portraits, one_face)
    words = " ".join(row[0].caption for row in rows)
    assert all(f"{word} of rough" in words for word in ("best", "median", "worst"))
    assert {len(row) for row in rows} == {5}
    best = next(row for row in rows if "best of rough;" in f"{row[0].caption};")
    assert best[3].caption == f"rough: IoU {max(compared.face_scores('rough')):.3f}"


def test_labels_are_painted_over_the_face_alone() -> None:
    image = np.full((4, 4, 3), 200, np.uint8)
    labels = np.array([[0, 1, 2, 8]] * 4, np.uint8)
    painted = paint_labels(image, labels)
    assert (painted[:, :2] == 100).all()
    assert (painted[:, 2:] != 100).any(axis=2).all()


def test_no_rows_make_an_empty_table() -> None:
    assert as_csv([]) == "\n"


def test_the_best_model_within_the_budget_is_chosen(compared: Comparison) -> None:
    costs = {"right": cost(0.5), "rough": cost(0.05), "rough-too": cost(0.06)}
    found = replace(compared, costs=costs)
    assert choose_segmenter(summarise(found), 1.0).name == "right"
    assert choose_segmenter(summarise(found), 0.2).name == "rough"
    with pytest.raises(SettingsError, match="the fastest takes 50 ms"):
        choose_segmenter(summarise(found), 0.01)


def test_nothing_is_chosen_of_models_that_were_not_timed(compared: Comparison) -> None:
    with pytest.raises(SettingsError, match="no model could be timed"):
        choose_segmenter(summarise(compared), 1.0)


def test_few_pictures_are_no_reason_to_choose_a_worse_model(portraits: PortraitSet) -> None:
    few = compare_segmenters(
        [rival("right"), rival("rough", 0.45)], replace(portraits, limit=3), one_face, variants=()
    )
    summary = summarise(replace(few, costs={"right": cost(0.2), "rough": cost(0.1)}))
    assert not summary.pairs["iou"][0].significant
    assert choose_segmenter(summary, 1.0).name == "right"


def test_masks_without_a_face_are_shown_and_judged_by_nothing(tmp_path: Path) -> None:
    root = write_dataset(tmp_path / "data", ("val",))
    for path in (root / "annotations/val").iterdir():
        cv2.imwrite(str(path), np.zeros((128, 128), np.uint8))
    portraits = PortraitSet(root)
    found = compare_segmenters([rival("blind", 1.0)], portraits, lambda _: (), variants=())
    assert show_extremes(found, portraits, one_face) == []
    summary = summarise(replace(found, costs={"blind": cost(0.1)}))
    assert report_segmenters(summary).sections[0].table is not None
    with pytest.raises(SettingsError, match="mark no face"):
        choose_segmenter(summary, 1.0)


def test_names_that_mean_something_elsewhere_are_shown_as_they_are(portraits: PortraitSet) -> None:
    name = "<b>$x_{$&"
    found = compare_segmenters([rival(name)], replace(portraits, limit=2), one_face, variants=("dark",))
    page = as_html(report_segmenters(summarise(found)))
    assert "<b>$" not in page
    assert "&lt;b&gt;$x_{$&amp;" in page


def test_of_models_that_do_not_differ_the_faster_is_chosen(portraits: PortraitSet) -> None:
    alike = compare_segmenters([rival("slow"), rival("fast")], portraits, one_face, variants=())
    choice = choose_segmenter(summarise(replace(alike, costs={"slow": cost(0.9), "fast": cost(0.1)})), 1.0)
    assert choice.name == "fast"
    assert "not significantly different from slow" in choice.reason


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("SFUMATO_CONFIG", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return tmp_path / "sfumato" / "config.toml"


def test_the_choice_is_noted_beside_what_the_user_wrote(compared: Comparison, config: Path) -> None:
    config.parent.mkdir()
    config.write_text('# mine\npaint = 0.5 # a lot\nchosen_segmenter = "old"\n')
    choice = choose_segmenter(summarise(replace(compared, costs={"right": cost(0.1)})), 1.0)
    assert remember_segmenter(choice) == config
    assert config.read_text() == '# mine\npaint = 0.5 # a lot\nchosen_segmenter = "right"\n'
    assert read_chosen_segmenter() == "right"
    assert [path.name for path in config.parent.iterdir()] == ["config.toml"]


def test_the_choice_of_a_file_is_noted_from_the_root(
    compared: Comparison, config: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    choice = choose_segmenter(summarise(replace(compared, costs={"right": cost(0.1)})), 1.0)
    remember_segmenter(replace(choice, asked="mine.onnx"))
    assert read_chosen_segmenter() == str(tmp_path / "mine.onnx")


def test_auto_means_the_choice_and_else_the_embedded_model(config: Path, tmp_path: Path) -> None:
    from sfumato.registry import find_embedded, model_path

    embedded = open_segmenter("light", "cpu")
    assert open_segmenter("auto", "cpu").sha256 == embedded.sha256
    mine = tmp_path / "mine.onnx"
    mine.write_bytes(model_path(find_embedded("segmenter")).read_bytes())
    config.parent.mkdir()
    config.write_text(f'chosen_segmenter = "{mine}"\n')
    assert open_segmenter("auto", "cpu").name == str(mine)
    mine.unlink()
    assert open_segmenter("auto", "cpu").name == embedded.name  # what is gone cannot stop every picture
    config.write_text('chosen_segmenter = "sam-vit-b"\n')
    assert open_segmenter("auto", "cpu").name == embedded.name
    for gone in ("auto", "removed-since"):
        config.write_text(f'chosen_segmenter = "{gone}"\n')
        assert open_segmenter("auto", "cpu").name == embedded.name
        assert open_segmenter("sam-vit-b,auto", "cpu").name == embedded.name
    config.write_text('chosen_segmenter = "light"\n')
    assert open_segmenter("auto", "cpu").name == embedded.name


def test_a_configuration_stays_a_link_and_as_private_as_it_was(
    compared: Comparison, config: Path, tmp_path: Path
) -> None:
    real = tmp_path / "dotfiles.toml"
    real.write_text("paint = 0.5\n")
    real.chmod(0o600)
    config.parent.mkdir()
    config.symlink_to(real)
    remember_segmenter(choose_segmenter(summarise(replace(compared, costs={"right": cost(0.1)})), 1.0))
    assert config.is_symlink()
    assert "right" in real.read_text()
    assert real.stat().st_mode & 0o777 == 0o600


def test_a_configuration_that_is_no_toml_is_left_alone(compared: Comparison, config: Path) -> None:
    config.parent.mkdir()
    config.write_text("paint = = 1")
    choice = choose_segmenter(summarise(replace(compared, costs={"right": cost(0.1)})), 1.0)
    with pytest.raises(SettingsError, match="not valid TOML"):
        remember_segmenter(choice)
    assert config.read_text() == "paint = = 1"
