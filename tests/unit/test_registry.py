"""The registry tells the truth about the embedded files."""

from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from types import ModuleType

import pytest

from sfumato.errors import ModelError
from sfumato.registry import find_embedded, load_registry, model_path


def load_tool(name: str) -> ModuleType:
    import importlib.util

    script = Path(__file__).parents[2] / "tools" / f"{name}.py"
    loaded = importlib.util.spec_from_file_location(name, script)
    assert loaded is not None and loaded.loader is not None
    module = importlib.util.module_from_spec(loaded)
    loaded.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", sorted(name for name, spec in load_registry().items() if spec.embedded))
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
    assert sum(spec.bytes or 0 for spec in load_registry().values() if spec.embedded) < 19_000_000


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
    module = load_tool("embed_model")
    text = '[a]\nbytes = 1\nsha256 = "0"\n[b]\nbytes = 2\nsha256 = "1"\n'
    assert (
        module.registered(text, "b", 77, "abc")
        == '[a]\nbytes = 1\nsha256 = "0"\n[b]\nbytes = 77\nsha256 = "abc"\n'
    )
    with pytest.raises(SystemExit, match=r"no table \[c\]"):
        module.registered(text, "c", 1, "0")


@pytest.mark.parametrize("name", sorted(load_registry()))
def test_each_model_has_its_page_as_the_registry_says(name: str) -> None:
    """Write them anew with: python tools/model_pages.py."""
    docs = Path(__file__).parents[2] / "docs"
    page = (docs / "models" / f"{name}.md").read_text(encoding="utf-8")
    assert page == load_tool("model_pages").page(load_registry()[name])
    assert "What you may do" in page
    assert f"models/{name}.md" in (docs.parent / "mkdocs.yml").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(name for name, spec in load_registry().items() if not spec.embedded))
def test_each_model_to_be_fetched_says_from_where_and_on_which_terms(name: str) -> None:
    spec = load_registry()[name]
    assert spec.urls or spec.note
    assert len(set(spec.urls)) == len(spec.urls)
    assert all(url.rpartition("/")[2] == spec.file for url in spec.urls)
    assert spec.sha256 is None or (len(spec.sha256) == 64 and spec.bytes)
    assert all(url.startswith("https://") for url in spec.urls) or spec.note
    for words in (spec.code_licence, spec.weights_licence, spec.data, spec.in_plain_words, spec.paper):
        assert words
    assert "business" in spec.in_plain_words
