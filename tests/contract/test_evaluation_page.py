"""The page of the evaluation says what the measurements beside it say."""

import json
from pathlib import Path

import pytest

from tests.unit.test_registry import load_tool

DOCS = Path(__file__).parents[2] / "docs"
MEASURED = ("segmenters", "pipeline", "restorer")


def test_every_table_is_that_of_the_measurements() -> None:
    """Fill them anew with: python tools/evaluation_tables.py."""
    page = (DOCS / "evaluation.md").read_text(encoding="utf-8")
    assert load_tool("evaluation_tables").filled(page) == page
    assert page.count("<!-- table: ") == page.count("<!-- end -->") == 8


@pytest.mark.parametrize("name", MEASURED)
def test_every_measurement_says_by_what_and_where_it_was_made(name: str) -> None:
    held = json.loads((DOCS / "evaluation" / f"{name}.json").read_text(encoding="utf-8"))
    assert {"sfumato", "hardware", "system", "date", "seed", "data"} <= set(held["facts"])
    assert any(fact.startswith("sha256 of ") for fact in held["facts"])


def test_the_official_weights_that_were_not_to_be_had_are_named() -> None:
    missing = [
        json.loads((DOCS / "evaluation" / f"{name}.json").read_text("utf-8"))["missing"] for name in MEASURED
    ]
    assert {"sam-vit-b", "sam-vit-h"} <= set(missing[0])
    assert "gfpgan-1.4" in missing[2]


def test_the_embedded_segmenter_is_the_one_that_was_measured() -> None:
    from sfumato.registry import find_embedded

    held = json.loads((DOCS / "evaluation" / "segmenters.json").read_text(encoding="utf-8"))
    assert held["models"]["unet-light"]["sha256"] == find_embedded("segmenter").sha256
