"""The OpenVINO backend: same numbers from many threads, and clear refusals."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest
import torch
from torch import nn

from sfumato.backends import OpenVinoBackend, TorchBackend, check_device, make_backend
from sfumato.errors import BackendMissingError, ModelError
from sfumato.export import check_parity, export_onnx, halve_weights, parity
from sfumato.registry import load_registry, model_path


class Tiny(nn.Module):
    """Two convolutions, one at half size."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(3, 16, 3, stride=2, padding=1), nn.BatchNorm2d(16), nn.ReLU())
        self.up = nn.Sequential(nn.Upsample(scale_factor=2.0), nn.Conv2d(16, 3, 3, padding=1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map Nx3xHxW to the same shape."""
        return self.up(self.down(x))  # type: ignore[no-any-return]  # nn.Sequential is untyped


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Tiny, Path]:
    torch.manual_seed(0)
    net = Tiny()
    path = tmp_path_factory.mktemp("onnx") / "tiny.onnx"
    export_onnx(net, path, example=torch.rand(1, 3, 32, 32))
    return net, path


@pytest.mark.parametrize("shape", [(1, 3, 32, 32), (1, 3, 64, 96), (2, 3, 48, 32)])
def test_an_exported_network_computes_the_same_at_any_size(
    exported: tuple[Tiny, Path], shape: tuple[int, ...]
) -> None:
    net, path = exported
    check_parity(net, path, torch.rand(shape), tolerance=2e-3)  # weights are stored as float16


def test_a_network_that_differs_is_refused(exported: tuple[Tiny, Path]) -> None:
    other = Tiny()
    with pytest.raises(ModelError, match=r"tiny\.onnx differs from the network by"):
        check_parity(other, exported[1], torch.rand(1, 3, 32, 32), tolerance=1e-3)


def test_halved_weights_make_a_smaller_file_of_the_same_network(tmp_path: Path) -> None:
    import onnx

    net = nn.Conv2d(3, 64, 5)
    full, half = tmp_path / "full.onnx", tmp_path / "half.onnx"
    export_onnx(net, full, example=torch.rand(1, 3, 32, 32), half=False)
    onnx.save(halve_weights(onnx.load(str(full))), str(half))
    assert half.stat().st_size < 0.6 * full.stat().st_size
    assert parity(net, half, torch.rand(1, 3, 40, 40))["output0"] < 2e-3


def test_eight_threads_get_what_one_thread_gets(exported: tuple[Tiny, Path]) -> None:
    backend = OpenVinoBackend(exported[1], exact=True)
    inputs = [np.random.default_rng(k).random((1, 3, 64, 64), np.float32) for k in range(24)]
    alone = [backend.run({"input": x})[0] for x in inputs]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda x: backend.run({"input": x})[0], inputs))
    for expected, actual in zip(alone, together, strict=True):
        np.testing.assert_array_equal(actual, expected)


def test_a_result_is_not_overwritten_by_the_next_run(exported: tuple[Tiny, Path]) -> None:
    backend = OpenVinoBackend(exported[1], exact=True)
    first = backend.run({"input": np.zeros((1, 3, 32, 32), np.float32)})[0]
    kept = first.copy()
    backend.run({"input": np.ones((1, 3, 32, 32), np.float32)})
    np.testing.assert_array_equal(first, kept)


def test_processes_that_share_processors_are_tied_to_none(exported: tuple[Tiny, Path]) -> None:
    """Two batch workers of one thread each were once both tied to the first processor."""
    _, path = exported
    program = f"""
        import os, threading
        from pathlib import Path
        import numpy as np
        from sfumato.backends import OpenVinoBackend, share_processors

        share_processors(threads=1)
        backend, image = OpenVinoBackend(Path({str(path)!r})), np.zeros((1, 3, 256, 256), np.float32)
        backend.run({{"input": image}})  # once, OpenVINO looks at each processor from on it
        main, done, seen = threading.get_native_id(), threading.Event(), set()

        def watch():
            while not done.is_set():
                seen.add(frozenset(os.sched_getaffinity(main)))

        watcher = threading.Thread(target=watch)
        watcher.start()
        for _ in range(30):
            backend.run({{"input": image}})
        done.set()
        watcher.join()
        assert seen == {{frozenset(os.sched_getaffinity(0))}}, seen
    """
    subprocess.run([sys.executable, "-c", dedent(program)], check=True)


def test_a_missing_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is missing; reinstall sfumato"):
        OpenVinoBackend(tmp_path / "none.onnx")


def test_a_damaged_model_is_named(tmp_path: Path) -> None:
    path = tmp_path / "bad.onnx"
    path.write_bytes(b"no network")
    with pytest.raises(ModelError, match=r"bad\.onnx is damaged"):
        OpenVinoBackend(path).run({})


def test_auto_and_cpu_mean_the_cpu() -> None:
    assert check_device("auto") == "cpu"
    assert check_device("cpu") == "cpu"


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_cuda_without_cuda_is_refused() -> None:
    with pytest.raises(BackendMissingError, match="no device 'cuda' on this machine; use --device cpu"):
        check_device("cuda")


def test_cuda_without_pytorch_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(BackendMissingError, match=r"pip install 'sfumato\[torch\]'"):
        check_device("cuda")


INPUT_SIZES = {"restorer-light": (512, 512), "recogniser-light": (112, 96), "monet-light": (160, 160)}


@pytest.mark.parametrize("name", sorted(name for name, spec in load_registry().items() if spec.embedded))
def test_pytorch_computes_what_openvino_computes(name: str) -> None:
    path = model_path(load_registry()[name])
    image = np.random.default_rng(0).random((1, 3, *INPUT_SIZES.get(name, (96, 96))), np.float32)
    expected = OpenVinoBackend(path, exact=True).run({"input": image})
    actual = TorchBackend(path, "cpu", exact=True).run({"input": image})
    for theirs, ours in zip(expected, actual, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-3 * max(1.0, float(np.abs(theirs).max())))


def test_a_model_without_pytorch_code_is_refused(tmp_path: Path) -> None:
    export_onnx(nn.Conv2d(3, 3, 1), tmp_path / "other.onnx", example=torch.rand(1, 3, 8, 8))
    with pytest.raises(BackendMissingError, match="model 'other' runs on the CPU only; use --device cpu"):
        TorchBackend(tmp_path / "other.onnx", "cpu").run({})


def test_the_cpu_is_driven_by_openvino_and_everything_else_by_pytorch(exported: tuple[Tiny, Path]) -> None:
    assert isinstance(make_backend(exported[1], "cpu"), OpenVinoBackend)
    assert isinstance(make_backend(exported[1], "cuda"), TorchBackend)
