"""CycleGAN's generator: the authors' names and shapes, and their formulas computed another way."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.signal import correlate

from sfumato.errors import ModelError
from sfumato.nets.cyclegan import ResnetGenerator, generator_from, initialise
from sfumato.training.card import count_parameters

Array = NDArray[np.float64]


def official_shapes(blocks: int = 9, width: int = 64) -> dict[str, tuple[int, ...]]:
    """Return the names and shapes of a `latest_net_G.pth`, written down from the authors' architecture."""
    w = width
    shapes: dict[str, tuple[int, ...]] = {}

    def convolution(name: str, *weight: int, outputs: int) -> None:
        shapes[f"{name}.weight"] = weight
        shapes[f"{name}.bias"] = (outputs,)

    convolution("model.1", w, 3, 7, 7, outputs=w)
    convolution("model.4", 2 * w, w, 3, 3, outputs=2 * w)
    convolution("model.7", 4 * w, 2 * w, 3, 3, outputs=4 * w)
    for k in range(blocks):
        for place in (1, 5):
            convolution(f"model.{10 + k}.conv_block.{place}", 4 * w, 4 * w, 3, 3, outputs=4 * w)
    last = 10 + blocks
    convolution(f"model.{last}", 4 * w, 2 * w, 3, 3, outputs=2 * w)  # transposed: inputs first
    convolution(f"model.{last + 3}", 2 * w, w, 3, 3, outputs=w)
    convolution(f"model.{last + 7}", 3, w, 7, 7, outputs=3)
    return shapes


@pytest.mark.parametrize("blocks", [6, 9])
def test_names_and_shapes_are_the_authors(blocks: int) -> None:
    net = ResnetGenerator(blocks=blocks)
    assert {name: tuple(t.shape) for name, t in net.state_dict().items()} == official_shapes(blocks)


def test_nine_blocks_have_the_papers_parameters() -> None:
    assert count_parameters(ResnetGenerator()) == 11_378_179


@pytest.mark.parametrize("older", [False, True])
@pytest.mark.parametrize("blocks", [6, 9])
def test_the_authors_files_fit_also_those_with_running_statistics(blocks: int, older: bool) -> None:
    state = {name: torch.randn(shape) for name, shape in official_shapes(blocks, 8).items()}
    extra: dict[str, torch.Tensor] = {}
    if older:
        for norm in ("model.2", "model.5", "model.10.conv_block.2", "model.10.conv_block.6"):
            extra |= {f"{norm}.running_mean": torch.zeros(8), f"{norm}.running_var": torch.ones(8)}
            extra[f"{norm}.num_batches_tracked"] = torch.tensor(3)
    net = generator_from({f"module.{name}" if older else name: t for name, t in (state | extra).items()})
    assert all(torch.equal(t, state[name]) for name, t in net.state_dict().items())


@pytest.mark.parametrize("upsampling", ["transposed", "resize"])
@pytest.mark.parametrize("dropout", [False, True])
def test_own_files_of_every_kind_fit(upsampling: str, dropout: bool) -> None:
    net = ResnetGenerator(blocks=2, width=4, upsampling=upsampling, dropout=dropout).eval()  # type: ignore[arg-type]
    again = generator_from(net.state_dict()).eval()
    picture = torch.rand(1, 3, 16, 20)
    with torch.no_grad():
        torch.testing.assert_close(again(picture), net(picture))


def test_tensors_of_another_network_are_refused() -> None:
    with pytest.raises(ModelError, match="holds no CycleGAN generator"):
        generator_from({"conv.weight": torch.zeros(3)})
    state = ResnetGenerator(blocks=1, width=4).state_dict()
    with pytest.raises(ModelError, match="another network than CycleGAN's generator of 1 blocks"):
        generator_from(state | {"model.4.weight": torch.zeros(3)})


def convolve(
    x: Array, weight: Array, bias: Array, *, pad: int, reflect: bool = True, stride: int = 1
) -> Array:
    """Return a convolution of CxHxW as networks define it, by scipy."""
    mode: Callable[[Array], Array] = lambda plane: np.pad(plane, pad, "reflect" if reflect else "constant")  # noqa: E731
    padded = np.stack([mode(plane) for plane in x])
    sums = [correlate(padded, kernel, "valid")[0] + b for kernel, b in zip(weight, bias, strict=True)]
    return np.stack(sums)[:, ::stride, ::stride]


def convolve_back(x: Array, weight: Array, bias: Array) -> Array:
    """Return the transposed convolution of stride 2: each input pixel adds its weighted kernel to the output."""
    inputs, height, width = x.shape
    wide = np.zeros((weight.shape[1], 2 * height + 2, 2 * width + 2))
    for c in range(inputs):
        for i in range(height):
            for j in range(width):
                wide[:, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3] += x[c, i, j] * weight[c]
    return wide[:, 1 : 1 + 2 * height, 1 : 1 + 2 * width] + bias[:, None, None]


def normalise(x: Array) -> Array:
    mean, variance = x.mean((1, 2), keepdims=True), x.var((1, 2), keepdims=True)
    return np.asarray((x - mean) / np.sqrt(variance + 1e-5))


def rectify(x: Array) -> Array:
    return np.maximum(normalise(x), 0)


def paint(rgb: Array, p: dict[str, Array], blocks: int) -> Array:
    """Return what the paper's appendix 7.2 describes, in double precision."""

    def weights(name: str) -> tuple[Array, Array]:
        return p[f"{name}.weight"], p[f"{name}.bias"]

    x = rectify(convolve(2 * rgb - 1, *weights("model.1"), pad=3))
    for name in ("model.4", "model.7"):
        x = rectify(convolve(x, *weights(name), pad=1, reflect=False, stride=2))
    for k in range(10, 10 + blocks):
        y = rectify(convolve(x, *weights(f"model.{k}.conv_block.1"), pad=1))
        x = x + normalise(convolve(y, *weights(f"model.{k}.conv_block.5"), pad=1))
    for k in (10 + blocks, 13 + blocks):
        x = rectify(convolve_back(x, *weights(f"model.{k}")))
    return (np.tanh(convolve(x, *weights(f"model.{17 + blocks}"), pad=3)) + 1) / 2


def test_it_computes_what_the_paper_describes() -> None:
    torch.manual_seed(0)
    net = ResnetGenerator(blocks=2, width=4).double().eval()
    picture = torch.rand(3, 16, 12, dtype=torch.float64)
    with torch.no_grad():
        painted = net(picture[None])[0].numpy()
    expected = paint(picture.numpy(), {name: t.numpy() for name, t in net.state_dict().items()}, 2)
    np.testing.assert_allclose(painted, expected, atol=1e-9)


def test_weights_start_as_the_paper_says() -> None:
    net = ResnetGenerator(blocks=1, width=32)
    initialise(net)
    drawn = torch.cat([t.flatten() for name, t in net.state_dict().items() if name.endswith("weight")])
    assert drawn.std().item() == pytest.approx(0.02, rel=0.02)
    assert not any(t.any() for name, t in net.state_dict().items() if name.endswith("bias"))
