"""A file is told by its tensors or by its shape, and what is not known is refused by its name."""

from pathlib import Path

import pytest

pytest.importorskip("torch")
import torch
from safetensors.torch import save_file
from torch import nn

from sfumato.errors import MissingInputError, ModelError
from sfumato.export import export_onnx
from sfumato.export_segmenter import export_segmenter
from sfumato.nets.cyclegan import ResnetGenerator
from sfumato.nets.detector import DetectorNet
from sfumato.nets.generator import GeneratorLight
from sfumato.nets.paper_unet import PaperUNet
from sfumato.nets.recognise import OTHERS, SIGNS, recognise, recognise_names
from sfumato.nets.segmenter import LightUNet
from sfumato.nets.segmenters import read_segmenter
from sfumato.registry import load_registry, model_path
from sfumato.shapes import recognise_onnx
from tests.unit.small_sams import small_sam, small_sam2, write_sam, write_sam2
from tests.unit.test_restorers import small_restoreformer


def test_each_kind_of_weights_is_told(tmp_path: Path) -> None:
    def stored(net: nn.Module, name: str, prefix: str = "") -> Path:
        path = tmp_path / name
        state = {f"{prefix}{key}": value for key, value in net.state_dict().items()}
        torch.save(state, path) if path.suffix == ".pth" else save_file(state, path)
        return path

    files = {
        stored(ResnetGenerator(width=4), "latest_net_G.pth"): ("stylizer", "CycleGAN's generator"),
        stored(ResnetGenerator(width=4, blocks=6), "parallel.pth", "module."): (
            "stylizer",
            "CycleGAN's generator",
        ),
        stored(GeneratorLight(width=4, blocks=1), "light.safetensors"): ("stylizer", "a light generator"),
        stored(LightUNet(), "unet.safetensors"): ("segmenter", "a light U-Net"),
        stored(PaperUNet(), "paper.pth"): ("segmenter", "a U-Net with an EfficientNet"),
        stored(PaperUNet().unet, "smp.pth"): ("segmenter", "a U-Net with an EfficientNet"),
        small_restoreformer(tmp_path / "RestoreFormer.pth"): ("restorer", "RestoreFormer"),
        write_sam(tmp_path / "sam_vit_b.pth", small_sam()): ("segmenter", "SAM"),
        write_sam2(tmp_path / "sam2.1_hiera_tiny.pt", small_sam2()): ("segmenter", "SAM 2"),
    }
    for path, wanted in files.items():
        found = recognise(path)
        assert (found.task, found.network) == wanted, path


@pytest.mark.parametrize(("make", "network"), [(small_sam, "SAM"), (small_sam2, "SAM 2")])
def test_a_folder_of_hugging_face_is_told(tmp_path: Path, make: object, network: str) -> None:
    make().save_pretrained(tmp_path)  # type: ignore[operator]  # one of two functions
    assert recognise(tmp_path).network == network


def test_gfpgan_is_told_by_the_names_of_its_tensors() -> None:
    from sfumato.nets.torchvision_schema import declare_torchvision_operators

    declare_torchvision_operators()
    from spandrel.architectures.GFPGAN.__arch.gfpganv1_clean_arch import GFPGANv1Clean

    with torch.device("meta"):
        names = (
            GFPGANv1Clean(out_size=512, num_style_feat=512, channel_multiplier=1, sft_half=True)
            .state_dict()
            .keys()
        )
    assert recognise_names(names, Path("GFPGANv1.4.pth")).network == "GFPGAN"


def test_no_network_passes_for_another() -> None:
    for found, signs in SIGNS.items():
        others = [other for other, theirs in SIGNS.items() if other != found and set(theirs) <= set(signs)]
        assert not others, found


@pytest.mark.parametrize(("sign", "name"), OTHERS.items())
def test_networks_that_people_may_try_are_refused_by_name(sign: str, name: str) -> None:
    with pytest.raises(ModelError, match=f"x.pth holds {name}, which sfumato does not run"):
        recognise_names({sign, "other"}, Path("x.pth"))


def test_anything_else_is_refused_with_its_tensors(tmp_path: Path) -> None:
    torch.save({"fc.weight": torch.zeros(2, 2), "fc.bias": torch.zeros(2)}, tmp_path / "x.pth")
    with pytest.raises(
        ModelError, match=r"no network that sfumato knows \(its tensors: fc.bias, fc.weight\)"
    ):
        recognise(tmp_path / "x.pth")
    torch.save({"epoch": 3}, tmp_path / "x.pth")
    with pytest.raises(ModelError, match=r"its tensors: none"):
        recognise(tmp_path / "x.pth")
    with pytest.raises(MissingInputError, match="does not exist"):
        recognise(tmp_path / "none.pth")


def test_files_cut_anywhere_are_refused_in_one_line(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(3), "b": 7}, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    torch.save({"a": torch.zeros(3), "ema": {0: torch.zeros(1)}}, tmp_path / "new.pth")
    for name in ("old.pth", "new.pth"):
        content = (tmp_path / name).read_bytes()
        for end in range(0, len(content), 7):
            (tmp_path / "cut.pth").write_bytes(content[:end])
            with pytest.raises(ModelError, match=r"^[^\n]*$"):
                recognise(tmp_path / "cut.pth")
        with pytest.raises(ModelError, match="no network that sfumato knows"):
            recognise(tmp_path / name)


def test_code_in_a_file_is_not_run(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path(tmp_path / "ran").write_text, ("x",))

    torch.save({"model.1.weight": Evil()}, tmp_path / "x.pth")
    with pytest.raises(ModelError, match="is damaged or holds more than weights"):
        recognise(tmp_path / "x.pth")
    assert not (tmp_path / "ran").exists()


def test_a_u_net_is_read_back_in_all_layouts(tmp_path: Path) -> None:
    torch.manual_seed(0)
    picture = torch.rand(1, 3, 64, 64)
    paper, light = PaperUNet().eval(), LightUNet().eval()
    torch.save({"state_dict": paper.unet.state_dict()}, tmp_path / "smp.pth")
    torch.save(paper.state_dict(), tmp_path / "paper.pth")
    save_file(light.state_dict(), tmp_path / "light.safetensors")
    with torch.no_grad():
        for name, net in (("smp.pth", paper), ("paper.pth", paper), ("light.safetensors", light)):
            torch.testing.assert_close(read_segmenter(tmp_path / name)(picture), net(picture), rtol=0, atol=0)
    state = light.state_dict()
    del state["head.weight"]
    save_file(state, tmp_path / "half.safetensors")
    with pytest.raises(ModelError, match="holds another U-Net than one of nine classes"):
        read_segmenter(tmp_path / "half.safetensors")
    with pytest.raises(ModelError, match="holds no U-Net"):
        read_segmenter(write_sam(tmp_path / "sam.pth", small_sam()))


def test_an_onnx_is_told_by_its_shape(tmp_path: Path) -> None:
    specs = load_registry()
    for name, task in (
        ("monet-light", "stylizer"),
        ("segmenter-light", "segmenter"),
        ("restorer-light", "restorer"),
    ):
        assert task in recognise_onnx(model_path(specs[name]))[0]
    assert recognise_onnx(model_path(specs["segmenter-light"]))[0] == ("segmenter",)
    for name in ("detector-light", "recogniser-light"):
        with pytest.raises(ModelError, match=r"maps input .* which sfumato does not run"):
            recognise_onnx(model_path(specs[name]))
    (tmp_path / "bad.onnx").write_bytes(b"no")
    with pytest.raises(ModelError, match="is damaged or no ONNX"):
        recognise_onnx(tmp_path / "bad.onnx")
    with pytest.raises(MissingInputError, match="does not exist"):
        recognise_onnx(tmp_path / "none.onnx")


def test_an_exported_u_net_is_a_segmenter(tmp_path: Path) -> None:
    export_segmenter(LightUNet(), tmp_path / "u.onnx")
    assert recognise_onnx(tmp_path / "u.onnx")[0] == ("segmenter",)
    example = torch.rand(1, 3, 512, 512)
    export_onnx(nn.Conv2d(3, 3, 1), tmp_path / "r.onnx", example=example, half=False, dynamic=False)
    assert recognise_onnx(tmp_path / "r.onnx")[0] == ("restorer",)
    export_onnx(DetectorNet(), tmp_path / "d.onnx", example=torch.rand(1, 3, 64, 64), outputs=["a", "b"])
    with pytest.raises(ModelError, match="which sfumato does not run"):
        recognise_onnx(tmp_path / "d.onnx")
