"""How much two aligned faces look like one person, and the network that says so."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from skimage.transform import SimilarityTransform

from sfumato.backends import OpenVinoBackend
from sfumato.geometry import FFHQ_TEMPLATE, transform_points
from sfumato.stages.likeness import CROP, TEMPLATE, Likeness, cosine, recognition_affine, recognition_crop
from sfumato.types import Image

VECTORS = st.lists(st.floats(-10, 10).filter(lambda v: abs(v) > 1e-3), min_size=4, max_size=4).map(
    lambda values: np.array(values, np.float32)
)


def face(seed: int, side: int = 512) -> Image:
    coarse = np.random.default_rng(seed).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)


@given(VECTORS, VECTORS, st.floats(0.1, 9))
def test_a_cosine_is_symmetrical_and_knows_no_length(
    a: NDArray[np.float32], b: NDArray[np.float32], factor: float
) -> None:
    assert cosine(a, a) == pytest.approx(1)
    assert cosine(a, b) == pytest.approx(cosine(b, a))
    assert -1 - 1e-9 <= cosine(a, b) <= 1 + 1e-9
    assert cosine(np.float32(factor) * a, b) == pytest.approx(cosine(a, b), abs=1e-4)


def test_the_landmarks_of_an_aligned_face_come_near_to_those_of_the_template() -> None:
    """Two templates of different faces: no similarity brings one to the other exactly; scikit-image finds the same."""
    points = (FFHQ_TEMPLATE + 0.5) * (CROP / 512) - 0.5
    found = transform_points(recognition_affine(), points.astype(np.float32))
    other = SimilarityTransform.from_estimate(points, TEMPLATE)(points)
    np.testing.assert_allclose(found, other, atol=0.02)
    assert np.linalg.norm(found - TEMPLATE, axis=1).max() < 4


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 99), side=st.sampled_from([64, 128, 200, 512]))
def test_a_crop_of_any_size_gives_the_same_face(seed: int, side: int) -> None:
    small = recognition_crop(face(seed, side))
    assert small.shape == (3, 112, 96) and small.dtype == np.float32
    assert np.abs(small).max() <= 1
    np.testing.assert_allclose(small, recognition_crop(face(seed)), atol=0.35)


def test_likeness_is_what_pytorch_computes(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from sfumato.evaluation.identity import identity_cosine
    from sfumato.export import export_onnx
    from sfumato.nets.recogniser import MobileFaceNet

    torch.manual_seed(0)
    net = MobileFaceNet(0.25).eval()
    export_onnx(net, tmp_path / "net.onnx", example=torch.rand(2, 3, 112, 96))
    likeness = Likeness(OpenVinoBackend(tmp_path / "net.onnx", exact=True))
    assert likeness(face(0), face(0)) == pytest.approx(1, abs=1e-5)
    assert likeness(face(0), face(1)) == pytest.approx(identity_cosine(net, face(0), face(1)), abs=1e-3)
