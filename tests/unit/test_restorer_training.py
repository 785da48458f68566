"""The light restorer: its network, a step of its training, its export and its measures."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from skimage.metrics import peak_signal_noise_ratio

from sfumato.backends import OpenVinoBackend
from sfumato.errors import InputError, MissingInputError
from sfumato.evaluation.identity import identity_cosine, recognition_batch
from sfumato.evaluation.restoration import (
    LEVELS,
    feature_distance,
    measure_restoration,
    peak_signal_to_noise,
    similarity_of_structure,
)
from sfumato.nets import restorer as nets
from sfumato.nets.recogniser import MobileFaceNet
from sfumato.nets.vgg import VggFeatures
from sfumato.stages.likeness import recognition_crop
from sfumato.training.degradation import Degradation
from sfumato.training.loop import Schedule
from sfumato.training.restorer import (
    RestorerTrainer,
    draw_crop,
    read_faces,
    train_restorer,
)
from sfumato.training.restorer_export import export_restorer
from sfumato.training.restorer_losses import identity_loss, local_deviation
from sfumato.training.restorer_options import RestorerOptions
from sfumato.types import Image


def _face(seed: int, size: int = 96) -> Image:
    coarse = np.random.default_rng(seed).integers(0, 256, (size // 8, size // 8, 3), dtype=np.uint8)
    return coarse.repeat(8, 0).repeat(8, 1)


def _options(steps: int) -> RestorerOptions:
    schedule = Schedule(steps, warmup=2)
    return RestorerOptions(
        Path("faces"), Path("vgg.pth"), schedule, batch=2, crop=32, window=32, pixels_only=4
    )


@pytest.fixture
def vgg() -> VggFeatures:
    torch.manual_seed(0)
    return VggFeatures().requires_grad_(False).eval()


def test_an_untrained_network_returns_its_input_at_any_size() -> None:
    picture = torch.rand(1, 3, 48, 80)
    assert torch.equal(nets.LightRestorer()(picture), picture)


def test_the_network_has_about_two_million_parameters() -> None:
    count = sum(p.numel() for p in nets.LightRestorer().parameters())
    assert 1_500_000 < count < 2_500_000


def test_a_few_steps_lower_the_loss(vgg: VggFeatures) -> None:
    trainer = RestorerTrainer(_options(8), [_face(k) for k in range(2)], vgg)
    batch = trainer.sample(np.random.default_rng(0))
    losses = [trainer.step(batch)["pixel"] for _ in range(8)]
    assert losses[-1] < 0.95 * losses[0]


def test_a_batch_depends_on_the_seed_alone(vgg: VggFeatures) -> None:
    trainer = RestorerTrainer(_options(1), [_face(0)], vgg)
    first, second = (trainer.sample(np.random.default_rng(3)) for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in ("damaged", "good"))
    assert first["damaged"].shape == (2, 3, 32, 32)


def test_a_crop_has_the_asked_side_and_leaves_the_face_as_it_was() -> None:
    face = _face(1)
    before = face.copy()
    crops = [draw_crop(face, 64, np.random.default_rng(k)) for k in range(8)]
    assert {crop.shape for crop in crops} == {(64, 64, 3)} and np.array_equal(face, before)


def test_the_local_deviation_agrees_with_numpy() -> None:
    features = torch.rand(1, 2, 16, 16, generator=torch.Generator().manual_seed(0))
    deviation = local_deviation(features, 8)
    assert deviation.shape == (1, 2, 3, 3)
    assert float(deviation[0, 1, 2, 0]) == pytest.approx(
        float(features[0, 1, 8:, :8].numpy().std()), abs=1e-4
    )


def test_the_export_computes_what_the_network_computes(tmp_path: Path) -> None:
    net = nets.LightRestorer()
    torch.nn.init.normal_(net.leave.weight, std=0.01)
    path = export_restorer(net, _options(1), tmp_path, 1)
    picture = torch.rand(1, 3, 64, 32)
    answer = OpenVinoBackend(path, exact=True).run({"input": picture.numpy()})[0]
    assert np.abs(answer - net(picture).detach().numpy()).max() < 4e-3  # weights are stored as float16
    assert path.stat().st_size < 8e6 and path.with_suffix(".md").is_file()


def test_a_folder_without_pictures_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="no pictures"):
        read_faces(tmp_path)


def test_psnr_agrees_with_scikit_image() -> None:
    first, second = _face(0), _face(1)
    expected = peak_signal_noise_ratio(first, second)  # type: ignore[no-untyped-call]  # it has no types
    assert peak_signal_to_noise(first, second) == pytest.approx(expected, abs=1e-9)
    assert peak_signal_to_noise(first, first) == 100


def test_equal_pictures_have_ssim_one_and_no_feature_distance(vgg: VggFeatures) -> None:
    face = _face(0)
    assert similarity_of_structure(face, face) == pytest.approx(1)
    assert feature_distance(vgg)(face, face) == 0
    assert feature_distance(vgg)(face, _face(1)) > 0.1


def test_rows_hold_the_scores_of_each_face_and_are_repeatable() -> None:
    faces = [_face(0), _face(1)]
    levels = {"sharp": Degradation(), "noisy": Degradation(noise=9.0)}
    measures = {"psnr": peak_signal_to_noise}
    rows = measure_restoration(faces, {"none": lambda face: face}, measures, levels=levels)
    assert [(row.level, row.method) for row in rows] == [("sharp", "none"), ("noisy", "none")]
    assert list(rows[0].scores["psnr"]) == [100, 100]
    assert len(rows[0].seconds) == 2
    assert 25 < min(rows[1].scores["psnr"]) < rows[1].mean("psnr") < max(rows[1].scores["psnr"]) < 35
    assert rows == measure_restoration(faces, {"none": lambda face: face}, measures, levels=levels)


def test_the_levels_of_damage_grow() -> None:
    rows = measure_restoration([_face(5)], {"none": lambda face: face}, {"psnr": peak_signal_to_noise})
    scores = [row.mean("psnr") for row in rows]
    assert [row.level for row in rows] == list(LEVELS)
    assert scores == sorted(scores, reverse=True)


def test_a_face_is_identical_to_itself() -> None:
    torch.manual_seed(0)
    net = MobileFaceNet().eval()
    face = _face(0, 512)
    assert identity_cosine(net, face, face) == pytest.approx(1, abs=1e-6)
    assert identity_cosine(net, face, _face(1, 512)) < 1


def test_the_crop_for_recognition_is_the_one_that_is_measured() -> None:
    """Two ways to one crop: by OpenCV for a picture, differentiable for a batch."""
    face = cv2.GaussianBlur(_face(2, 512), (0, 0), 4).astype(np.uint8)
    batch = torch.from_numpy(face.transpose(2, 0, 1)[None] / np.float32(255)).requires_grad_()
    crop = recognition_batch(batch)
    np.testing.assert_allclose(crop.detach().numpy()[0], recognition_crop(face), atol=0.02)
    crop.sum().backward()  # type: ignore[no-untyped-call]  # torch's own stub
    assert batch.grad is not None and float(batch.grad.abs().max()) > 0


def test_the_identity_loss_is_zero_for_the_same_face_and_moves_the_network(vgg: VggFeatures) -> None:
    torch.manual_seed(0)
    judge = MobileFaceNet().requires_grad_(False).eval()
    good = torch.rand(1, 3, 512, 512)
    assert float(identity_loss(judge, good, good)) == pytest.approx(0, abs=1e-6)
    options = replace(_options(3), recognition=Path("net.ckpt"), whole_share=1.0)
    trainer = RestorerTrainer(options, [_face(k, 512) for k in range(2)], vgg, judge)
    batch = trainer.sample(np.random.default_rng(0))
    assert batch["whole_damaged"].shape == (1, 3, 512, 512)
    assert trainer.step(batch)["identity"] > 0


def test_the_discriminator_counts_once_pixels_are_not_all(vgg: VggFeatures) -> None:
    trainer = RestorerTrainer(_options(6), [_face(0)], vgg)
    batch = trainer.sample(np.random.default_rng(0))
    accused = [trainer.step(batch)["adversarial"] for _ in range(6)]
    assert [value > 0 for value in accused] == [False] * 4 + [True] * 2


def test_a_training_goes_on_from_a_model(vgg: VggFeatures, tmp_path: Path) -> None:
    net = nets.LightRestorer()
    torch.nn.init.normal_(net.leave.weight, std=0.01)
    save_file(net.state_dict(), tmp_path / "start.safetensors")
    options = replace(_options(1), start=tmp_path / "start.safetensors")
    trainer = RestorerTrainer(options, [_face(0)], vgg)
    for mine in (trainer.net, trainer.average):
        torch.testing.assert_close(dict(mine.state_dict()), dict(net.state_dict()))


@pytest.mark.long
def test_a_run_that_was_cut_off_goes_on_from_the_same_start_and_from_no_other(
    vgg: VggFeatures, tmp_path: Path
) -> None:
    """It could not: what it was to compare with was not in the file that it had written."""
    faces, run = tmp_path / "faces", tmp_path / "run"
    faces.mkdir()
    cv2.imwrite(str(faces / "0.png"), _face(0))
    torch.save(vgg.layers.state_dict(), tmp_path / "vgg.pth")
    net = nets.LightRestorer()
    save_file(net.state_dict(), tmp_path / "start.safetensors")
    options = replace(_options(2), images=faces, vgg=tmp_path / "vgg.pth")
    train_restorer(options, run, print)
    longer = replace(options, schedule=replace(options.schedule, steps=3))
    assert train_restorer(longer, run, print).is_file()
    with pytest.raises(InputError, match="started from fresh weights"):
        train_restorer(replace(longer, start=tmp_path / "start.safetensors"), run, print)
