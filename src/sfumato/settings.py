"""Hold every choice a user can make and refuse those that mean nothing; the only reader of environment and TOML."""

import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal, TypeAlias, TypedDict, Unpack, get_args

from sfumato.errors import SettingsError
from sfumato.settings_parsing import ClassStrengths, check_range, did_you_mean, parse_faces, parse_preserve

Device: TypeAlias = Literal["auto", "cpu", "cuda", "mps"]
Blend: TypeAlias = Literal["melt", "paste"]
CHOSEN_SEGMENTER = "chosen_segmenter"
"""Key of the user's configuration under which the segmenter is noted that "auto" means."""


class Options(TypedDict, total=False):
    """Name the keyword arguments that make a `Settings`."""

    style: str
    strength: float
    preserve: str
    restorer: str
    restore: float
    segmenter: str
    detector: str
    recogniser: str
    blend: Blend
    paint: float
    feather: float
    faces: str
    device: Device
    exact: bool


PRESETS: Mapping[str, Options] = {
    "paper": {
        "style": "cyclegan-monet",
        "restorer": "gfpgan-1.4",
        "segmenter": "unet-efficientnet-b2,sam-vit-b",
        "restore": 1.0,
        "blend": "paste",
    },
    "paper-plus": {
        "style": "cyclegan-monet",
        "restorer": "gfpgan-1.4",
        "segmenter": "unet-efficientnet-b2,sam-vit-b",
        "restore": 0.7,
        "blend": "melt",
    },
}
"""Settings that go together, by name: the paper's networks, with its own blending and with ours."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Say how a picture is painted and what of the person is kept.

    Attributes:
        style: name of a style or a stylizer of the registry, or path of a generator's file or of a painting (see
            `styles.open_style`).
        strength: 0..1, how far the picture is painted: 0 leaves the photo.
        preserve: face, person, none, or classes with an optional strength: "skin,lips" or "eyes=1,skin=0.6".
        restorer: "light", a restorer of the registry, or path of the weights of GFPGAN or RestoreFormer (see
            `restorers.open_restorer`).
        restore: 0..1, how far a blurred or small face is restored; a sharp one keeps its own pixels.
        segmenter: "auto", which is what `sfumato evaluate segmenters --select` chose, else "light"; or "light", a
            segmenter of the registry, or path of a U-Net or of Segment Anything; of several, divided by commas, the
            first that is on this machine (see `segmenters.open_segmenter`).
        detector: "light" or "yunet".
        recogniser: "light" or "sface": by which likeness is measured. Whether a restoration goes too far is always the
            embedded one's word, on which that limit was calibrated.
        blend: "melt" lays the kept parts into the painting by soft edges, in its colours. "paste" is the paper's way:
            the chosen faces are restored in full, segmented on the restored picture, and replaced at a hard edge;
            `paint` and `feather` then mean nothing, and `restore` is the part of the restored face in what is pasted.
        paint: 0..1, how far the kept face is painted: 0 is the restored photo, 1 the painting.
        feather: 0..10, width of the soft edge, in units of 1.5 % of the face.
        faces: all, largest, numbers as `sfumato detect` counts them: "1,3", or places in the picture as parts of its
            width and height: "0.25:0.4", which mean the same face at every size.
        device: auto, cpu, cuda or mps.
        exact: compute in float32 on every machine, slower; otherwise bfloat16 where the processor has it.

    Raises:
        SettingsError: a value is unknown or out of range.
    """

    style: str = "monet"
    strength: float = 1.0
    preserve: str = "face"
    restorer: str = "light"
    restore: float = 0.7
    segmenter: str = "auto"
    detector: str = "light"
    recogniser: str = "light"
    blend: Blend = "melt"
    paint: float = 0.3
    feather: float = 1.0
    faces: str = "all"
    device: Device = "auto"
    exact: bool = False

    def __post_init__(self) -> None:
        """Refuse what means nothing."""
        check_range("strength", self.strength, 1.0)
        check_range("restore", self.restore, 1.0)
        check_range("paint", self.paint, 1.0)
        check_range("feather", self.feather, 10.0)
        if self.device not in get_args(Device):
            raise SettingsError(f"unknown device '{self.device}'; use auto, cpu, cuda or mps")
        if self.blend not in get_args(Blend):
            raise SettingsError(f"unknown blend '{self.blend}'; use melt or paste")
        parse_preserve(self.preserve)
        parse_faces(self.faces)

    @property
    def class_strengths(self) -> ClassStrengths:
        """Return the strength of each class that `preserve` means."""
        return parse_preserve(self.preserve)


def make_settings(preset: str | None = None, **options: Unpack[Options]) -> Settings:
    """Build settings from keyword arguments over a preset, and that over the user's defaults.

    Args:
        preset: one of `PRESETS`.

    Defaults come from the TOML file named by SFUMATO_CONFIG, else from `sfumato/config.toml` in
    XDG_CONFIG_HOME (or ~/.config), if there is one; its keys are those of `Settings`.
    """
    defaults = read_defaults()
    if preset is not None:
        defaults.update(find_preset(preset))
    defaults.update(options)
    return Settings(**defaults)


def find_preset(name: str) -> Options:
    """Return the options of a preset.

    Raises:
        SettingsError: there is none of this name; the nearest is suggested.
    """
    if name not in PRESETS:
        raise SettingsError(f"unknown preset '{name}'{did_you_mean(name, PRESETS)}; use {', '.join(PRESETS)}")
    return PRESETS[name]


def read_defaults() -> Options:
    """Read the user's default settings; none if there is no file.

    Raises:
        SettingsError: the file is not TOML, or it has an unknown key or a value of another type.
    """
    path = config_path()
    loaded = _read_config(path)
    chosen = loaded.pop(CHOSEN_SEGMENTER, "")
    if not isinstance(chosen, str):
        raise SettingsError(f"{path}: '{CHOSEN_SEGMENTER}' must be of type str")
    return _checked_options(loaded, path)


def read_chosen_segmenter() -> str | None:
    """Return the segmenter that `sfumato evaluate segmenters --select` chose, a name or a path, or None.

    Raises:
        SettingsError: the user's configuration is not TOML, or it is named and missing.
    """
    chosen = _read_config(config_path()).get(CHOSEN_SEGMENTER)
    return chosen if isinstance(chosen, str) and chosen else None


def config_path() -> Path | None:
    """Return where the user's defaults lie, whether they exist or not; None where there is no home folder."""
    named = os.environ.get("SFUMATO_CONFIG")
    if named:
        return Path(named)
    try:
        base = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    except RuntimeError:  # as in some containers
        return None
    return base / "sfumato" / "config.toml"


def _read_config(path: Path | None) -> dict[str, object]:
    """Return what the user's configuration holds; nothing where there is none."""
    if path is None or not path.is_file():
        if os.environ.get("SFUMATO_CONFIG"):
            raise SettingsError(f"SFUMATO_CONFIG names {path}, which does not exist; correct or unset it")
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not valid TOML ({error}); correct or remove it") from error


def cache_folder() -> Path:
    """Return the folder of what can be made or fetched again: SFUMATO_HOME, else `sfumato` in XDG_CACHE_HOME.

    XDG_CACHE_HOME is ~/.cache where it is not set.
    """
    named = os.environ.get("SFUMATO_HOME")
    if named:
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME")
    if base:
        return Path(base) / "sfumato"
    try:
        return Path.home() / ".cache" / "sfumato"
    except RuntimeError as error:
        raise SettingsError(
            "there is no home folder to keep models in; set SFUMATO_HOME to a folder"
        ) from error


def server_token() -> str | None:
    """Return the token of SFUMATO_TOKEN that a server asks for, or None."""
    return os.environ.get("SFUMATO_TOKEN") or None


def signing_files() -> tuple[str | None, str | None]:
    """Return the files of SFUMATO_SIGN_CERT and SFUMATO_SIGN_KEY, by which paintings are signed, or None for each."""
    return os.environ.get("SFUMATO_SIGN_CERT") or None, os.environ.get("SFUMATO_SIGN_KEY") or None


def is_offline() -> bool:
    """Return whether SFUMATO_OFFLINE forbids downloads: any value but 0, false and no does."""
    return os.environ.get("SFUMATO_OFFLINE", "").strip().lower() not in ("", "0", "false", "no")


def mirror() -> str | None:
    """Return the address of SFUMATO_MIRROR, under which the files of models are looked for first, or None."""
    return os.environ.get("SFUMATO_MIRROR", "").strip().rstrip("/") or None


def _checked_options(loaded: Mapping[str, object], path: Path | None) -> Options:
    kinds = {field.name: type(field.default) for field in fields(Settings)}
    options: Options = {}
    for name, value in loaded.items():
        if name not in kinds:
            raise SettingsError(f"{path} has an unknown key '{name}'{did_you_mean(name, kinds)}")
        wanted = kinds[name]
        number = float(value) if wanted is float and type(value) is int else value
        if type(number) is not wanted:
            raise SettingsError(f"{path}: '{name}' must be of type {wanted.__name__}")
        options[name] = number  # type: ignore[literal-required]  # the name was just checked
    return options


def read_choices(path: Path) -> Mapping[str, object]:
    """Return the choices of a TOML or JSON file by name; of the `config.json` of a run, those it was started with.

    Raises:
        SettingsError: the file is missing, is neither, or holds no table.
    """
    try:
        text = path.read_text(encoding="utf-8")
        loaded = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except FileNotFoundError as error:
        raise SettingsError(f"config {path} is missing; name a TOML or JSON file") from error
    except (tomllib.TOMLDecodeError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"config {path} cannot be read: {error}; correct it") from error
    table = loaded.get("options", loaded) if isinstance(loaded, dict) else None
    if not isinstance(table, dict):
        raise SettingsError(f"config {path} holds no options; write name = value")
    return table
