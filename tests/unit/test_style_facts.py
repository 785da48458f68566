"""What a style's file says, and what is refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfumato.errors import ModelError
from sfumato.stages.style_facts import StyleFacts, read_facts

facts = st.builds(
    StyleFacts,
    st.sampled_from(["tile", "picture"]),
    margin=st.integers(1, 50).map(lambda k: 4 * k),
    grain=st.floats(0, 1),
    underpaint=st.floats(0, 1),
    longest=st.integers(4, 5000),
)


@given(facts)
def test_what_is_written_is_read_back(said: StyleFacts) -> None:
    assert read_facts(said.write(), "file") == said


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "3",
        "{}",
        "not json",
        '{"sees": "all"}',
        '{"sees": "tile"}',
        '{"sees": "tile", "margin": 7}',
        '{"sees": "tile", "margin": -4}',
        '{"sees": "tile", "margin": "48"}',
        '{"sees": "picture", "grain": 2}',
        '{"sees": "picture", "underpaint": -0.1}',
        '{"sees": "picture", "longest": 0}',
        '{"sees": "picture", "grain": true}',
        '{"sees": "tile", "margin": 48.0}',
        '{"sees": "picture", "longest": 512.5}',
        '{"sees": 1}',
        '{"sees": "picture", "strokes": 1}',
    ],
)
def test_what_no_network_can_be_used_with_is_refused(text: str) -> None:
    with pytest.raises(ModelError, match=r"^monet\.json does not say how its network paints"):
        read_facts(text, "monet.json")


def test_an_unknown_word_is_named_with_the_known_ones() -> None:
    with pytest.raises(ModelError, match="'strokes' is unknown; use sees, margin"):
        read_facts(json.dumps({"sees": "picture", "strokes": 1}), "monet.json")
