"""The registry tells the truth about the embedded files."""

from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from sfumato.errors import ModelError, SettingsError
from sfumato.registry import find_embedded, find_style, load_registry, model_path


@pytest.mark.parametrize("name", sorted(load_registry()))
def test_each_embedded_file_is_the_registered_one_and_has_a_card(name: str) -> None:
    spec = load_registry()[name]
    path = model_path(spec)
    assert path.stat().st_size == spec.bytes
    assert sha256(path.read_bytes()).hexdigest() == spec.sha256
    card = path.with_suffix(".md").read_text(encoding="utf-8")
    assert spec.sha256 in card
    for part in (
        "**Command**",
        "**Training**",
        "**Licence of the weights**",
        "## Data",
        "## Scores",
        "## Limits",
    ):
        assert part in card


def test_all_embedded_files_together_fit_the_wheel() -> None:
    assert sum(spec.bytes for spec in load_registry().values() if spec.embedded) < 19_000_000


def test_a_style_is_found_by_its_name_and_the_nearest_is_suggested() -> None:
    assert find_style("monet").name == "monet-light"
    with pytest.raises(SettingsError, match="unknown style 'money'; did you mean 'monet'"):
        find_style("money")


def test_every_task_has_an_embedded_model() -> None:
    assert find_embedded("detector").task == "detector"
    assert find_embedded("restorer").task == "restorer"
    assert find_embedded("segmenter").task == "segmenter"
    assert find_embedded("stylizer").task == "stylizer"


def test_a_damaged_or_missing_file_is_refused() -> None:
    spec = find_embedded("detector")
    with pytest.raises(ModelError, match=r"is damaged \(its sha256 differs\); reinstall sfumato"):
        model_path(replace(spec, sha256="0" * 64))
    with pytest.raises(ModelError, match=r"none\.onnx is missing; reinstall sfumato"):
        model_path(replace(spec, file="none.onnx"))


def test_embedding_rewrites_only_the_named_table() -> None:
    import importlib.util

    script = Path(__file__).parents[2] / "tools" / "embed_model.py"
    loaded = importlib.util.spec_from_file_location("embed_model", script)
    assert loaded is not None and loaded.loader is not None
    module = importlib.util.module_from_spec(loaded)
    loaded.loader.exec_module(module)
    text = '[a]\nbytes = 1\nsha256 = "0"\n[b]\nbytes = 2\nsha256 = "1"\n'
    assert (
        module.registered(text, "b", 77, "abc")
        == '[a]\nbytes = 1\nsha256 = "0"\n[b]\nbytes = 77\nsha256 = "abc"\n'
    )
    with pytest.raises(SystemExit, match=r"no table \[c\]"):
        module.registered(text, "c", 1, "0")
