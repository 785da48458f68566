"""Segment Anything in its authors' layout, small and random: read, converted, and asked as the pipeline asks."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

pytest.importorskip("torch")
pytest.importorskip("transformers")
import torch

from sfumato.backends import OpenVinoBackend, inspect_model
from sfumato.conversion import DECODER, ENCODER
from sfumato.errors import MissingInputError, ModelError
from sfumato.export_sam import export_sam
from sfumato.geometry import FFHQ_TEMPLATE, transform_points
from sfumato.nets.sam import SamDecoder, SamEncoder, authors_names, facts_of, read_sam, sam_of
from sfumato.stages.sam import (
    LABELS,
    SamSegmenter,
    choose_mask,
    draw_oval,
    make_prompts,
    overlap,
    square_affine,
    to_square,
    with_region,
)
from sfumato.stages.sam_facts import KEY, SamFacts, read_sam_facts
from sfumato.stages.segment import LightSegmenter
from sfumato.types import Face
from tests.unit.small_sams import SIDE, small_sam, small_sam2, write_sam, write_sam2

MATRIX = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


def face_at(scale: float = 0.25, x: float = 10.0, y: float = 5.0) -> Face:
    """Return an upright face whose aligned crop is the picture, scaled and moved."""
    points = FFHQ_TEMPLATE * scale + (x, y)
    a, b, c, d, e = ((float(px), float(py)) for px, py in points)
    box = (125 * scale + x, 95 * scale + y, 390 * scale + x, 465 * scale + y)
    return Face(box, (a, b, c, d, e), 0.9)


# --- reading -------------------------------------------------------------------------------------------------


def test_a_sam_in_its_authors_layout_is_the_network_it_was(tmp_path: Path) -> None:
    model = small_sam()
    read: Any = read_sam(write_sam(tmp_path / "sam.pth", model))
    assert read.config.vision_config.to_dict() == model.config.vision_config.to_dict()
    assert read.config.mask_decoder_config.to_dict() == model.config.mask_decoder_config.to_dict()
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(read.state_dict()[name], tensor, rtol=0, atol=0, msg=name)
    assert facts_of(read) == SamFacts("pad", SIDE)


def test_the_authors_names_are_those_of_their_files() -> None:
    names = set(authors_names(small_sam()))
    assert {
        "image_encoder.pos_embed",
        "image_encoder.blocks.0.attn.rel_pos_h",
        "image_encoder.blocks.2.norm2.weight",
        "image_encoder.neck.1.weight",
        "image_encoder.neck.3.bias",
        "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix",
        "prompt_encoder.point_embeddings.3.weight",
        "prompt_encoder.not_a_point_embed.weight",
        "prompt_encoder.mask_downscaling.4.weight",
        "mask_decoder.transformer.layers.1.cross_attn_token_to_image.out_proj.bias",
        "mask_decoder.transformer.norm_final_attn.weight",
        "mask_decoder.output_upscaling.1.weight",
        "mask_decoder.output_hypernetworks_mlps.3.layers.2.weight",
        "mask_decoder.iou_prediction_head.layers.1.bias",
    } <= names
    assert len(names) == len(small_sam().state_dict()) - 1


def test_a_sam_2_in_its_authors_layout_is_the_network_it_was(tmp_path: Path) -> None:
    model = small_sam2()
    read = read_sam(write_sam2(tmp_path / "sam2.pt", model))
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(read.state_dict()[name], tensor, rtol=0, atol=0, msg=name)
    assert facts_of(read) == SamFacts("stretch", 1024)
    with pytest.raises(ValueError, match="only SAM is written"):
        authors_names(read)


@pytest.mark.parametrize("make", [small_sam, small_sam2])
def test_a_folder_of_hugging_face_is_read_without_its_hub(tmp_path: Path, make: Any) -> None:
    model = make()
    model.save_pretrained(tmp_path / "sam")
    read = read_sam(tmp_path / "sam")
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(read.state_dict()[name], tensor, rtol=0, atol=0, msg=name)


def test_a_safetensors_of_the_authors_names_is_read_as_well(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    model = small_sam()
    save_file(
        {name: tensor.clone() for name, tensor in authors_names(model).items()}, tmp_path / "sam.safetensors"
    )
    read = read_sam(tmp_path / "sam.safetensors")
    torch.testing.assert_close(read.state_dict(), model.state_dict(), rtol=0, atol=0)


def test_what_holds_no_sam_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "other.pth"
    with pytest.raises(MissingInputError, match="does not exist"):
        read_sam(path)
    torch.save({"a": torch.zeros(1)}, path)
    with pytest.raises(ModelError, match="holds no Segment Anything; name a file of SAM or SAM 2"):
        read_sam(path)
    torch.save([1], path)
    with pytest.raises(ModelError, match="holds no weights by name"):
        read_sam(path)
    path.write_bytes(b"\x80\x02half")
    with pytest.raises(ModelError, match="is damaged or holds more than weights"):
        read_sam(path)
    state = authors_names(small_sam())
    del state["mask_decoder.iou_token.weight"]
    with pytest.raises(ModelError, match="holds another network than SAM or SAM 2"):
        sam_of(state, path)


@pytest.mark.parametrize("config", ["", "{}", '{"model_type": "bert"}', "[1]"])
def test_a_folder_of_something_else_is_refused(tmp_path: Path, config: str) -> None:
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(ModelError, match=r"has no config\.json|holds a network of|name a"):
        read_sam(tmp_path)


def test_a_folder_with_a_pickle_alone_is_refused(tmp_path: Path) -> None:
    small_sam().save_pretrained(tmp_path / "sam")
    (tmp_path / "sam" / "model.safetensors").unlink()
    torch.save(small_sam().state_dict(), tmp_path / "sam" / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"get a whole copy, with model\.safetensors"):
        read_sam(tmp_path / "sam")


def test_a_folder_that_lacks_a_tensor_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    small_sam().save_pretrained(tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    del state["mask_decoder.iou_token.weight"]
    save_file(state, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"holds no mask_decoder\.iou_token\.weight; get a whole copy"):
        read_sam(tmp_path)


def test_half_precision_and_other_wrappings_are_read(tmp_path: Path) -> None:
    model = small_sam()
    state = {f"module.{name}": tensor.half() for name, tensor in authors_names(model).items()}
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "sam.pth")
    read: Any = read_sam(tmp_path / "sam.pth")
    assert {tensor.dtype for tensor in read.state_dict().values()} == {torch.float32}
    model.half().save_pretrained(tmp_path / "folder")
    assert {tensor.dtype for tensor in read_sam(tmp_path / "folder").state_dict().values()} == {torch.float32}


def test_picture_and_prompts_share_one_matrix_of_places(tmp_path: Path) -> None:
    small_sam().save_pretrained(tmp_path / "folder")
    for path in (write_sam(tmp_path / "sam.pth", small_sam()), tmp_path / "folder"):
        read: Any = read_sam(path)
        assert (
            read.shared_image_embedding.positional_embedding
            is read.prompt_encoder.shared_embedding.positional_embedding
        )


# --- computing -----------------------------------------------------------------------------------------------


def prompts_for(side: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    prompts = make_prompts(face_at(side / 600, 5, 5))
    return (
        torch.from_numpy(prompts.points)[None, None],
        torch.from_numpy(LABELS)[None, None],
        torch.tensor([[prompts.box]], dtype=torch.float32),
    )


@pytest.mark.parametrize(("make", "side"), [(small_sam, SIDE), (small_sam2, 1024)])
def test_both_parts_compute_what_transformers_computes_as_a_whole(make: Any, side: int) -> None:
    model = make()
    rgb = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(1))
    points, labels, boxes = prompts_for(side)
    encoder, decoder = SamEncoder(model), SamDecoder(model)
    with torch.no_grad():
        masks, expected = decoder(points, labels, boxes, *encoder(rgb))
        mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
        deviation = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
        whole = model(
            pixel_values=(rgb - mean) / deviation,
            input_points=points,
            input_labels=labels.long(),
            input_boxes=boxes,
            multimask_output=True,
        )
    scale = float(whole.pred_masks.abs().max())
    torch.testing.assert_close(masks, whole.pred_masks[:, 0], rtol=1e-4, atol=1e-4 * scale)
    torch.testing.assert_close(expected, whole.iou_scores[:, 0], rtol=1e-4, atol=1e-4)


def test_an_exported_sam_says_how_it_sees_and_computes_the_same(tmp_path: Path) -> None:
    model = small_sam()
    export_sam(model, tmp_path, Path("sam.pth"))
    facts = read_sam_facts(inspect_model(tmp_path / ENCODER, KEY).metadata, "sam")
    assert facts == facts_of(model)
    rgb = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(2))
    points, labels, boxes = prompts_for(SIDE)
    with torch.no_grad():
        (embedding,) = SamEncoder(model)(rgb)
        masks, _ = SamDecoder(model)(points, labels, boxes, embedding)
    (found,) = OpenVinoBackend(tmp_path / ENCODER, exact=True).run({"rgb": rgb.numpy()})
    assert np.abs(found - embedding.numpy()).max() < 0.02 * float(embedding.abs().max())
    drawn, _ = OpenVinoBackend(tmp_path / DECODER, exact=True).run(
        {"points": points.numpy(), "labels": labels.numpy(), "boxes": boxes.numpy(), "embedding0": found}
    )
    assert np.abs(drawn - masks.numpy()).max() < 0.05 * float(masks.abs().max())
    assert sorted(path.name for path in tmp_path.iterdir()) == [DECODER, ENCODER]


@pytest.mark.long
def test_a_sam_2_is_exported_with_its_three_embeddings(tmp_path: Path) -> None:
    export_sam(small_sam2(), tmp_path, Path("sam2.pt"))
    shape = inspect_model(tmp_path / DECODER, KEY)
    assert {"embedding0", "embedding1", "embedding2"} <= shape.inputs.keys()


def test_a_conversion_that_differs_is_refused_and_leaves_what_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sfumato.export_sam.TOLERANCE", 0.0)
    (tmp_path / ENCODER).write_bytes(b"before")
    with pytest.raises(ModelError, match=r"^sam\.pth cannot be converted: "):
        export_sam(small_sam(), tmp_path, Path("sam.pth"))
    assert (tmp_path / ENCODER).read_bytes() == b"before"
    assert not list(tmp_path.glob(".exporting*"))


# --- asking --------------------------------------------------------------------------------------------------

faces = st.builds(face_at, st.floats(0.05, 2), st.floats(-50, 200), st.floats(-50, 200))


@given(faces)
def test_points_on_the_face_lie_in_its_oval_and_those_beside_it_do_not(face: Face) -> None:
    prompts, size = make_prompts(face), 900
    oval = draw_oval(face, np.array([[1.0, 0.0, 200.0], [0.0, 1.0, 200.0]]), (1700, 1700))
    for (x, y), label in zip(prompts.points + 200, LABELS, strict=True):
        place = round(float(y)), round(float(x))
        assert size and oval[place] == bool(label), (place, label)


@given(faces, st.sampled_from(["pad", "stretch"]), st.integers(20, 300), st.integers(20, 300))
def test_prompts_follow_the_picture_into_the_square(face: Face, fit: Any, height: int, width: int) -> None:
    facts = SamFacts(fit, 128)
    matrix = square_affine((height, width), facts)
    moved = make_prompts(face).within(matrix)
    np.testing.assert_allclose(moved.points, transform_points(matrix, make_prompts(face).points), atol=1e-3)
    corner = transform_points(matrix, np.array([[-0.5, -0.5], [width - 0.5, height - 0.5]], dtype=np.float32))
    scale = 128 / max(height, width)
    far = (128, 128) if fit == "stretch" else (scale * width, scale * height)
    np.testing.assert_allclose(corner, [[-0.5, -0.5], [far[0] - 0.5, far[1] - 0.5]], atol=1e-3)
    assert moved.box[0] < moved.box[2] and moved.box[1] < moved.box[3]


@given(st.integers(1, 90), st.integers(1, 90))
def test_a_padded_square_shows_the_picture_and_else_the_mean(height: int, width: int) -> None:
    image = np.full((height, width, 3), 7, np.uint8)
    square = to_square(image, SamFacts("pad", 64))
    rows, columns = (max(1, round(64 / max(height, width) * side)) for side in (height, width))
    assert (square[:rows, :columns] == 7).all()
    assert (square[rows:] == (124, 116, 104)).all() and (square[:, columns:] == (124, 116, 104)).all()
    assert (to_square(image, SamFacts("stretch", 64)) == 7).all()


def test_the_face_is_chosen_among_face_person_and_eye() -> None:
    face = face_at(0.25, 0, 0)
    oval = draw_oval(face, MATRIX, (128, 128))
    whole, eye = np.ones((128, 128), bool), np.zeros((128, 128), bool)
    eye[58:62, 46:52] = True
    near = cv2.dilate(oval.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    logits = np.stack([np.where(mask, 5.0, -5.0) for mask in (whole, near, eye)]).astype(np.float32)
    assert choose_mask(logits, np.array([0.9, 0.8, 0.95], np.float32), oval) == 1
    assert choose_mask(logits[[1, 0, 2]], np.array([0.8, 0.9, 0.95], np.float32), oval) == 0


def test_overlap_is_intersection_over_union() -> None:
    a, b = np.zeros((4, 4), bool), np.zeros((4, 4), bool)
    assert overlap(a, b) == 0.0
    a[:2], b[1:3] = True, True
    assert overlap(a, b) == pytest.approx(1 / 3)
    assert overlap(a, a) == 1.0


@given(st.integers(0, 2**32 - 1), st.booleans())
def test_classes_share_what_sam_calls_face_and_sum_to_one(seed: int, sharp: bool) -> None:
    rng = np.random.default_rng(seed)
    drawn = rng.random((9, 5, 6)).astype(np.float32) ** (40 if sharp else 1) + 1e-12
    probabilities = (drawn / drawn.sum(axis=0)).astype(np.float32)
    region = rng.random((5, 6)).astype(np.float32)
    region[0], region[1] = 0, 1
    dealt = with_region(probabilities, region)
    np.testing.assert_allclose(dealt.sum(axis=0), 1, atol=1e-4)
    np.testing.assert_allclose(dealt[2:].sum(axis=0), region, atol=1e-4)
    seen = probabilities[2:].sum(axis=0) > 0.01
    shares = probabilities[2:] / probabilities[2:].sum(axis=0)
    np.testing.assert_allclose(dealt[2:][:, seen], (shares * region)[:, seen], atol=1e-3)


class Counting:
    """A backend that answers with what it was given, and counts."""

    def __init__(self, answers: Sequence[NDArray[np.float32]]) -> None:
        self.answers = answers
        self.asked: list[dict[str, NDArray[np.float32]]] = []

    def run(self, inputs: Mapping[str, NDArray[np.float32]]) -> Sequence[NDArray[np.float32]]:
        self.asked.append(dict(inputs))
        return self.answers


class Skin:
    """A U-Net that sees nothing but skin."""

    def run(self, inputs: Mapping[str, NDArray[np.float32]]) -> Sequence[NDArray[np.float32]]:
        batch, _, height, width = inputs["input"].shape
        seen = np.zeros((batch, 9, height, width), np.float32)
        seen[:, 2] = 1
        return [seen]


def test_a_picture_is_embedded_once_for_all_of_its_faces() -> None:
    encoder = Counting([np.zeros((1, 4, 8, 8), np.float32)])
    decoder = Counting([np.full((1, 3, 32, 32), 9, np.float32), np.ones((1, 3), np.float32)])
    segment = SamSegmenter(encoder, decoder, SamFacts("pad", 64), LightSegmenter(Skin()))
    image = np.zeros((150, 200, 3), np.uint8)
    parsing = segment(image, [face_at(0.2, 0, 0), face_at(0.2, 90, 20), face_at(0.15, 60, 60)])
    assert (len(encoder.asked), len(decoder.asked), len(parsing.faces)) == (1, 3, 3)
    assert encoder.asked[0]["rgb"].shape == (1, 3, 64, 64)
    assert not np.array_equal(decoder.asked[0]["points"], decoder.asked[1]["points"])
    assert (decoder.asked[0]["labels"] == LABELS).all()
    segment(image, [])
    assert len(encoder.asked) == 1  # nothing to find


def test_the_face_is_where_sam_says_and_nowhere_else() -> None:
    image, face = np.zeros((128, 128, 3), np.uint8), face_at(0.25, 0, 0)
    half = np.full((1, 3, 64, 64), -9, np.float32)
    half[..., :, 32:] = 9  # the right half of the picture
    decoder = Counting([half, np.ones((1, 3), np.float32)])
    segment = SamSegmenter(
        Counting([np.zeros((1, 1, 1, 1), np.float32)]), decoder, SamFacts("pad", 64), LightSegmenter(Skin())
    )
    labels = segment(image, [face]).labels()
    assert (labels[50:80, 70:100] == 2).all()
    assert (labels[50:80, 25:58] == 1).all()  # the U-Net saw skin there, which then is person


@pytest.mark.parametrize(
    "text", [None, "", "{}", "[1]", '{"fit": "crop", "side": 3}', '{"fit": "pad", "side": 0}']
)
def test_an_encoder_that_does_not_say_how_it_sees_is_refused(text: str | None) -> None:
    with pytest.raises(ModelError, match=r"of how it sees pictures|does not say how it sees pictures"):
        read_sam_facts(text, "encoder.onnx")
    assert read_sam_facts(SamFacts("pad", 1024).write(), "x") == SamFacts("pad", 1024)
