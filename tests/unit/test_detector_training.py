"""The detector's network, targets and losses, and a training of a few steps."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from sfumato.nets.detector import DetectorNet
from sfumato.stages.detect import STRIDES
from sfumato.stages.face_rows import decode_map, encode_cell
from sfumato.training.detector import DetectorTrainer, export_detector
from sfumato.training.detector_targets import box_overlaps, decode_maps, detector_losses, encode_scene
from sfumato.training.scene_decoys import find_decoy, mark_busy
from sfumato.training.scene_layers import NO_BOXES, Layer, SceneSources, turned_more_often
from sfumato.training.scenes import Scene

Rows = NDArray[np.float32]


def face_row(centre: float, side: float) -> Rows:
    """Return a square upright face."""
    offsets = np.array([[-0.2, -0.1], [0.2, -0.1], [0.0, 0.1], [-0.15, 0.3], [0.15, 0.3]]) * side
    box = [centre - side / 2] * 2 + [centre + side / 2] * 2
    return np.array([*box, *(offsets + centre).reshape(-1), 1.0], dtype=np.float32)


def scene_of(*rows: Rows, ignored: Rows = NO_BOXES) -> Scene:
    return Scene(np.zeros((128, 128, 3), dtype=np.uint8), np.array(rows).reshape(-1, 15), ignored)


def perfect_maps(scene: Scene) -> tuple[torch.Tensor, ...]:
    """Return maps that say of every owned cell exactly what the targets ask."""
    maps = []
    for stride in STRIDES:
        target = encode_scene(scene, stride)
        output = np.zeros_like(target)
        output[0] = -20
        for y, x in np.argwhere(target[0] == 1):
            row = np.append(target[1:, y, x], 20.0).astype(np.float32)
            output[:, y, x] = encode_cell(row, stride, (int(x), int(y)))
        maps.append(torch.from_numpy(output)[None])
    return tuple(maps)


def targets_of(scene: Scene) -> tuple[torch.Tensor, torch.Tensor]:
    first, second = (torch.from_numpy(encode_scene(scene, stride))[None] for stride in STRIDES)
    return first, second


@pytest.mark.parametrize("side", [20.0, 60.0, 110.0])
def test_perfect_answers_cost_nothing(side: float) -> None:
    scene = scene_of(face_row(63.0, side))
    fine, coarse = perfect_maps(scene)
    losses = detector_losses((fine, coarse), targets_of(scene))
    assert all(float(loss) < 1e-3 for loss in losses.values())


def test_small_faces_belong_to_the_fine_map_and_large_ones_to_the_coarse() -> None:
    small, large = scene_of(face_row(63, 24)), scene_of(face_row(63, 110))
    owned = [[int((encode_scene(s, stride)[0] == 1).sum()) for stride in STRIDES] for s in (small, large)]
    assert owned[0][0] > 0 and owned[0][1] == 0
    assert owned[1][0] == 0 and owned[1][1] > 0


def test_the_surest_mistake_outside_faces_becomes_a_decoy() -> None:
    image = np.random.default_rng(0).integers(0, 256, (128, 128, 3), dtype=np.uint8)
    output = np.full((15, 16, 16), -9, dtype=np.float32)
    output[0, 3, 4], output[0, 9, 9] = 1.0, 3.0
    output[3:5] = np.log(3)
    nothing_busy = mark_busy(image.shape, [])
    surest = find_decoy(image, output, 8, nothing_busy)
    assert surest is not None
    np.testing.assert_array_equal(surest.image, image[57:95, 57:95])
    face = np.array([64, 64, 96, 96], dtype=np.float32)
    other = find_decoy(image, output, 8, mark_busy(image.shape, [face]))
    assert other is not None
    np.testing.assert_array_equal(other.image, image[9:47, 17:55])
    everywhere = np.array([0, 0, 128, 128], dtype=np.float32)
    assert find_decoy(image, output, 8, mark_busy(image.shape, [everywhere])) is None


def test_an_ignored_box_does_not_count() -> None:
    box = np.array([[40, 40, 80, 80]], dtype=np.float32)
    states = encode_scene(scene_of(ignored=box), 8)[0]
    assert states.min() == -1 and states.max() == 0


def test_torch_and_numpy_decode_alike() -> None:
    output = torch.randn(1, 15, 5, 6, generator=torch.Generator().manual_seed(0))
    boxes, points = decode_maps(output, 8)
    rows = decode_map(output[0].numpy(), 8, seen=-100.0)
    expected = torch.cat([boxes, points], dim=1)[0].flatten(1).T.numpy()
    np.testing.assert_allclose(rows[:, :14], expected, atol=1e-3)


def test_overlap_of_equal_boxes_is_one_and_of_distant_ones_negative() -> None:
    a = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 10]])
    b = torch.tensor([[0.0, 0, 10, 10], [30, 0, 40, 10]])
    overlap, generalized = box_overlaps(a, b)
    assert overlap.tolist() == [1, 0]
    assert generalized.tolist() == [1, -0.5]


def test_a_few_steps_lower_the_loss_and_the_export_is_faithful(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (140, 140, 3), dtype=np.uint8)
    layer = Layer(image, None, face_row(70, 80)[None], NO_BOXES)
    cut = Layer(image, np.full((140, 140), 255, dtype=np.uint8), layer.rows, NO_BOXES)
    trainer = DetectorTrainer(
        SceneSources([cut], [layer], [image], turned_more_often([layer])), batch=2, rate=3e-3
    )
    batch = trainer.sample(rng)
    totals = [trainer.step(batch)["total"] for _ in range(8)]
    assert totals[-1] < totals[0]
    assert export_detector(trainer.average, tmp_path / "net.onnx").stat().st_size < 2_000_000


def test_the_maps_have_the_strides_they_promise() -> None:
    with torch.no_grad():
        maps = DetectorNet().eval()(torch.rand(1, 3, 64, 96))
    assert [tuple(m.shape) for m in maps] == [(1, 15, 8, 12), (1, 15, 4, 6)]
    assert all(0 <= float(m[:, 0].min()) <= float(m[:, 0].max()) <= 1 for m in maps)
