"""The embedded detector on two public-domain portraits that test dependencies ship."""

from importlib.resources import as_file, files
from pathlib import Path

import cv2
import matplotlib as mpl
import numpy as np
import pytest
from skimage import data

from sfumato.backends import OpenVinoBackend
from sfumato.evaluation.detection import landmark_error, overlap_matrix, read_picture
from sfumato.geometry import transform_points
from sfumato.stages.detect import LightDetector
from sfumato.stages.face_rows import face_to_row, mirror_rows, row_to_face
from sfumato.types import Affine, Box, Face, Image, Points

EILEEN_BOX: Box = (178.0, 58.0, 271.0, 178.0)
EILEEN: Points = np.array(
    [[203.7, 102.5], [246.5, 104.8], [224.9, 126.0], [206.0, 143.0], [243.6, 145.2]], dtype=np.float32
)
"""Box and points of the astronaut's face, marked by eye to about 2 pixels."""

GRACE_BOX: Box = (175.0, 112.0, 354.0, 338.0)
GRACE: Points = np.array(
    [[223.8, 190.0], [308.6, 188.0], [267.4, 237.0], [232.5, 273.0], [302.3, 271.5]], dtype=np.float32
)


def marked(box: Box, points: Points) -> Face:
    return row_to_face(np.concatenate([box, points.reshape(-1), [1.0]]).astype(np.float32))


@pytest.fixture(scope="module")
def detect() -> LightDetector:
    with as_file(files("sfumato.weights") / "detector-light.onnx") as path:
        return LightDetector(OpenVinoBackend(path, exact=True))


@pytest.fixture(scope="module")
def eileen() -> Image:
    return np.asarray(data.astronaut(), dtype=np.uint8)  # type: ignore[no-untyped-call]  # skimage has no types


@pytest.fixture(scope="module")
def grace() -> Image:
    return read_picture(Path(mpl.get_data_path()) / "sample_data" / "grace_hopper.jpg")


def turned(image: Image, angle: float, scale: float = 1.0) -> tuple[Image, Affine]:
    """Return the picture turned about its centre on a grey canvas, and the matrix of that."""
    height, width = image.shape[:2]
    matrix = np.asarray(cv2.getRotationMatrix2D((width / 2, height / 2), angle, scale), dtype=np.float64)
    canvas = cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_AREA, borderValue=(128, 128, 128))
    return np.asarray(canvas, dtype=np.uint8), matrix


def test_each_portrait_shows_one_face_where_it_is(detect: LightDetector, eileen: Image, grace: Image) -> None:
    for image, truth in ((eileen, marked(EILEEN_BOX, EILEEN)), (grace, marked(GRACE_BOX, GRACE))):
        faces = detect(image)
        assert len(faces) == 1
        assert overlap_matrix([truth], faces)[0, 0] > 0.7
        assert landmark_error(truth, faces[0]) < 0.08  # the marks themselves are good to about 0.04


@pytest.mark.parametrize("angle", [-45.0, -20.0, 20.0, 45.0])
def test_a_turned_face_is_found_with_its_points(detect: LightDetector, eileen: Image, angle: float) -> None:
    canvas, matrix = turned(eileen, angle)
    faces = detect(canvas)
    assert len(faces) == 1
    truth = marked(faces[0].box, transform_points(matrix, EILEEN))
    assert landmark_error(truth, faces[0]) < 0.12


@pytest.mark.parametrize("scale", [0.36, 0.6, 2.0, 3.4])
def test_a_face_is_found_at_any_size(detect: LightDetector, eileen: Image, scale: float) -> None:
    flags = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    image = np.asarray(cv2.resize(eileen, None, fx=scale, fy=scale, interpolation=flags), dtype=np.uint8)
    faces = detect(image)
    truth = marked(faces[0].box, ((EILEEN + 0.5) * scale - 0.5).astype(np.float32))
    assert len(faces) == 1
    assert landmark_error(truth, faces[0]) < 0.15


def test_a_mirrored_portrait_gives_the_mirrored_face(detect: LightDetector, grace: Image) -> None:
    plain, mirrored = detect(grace)[0], detect(np.ascontiguousarray(grace[:, ::-1]))[0]
    expected = row_to_face(mirror_rows(face_to_row(plain)[None], grace.shape[1])[0])
    assert overlap_matrix([expected], [mirrored])[0, 0] > 0.85
    assert landmark_error(expected, mirrored) < 0.08


def test_twenty_small_faces_are_all_found(detect: LightDetector, eileen: Image) -> None:
    head = np.asarray(
        cv2.resize(eileen[:240, 100:340], (96, 96), interpolation=cv2.INTER_AREA), dtype=np.uint8
    )
    assert len(detect(np.tile(head, (4, 5, 1)))) == 20


def test_a_face_that_fills_the_frame_is_found(detect: LightDetector, eileen: Image) -> None:
    x0, y0, x1, y1 = (int(v) for v in EILEEN_BOX)
    close = cv2.resize(eileen[y0 - 8 : y1 + 8, x0 - 8 : x1 + 8], (600, 750), interpolation=cv2.INTER_CUBIC)
    faces = detect(np.asarray(close, dtype=np.uint8))
    assert len(faces) == 1
    assert faces[0].size > 400


@pytest.mark.parametrize("name", ["coffee", "gravel", "coins", "chelsea"])
def test_things_and_cats_are_no_faces(detect: LightDetector, name: str) -> None:
    image = np.asarray(getattr(data, name)(), dtype=np.uint8)
    rgb = image if image.ndim == 3 else np.repeat(image[:, :, None], 3, axis=2)
    assert detect(rgb) == ()
