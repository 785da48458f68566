"""YuNet and SFace, of OpenCV's zoo: what they say is brought to the picture's pixels and to one cosine."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sfumato.download import digest_of
from sfumato.errors import ModelError, SettingsError
from sfumato.faces import open_detector, open_recogniser
from sfumato.geometry import FFHQ_TEMPLATE, transform_points
from sfumato.registry import find_embedded
from sfumato.stages.likeness import CROP
from sfumato.stages.sface import SFaceLikeness, sface_affine
from sfumato.stages.yunet import YuNetDetector
from sfumato.store import put
from sfumato.store_records import folder_of
from sfumato.types import Image
from tests.unit.plugged import TABLE, plugged

Arrays = Sequence[NDArray[np.float32]]


class BrightSpot:
    """Answers as YuNet does, with one face of 64 pixels around the brightest 8x8 cell, unless all is dark."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def run(self, inputs: Mapping[str, NDArray[np.float32]]) -> Arrays:
        picture = inputs["input"]
        self.shapes.append(picture.shape)
        _, _, height, width = picture.shape
        assert height % 32 == width % 32 == 0
        cells = [(height // stride, width // stride) for stride in (8, 16, 32)]
        out = [
            np.zeros((1, rows * columns, depth), np.float32)
            for depth in (1, 1, 4, 10)
            for rows, columns in cells
        ]
        light = picture[0].mean(axis=0).reshape(height // 8, 8, width // 8, 8).mean(axis=(1, 3))
        best = int(light.argmax())
        if light.max() > 100:
            out[0][0, best] = out[3][0, best] = 0.9
            out[6][0, best] = (0.5, 0.5, np.log(8), np.log(8))
            points = [(-1.5, -1), (2.5, -1), (0.5, 0.5), (-1, 2.5), (2, 2.5)]
            out[9][0, best] = np.array(points).reshape(-1)
        return out


def spot(height: int, width: int, x: int, y: int) -> Image:
    image = np.zeros((height, width, 3), np.uint8)
    cv2.rectangle(image, (x - 6, y - 6), (x + 6, y + 6), (255, 255, 255), -1)
    return image


@pytest.mark.parametrize("side", [None, 320])
def test_a_face_is_found_where_it_is(side: int | None) -> None:
    for height, width, x, y in ((300, 400, 120, 200), (640, 480, 300, 90), (1500, 2000, 700, 900)):
        yunet = BrightSpot()
        scale = (side or min(1280, max(height, width))) / max(height, width)
        grown = cv2.dilate(spot(height, width, x, y), np.ones((9, 9)), iterations=round(2 / scale))
        image: Image = np.asarray(grown, dtype=np.uint8)
        (face,) = YuNetDetector(yunet, side)(image)
        reach = 12 / scale
        assert (face.box[0] + face.box[2]) / 2 == pytest.approx(x, abs=reach)
        assert (face.box[1] + face.box[3]) / 2 == pytest.approx(y, abs=reach)
        assert face.size == pytest.approx(64 / scale, rel=0.05)
        assert face.points[0, 0] < face.points[1, 0]
        if side:
            assert yunet.shapes == [(1, 3, side, side)]


def test_no_face_is_no_face() -> None:
    assert YuNetDetector(BrightSpot(), None)(np.zeros((90, 70, 3), np.uint8)) == ()


class Mean:
    """Embeds a face as the mean colour of each eighth of its rows."""

    def __init__(self) -> None:
        self.seen: list[NDArray[np.float32]] = []

    def run(self, inputs: Mapping[str, NDArray[np.float32]]) -> Arrays:
        face = inputs["data"]
        self.seen.append(face)
        return [face[0].reshape(3, 8, 14, 112).mean(axis=(2, 3)).reshape(1, -1)]


@given(st.integers(40, 600))
def test_a_face_is_like_itself_at_any_size(size: int) -> None:
    crop = np.random.default_rng(1).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    large = np.asarray(cv2.resize(crop, (size, size), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)
    sface = Mean()
    assert SFaceLikeness(sface)(large, large) == pytest.approx(1, abs=1e-5)
    assert sface.seen[0].shape == (1, 3, 112, 112)
    assert sface.seen[0].max() > 100  # levels, not parts of one
    assert SFaceLikeness(sface)(large, 255 - large) < 0.95


def test_sface_sees_the_eyes_where_it_was_trained_to() -> None:
    """The template of ArcFace and SFace (InsightFace, "arcface_dst"), in 112x112 pixels."""
    template = [
        [38.2946, 51.6963],
        [73.5318, 51.5014],
        [56.0252, 71.7366],
        [41.5493, 92.3655],
        [70.7299, 92.2041],
    ]
    crop = ((FFHQ_TEMPLATE + 0.5) * (CROP / 512) - 0.5).astype(np.float32)
    assert np.abs(transform_points(sface_affine(), crop) - template).max() < 2.5


def test_light_is_the_embedded_one() -> None:
    for opened, task in (
        (open_detector("light", "cpu"), "detector"),
        (open_recogniser("light", "cpu"), "recogniser"),
    ):
        spec = find_embedded(task)  # type: ignore[arg-type]  # a Task
        assert (opened.name, opened.sha256) == (spec.name, spec.sha256)


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("yunet", ModelError, "yunet is not on this machine; get it with: sfumato models pull yunet"),
        ("yunnet", SettingsError, "unknown detector 'yunnet'; did you mean 'yunet'"),
        ("sface", SettingsError, "model 'sface' is a recogniser, not a detector"),
        ("other", SettingsError, "detector 'other' is none that sfumato runs; use light or yunet"),
    ],
)
def test_what_is_no_detector_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, error: type[Exception], words: str
) -> None:
    monkeypatch.setenv("SFUMATO_HOME", str(tmp_path))
    with plugged(lambda: {"other": {**TABLE, "task": "detector"}}), pytest.raises(error, match=words):
        open_detector(name, "cpu")


def test_both_run_from_an_onnx_file_of_their_shape(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks of the same inputs and outputs, through the door that a user's files take."""
    torch = pytest.importorskip("torch")
    from sfumato.export import export_onnx
    from sfumato.store import find_models
    from tests.unit.zoo_shapes import Embed, Heads

    monkeypatch.setenv("SFUMATO_HOME", str(tmp_path / "home"))
    for name, net, called, side in (("yunet", Heads(), "input", 640), ("sface", Embed(), "data", 112)):
        (spec,) = find_models([name])
        path = folder_of(spec) / spec.file
        path.parent.mkdir(parents=True)
        outputs = [f"out{k}" for k in range(12 if name == "yunet" else 1)]
        example = {called: torch.rand(1, 3, side, side)}
        export_onnx(net, path, example=example, outputs=outputs, half=False, dynamic=False)
        digest = digest_of(path)
        monkeypatch.setattr("sfumato.store.expected_sha256", lambda _, known=digest: known)
        put(replace(spec, sha256=None), path, digest)
    assert open_detector("yunet", "cpu").stage(spot(100, 100, 50, 50)) == ()
    face = spot(128, 128, 60, 60)
    assert open_recogniser("sface", "cpu").stage(face, face) == pytest.approx(1, abs=1e-4)
