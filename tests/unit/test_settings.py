"""What settings accept, refuse and read from the user's file."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfumato.errors import SettingsError
from sfumato.settings import Options, Settings, make_settings, read_defaults
from sfumato.settings_parsing import CLASS_GROUPS, Spot, did_you_mean, parse_faces, parse_preserve


@given(st.sampled_from(sorted(CLASS_GROUPS)), st.floats(0, 1))
def test_a_named_group_sets_its_classes_and_no_other(name: str, strength: float) -> None:
    strengths = parse_preserve(f"{name}={strength}")
    for index, value in enumerate(strengths):
        assert value == (strength if index in CLASS_GROUPS[name] else 0)


def test_later_classes_override_earlier_ones() -> None:
    strengths = parse_preserve("face=0.5, lips=1")
    assert strengths[2] == 0.5
    assert strengths[7] == 1.0


def test_background_is_never_preserved() -> None:
    assert all(parse_preserve(name)[0] == 0 for name in CLASS_GROUPS)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"paint": 1.5}, "paint is 1.5; use 0 to 1"),
        ({"paint": float("nan")}, "paint is nan; use 0 to 1"),
        ({"restore": -0.1}, "restore is -0.1; use 0 to 1"),
        ({"feather": 11.0}, "feather is 11.0; use 0 to 10"),
        ({"preserve": "skim"}, "unknown class 'skim' to preserve; did you mean 'skin'"),
        ({"preserve": "skin=much"}, "strength 'much' of 'skin' is not a number"),
        ({"preserve": "skin=2"}, "strength of 'skin' is 2.0; use 0 to 1"),
        ({"faces": "both"}, "faces 'both' is neither all, largest, numbers such as 1,3 nor places such as"),
        ({"faces": "0"}, "faces are counted from 1"),
        ({"device": "tpu"}, "unknown device 'tpu'; use auto, cpu, cuda or mps"),
    ],
)
def test_a_setting_that_means_nothing_is_refused_in_one_line(options: Options, message: str) -> None:
    with pytest.raises(SettingsError, match=message) as caught:
        Settings(**options)
    assert "\n" not in str(caught.value)


def test_face_numbers_are_parsed() -> None:
    assert parse_faces("all") == "all"
    assert parse_faces("largest") == "largest"
    assert parse_faces("2,5") == (2, 5)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=4))
def test_places_of_faces_are_parsed(places: list[tuple[float, float]]) -> None:
    text = ",".join(f"{x}:{y}" for x, y in places)
    assert parse_faces(text) == tuple(Spot(x, y) for x, y in places)


@pytest.mark.parametrize(
    ("faces", "message"),
    [
        ("0", "faces '0': faces are counted from 1"),
        ("left", "faces 'left' is neither all, largest, numbers such as 1,3 nor places such as 0.25:0.4"),
        ("0.2:0.3:0.4", "is neither"),
        ("0.2:1.5", "place '0.2:1.5' of a face is 1.5; use 0 to 1"),
        ("0.2:nan", "place '0.2:nan' of a face is nan; use 0 to 1"),
    ],
)
def test_faces_that_mean_nothing_are_refused(faces: str, message: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(message)):
        Settings(faces=faces)


def test_nothing_is_suggested_for_a_name_unlike_any_other() -> None:
    assert did_you_mean("qqqq", {"monet": 1}) == ""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "config.toml"
    monkeypatch.setenv("SFUMATO_CONFIG", str(path))
    return path


def test_the_users_file_gives_defaults_that_arguments_override(config: Path) -> None:
    config.write_text('paint = 1\nfaces = "largest"\n')
    made = make_settings(faces="all")
    assert made.paint == 1.0
    assert made.faces == "all"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("paint = ", "is not valid TOML"),
        ("pain = 0.2", "unknown key 'pain'; did you mean 'paint'"),
        ('paint = "thick"', "'paint' must be of type float"),
        ("exact = 1", "'exact' must be of type bool"),
    ],
)
def test_a_wrong_file_is_refused(config: Path, text: str, message: str) -> None:
    config.write_text(text)
    with pytest.raises(SettingsError, match=message):
        read_defaults()


def test_a_named_file_that_is_missing_is_refused(config: Path) -> None:
    with pytest.raises(SettingsError, match="does not exist"):
        read_defaults()


def test_no_file_means_no_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SFUMATO_CONFIG", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert read_defaults() == {}


def test_a_preset_stands_above_defaults_and_below_what_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.toml").write_text('style = "monet"\nfeather = 2\n')
    monkeypatch.setenv("SFUMATO_CONFIG", str(tmp_path / "config.toml"))
    paper = make_settings("paper", restore=0.5)
    assert (paper.style, paper.restorer, paper.blend) == ("cyclegan-monet", "gfpgan-1.4", "paste")
    assert (paper.feather, paper.restore) == (2, 0.5)
    (tmp_path / "config.toml").write_text('blend = "paste"\nrestore = 1.0\nfeather = 2\n')
    plus = make_settings("paper-plus")
    assert plus.restore == 0.7
    assert (plus.style, plus.segmenter, plus.blend) == (paper.style, paper.segmenter, "melt")
    with pytest.raises(SettingsError, match="unknown preset 'papr'; did you mean 'paper'"):
        make_settings("papr")
