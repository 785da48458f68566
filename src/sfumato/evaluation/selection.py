"""Choose the segmenter that is used from now on, and note it in the user's configuration; it measures nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tomlkit
from tomlkit.exceptions import ParseError

from sfumato.errors import OutputError, SettingsError
from sfumato.evaluation.segmenter_comparison import Comparison
from sfumato.io import write_bytes
from sfumato.resolve import is_path
from sfumato.segmenters import SEGMENTERS
from sfumato.settings import CHOSEN_SEGMENTER, config_path

RULE = (
    "Of the models whose warm time for one picture is within the budget, the one with the best mean IoU of the face "
    "region leads; of those that the paired test does not find to differ from it, the fastest is chosen."
)
"""How a model is chosen: as the paper does, which takes the lighter of two that do not differ significantly."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The model that is chosen, and why.

    Attributes:
        name: as it is shown.
        asked: as `--segmenter` takes it.
        reason: one sentence.
    """

    name: str
    asked: str
    reason: str


def choose_segmenter(comparison: Comparison, budget: float) -> Choice:
    """Return the model that `RULE` chooses.

    Args:
        budget: seconds that one picture may take.

    Raises:
        SettingsError: no model keeps within the budget.
    """
    seconds = {name: cost.warm for name, cost in comparison.costs.items() if cost.warm <= budget}
    if not seconds:
        fastest = min((cost.warm for cost in comparison.costs.values()), default=float("nan"))
        raise SettingsError(
            f"no model takes {1000 * budget:.0f} ms or less, the fastest {1000 * fastest:.0f} ms; raise --budget"
        )
    means = {name: float(np.nanmean(comparison.face_scores(name))) for name in seconds}
    leader = max(means, key=means.__getitem__)
    equals = [name for name in seconds if name == leader or not _differs(comparison, leader, name)]
    chosen = min(equals, key=seconds.__getitem__)
    asked = next(rival.asked for rival in comparison.rivals if rival.name == chosen)
    return Choice(chosen, asked, _explain(chosen, leader, means, seconds))


def _differs(comparison: Comparison, first: str, second: str) -> bool:
    return any(
        pair.significant for pair in comparison.paired() if {pair.first, pair.second} == {first, second}
    )


def _explain(chosen: str, leader: str, means: Mapping[str, float], seconds: Mapping[str, float]) -> str:
    figures = f"mean IoU {means[chosen]:.3f} in {1000 * seconds[chosen]:.0f} ms"
    if chosen == leader:
        return f"{chosen}: {figures}, the best within the budget"
    return (
        f"{chosen}: {figures}, not significantly different from {leader} ({means[leader]:.3f} in "
        f"{1000 * seconds[leader]:.0f} ms) and faster"
    )


def remember_segmenter(choice: Choice) -> Path:
    """Note the choice in the user's configuration, which is made if there is none, and return its path.

    Everything else in the file stays as it is, comments too.

    Raises:
        SettingsError: the file is not TOML.
        OutputError: it cannot be written, or there is no home folder to keep it in.
    """
    path = config_path()
    if path is None:
        raise OutputError("there is no home folder to keep the choice in; set SFUMATO_CONFIG to a file")
    try:
        held = tomlkit.parse(path.read_text(encoding="utf-8")) if path.is_file() else tomlkit.document()
    except (ParseError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not valid TOML ({error}); correct or remove it") from error
    held[CHOSEN_SEGMENTER] = _as_noted(choice.asked)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"{path.parent} cannot be made ({error.strerror}); set SFUMATO_CONFIG to another file"
        ) from error
    write_bytes(tomlkit.dumps(held).encode(), path, overwrite=True)
    return path


def _as_noted(asked: str) -> str:
    """Return a name as it is, and a path from the root, so that it holds in any folder."""
    return str(Path(asked).resolve()) if is_path(asked, "segmenter", SEGMENTERS) else asked
