"""SCRFD's answers: how they are read, and how they settle the points of labelled faces."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from sfumato.errors import ModelError
from sfumato.geometry import transform_points
from sfumato.stages.detect import VIEW_FACE, VIEW_SIDE, view_affine
from sfumato.stages.face_rows import Rows, mirror_rows, row_to_face
from sfumato.training.face_labels import LabelledFace
from sfumato.training.scrfd import ANCHORS, STRIDES, Scrfd, decode_scrfd

Array = NDArray[np.float32]

SHAPES = [(ANCHORS * (VIEW_SIDE // stride) ** 2, width) for width in (1, 4, 10) for stride in STRIDES]


def say(row: Rows | None) -> list[Array]:
    """Return the nine outputs in which one cell of stride 16 says the face of `row`, or nobody says anything."""
    outputs: list[Array] = [np.zeros(shape, np.float32) for shape in SHAPES]
    if row is None:
        return outputs
    x, y = ((row[:2] + row[2:4]) / 2 // 16).astype(int)
    index = ANCHORS * (y * (VIEW_SIDE // 16) + x) + 1
    corner = np.array([x, y], np.float32) * 16
    outputs[1][index] = row[14]
    outputs[4][index] = np.concatenate([corner - row[:2], row[2:4] - corner]) / 16
    outputs[7][index] = ((row[4:14].reshape(5, 2) - corner) / 16).reshape(-1)
    return outputs


def write_scrfd(path: Path, plain: Rows | None, mirrored: Rows | None) -> Path:
    """Write a network of SCRFD's form that says the same of every pair of pictures."""
    pairs = zip(say(plain), say(mirrored), strict=True)
    nodes = [helper.make_node("ReduceMean", ["images"], ["mean"], keepdims=0)]
    nodes.append(helper.make_node("Sub", ["mean", "mean"], ["nought"]))
    constants = []
    for k, pair in enumerate(pairs):
        constants.append(numpy_helper.from_array(np.stack(pair), f"said{k}"))
        nodes.append(helper.make_node("Add", [f"said{k}", "nought"], [f"out{k}"]))
    frame = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 640, 640])
    outs = [helper.make_tensor_value_info(f"out{k}", TensorProto.FLOAT, None) for k in range(9)]
    graph = helper.make_graph(nodes, "scrfd", [frame], outs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, str(path))
    return path


def row_in_view(shift: float = 0.0) -> Rows:
    """Return a face in the middle of the view, its points moved by `shift` pixels to the right."""
    middle, half = (VIEW_SIDE - 1) / 2, VIEW_FACE / 2
    points = np.array([[-20, -10], [21, -12], [1, 8], [-15, 30], [17, 28]], np.float32) + middle
    points[:, 0] += shift
    box = [middle - half, middle - half, middle + half, middle + half]
    return np.array([*box, *points.reshape(-1), 0.9], np.float32)


def labelled(points: Sequence[float] | None = None) -> tuple[Rows, LabelledFace]:
    row = np.array([80, 60, 140, 120, 95, 80, 125, 80, 110, 92, 98, 105, 122, 105, 0.85], np.float32)
    return row, LabelledFace(row_to_face(row), 3)


def test_a_cell_is_read_as_it_was_written() -> None:
    rows = decode_scrfd(say(row_in_view()), VIEW_SIDE)
    np.testing.assert_allclose(rows, row_in_view()[None], atol=1e-4)
    assert decode_scrfd(say(None), VIEW_SIDE).shape == (0, 15)


@pytest.mark.parametrize("seen", ["both", "plain", "mirrored"])
def test_points_are_the_mean_of_the_looks_that_saw_the_face(seen: str, tmp_path: Path) -> None:
    there, beside = row_in_view(2.0), row_in_view(-1.0)
    plain = None if seen == "mirrored" else there
    mirrored = None if seen == "plain" else mirror_rows(beside[None], VIEW_SIDE)[0]
    scrfd = Scrfd(write_scrfd(tmp_path / "scrfd.onnx", plain, mirrored))
    row, label = labelled()
    settled = scrfd.settle_points(np.zeros((200, 220, 3), np.uint8), [label])[0]
    expected = row_in_view({"both": 0.5, "plain": 2.0, "mirrored": -1.0}[seen])[4:14].reshape(5, 2)
    np.testing.assert_allclose(transform_points(view_affine(row), settled.face.points), expected, atol=1e-2)
    assert (settled.face.box, settled.face.score, settled.votes) == (label.face.box, label.face.score, 3)


def test_another_network_is_refused(tmp_path: Path) -> None:
    path = write_scrfd(tmp_path / "scrfd.onnx", None, None)
    model = onnx.load(str(path))
    del model.graph.output[6:]
    onnx.save(model, str(path))
    with pytest.raises(ModelError, match="no SCRFD with landmarks and nine outputs"):
        Scrfd(path).settle_points(np.zeros((200, 220, 3), np.uint8), [labelled()[1]])


def test_a_face_that_scrfd_does_not_see_keeps_its_points(tmp_path: Path) -> None:
    scrfd = Scrfd(write_scrfd(tmp_path / "scrfd.onnx", None, None))
    _, label = labelled()
    kept = scrfd.settle_points(np.zeros((200, 220, 3), np.uint8), [label])[0]
    np.testing.assert_allclose(kept.face.points, label.face.points)
