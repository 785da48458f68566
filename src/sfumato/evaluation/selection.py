"""Choose the segmenter that is used from now on, and note it in the user's configuration; it measures nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from pathlib import Path

import tomlkit
from tomlkit.exceptions import ParseError

from sfumato.errors import OutputError, SettingsError
from sfumato.evaluation.segmenter_summary import Summary
from sfumato.evaluation.statistics import EQUIVALENCE, Paired
from sfumato.io import write_bytes
from sfumato.resolve import is_path
from sfumato.segmenters import SEGMENTERS
from sfumato.settings import CHOSEN_SEGMENTER, config_path

RULE = (
    "Of the models whose warm time for one picture is within the budget, the one with the best mean IoU of the face "
    "region leads; of those that the paired test does not find to differ from it, and whose mean is at most 0.01 less, "
    "the fastest is chosen."
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


def choose_segmenter(summary: Summary, budget: float) -> Choice:
    """Return the model that `RULE` chooses.

    Args:
        budget: seconds that one picture may take.

    Raises:
        SettingsError: no model keeps within the budget, or there is nothing to choose by.
    """
    costs = summary.comparison.costs
    seconds = {name: cost.warm for name, cost in costs.items() if cost.warm <= budget}
    if not seconds:
        least = min((cost.warm for cost in costs.values()), default=None)
        fact = "no model could be timed" if least is None else f"the fastest takes {1000 * least:.0f} ms"
        raise SettingsError(
            f"no model is chosen within {1000 * budget:.0f} ms a picture: {fact}; raise --budget"
        )
    means = {name: summary.mean_iou(name).value for name in seconds}
    if any(isnan(mean) for mean in means.values()):
        raise SettingsError("no model is chosen: the masks mark no face; measure on other portraits")
    leader = max(means, key=means.__getitem__)
    equals = [name for name in seconds if name == leader or _as_good(summary.pairs["iou"], leader, name)]
    chosen = min(equals, key=seconds.__getitem__)
    asked = next(rival.asked for rival in summary.comparison.rivals if rival.name == chosen)
    return Choice(chosen, asked, _explain(chosen, leader, means, seconds))


def _as_good(pairs: Sequence[Paired], first: str, second: str) -> bool:
    """Tell whether two models neither differ significantly nor by more than counts; few pictures prove nothing."""
    pair = next(pair for pair in pairs if {pair.first, pair.second} == {first, second})
    return not pair.significant and abs(pair.difference.value) <= EQUIVALENCE


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
        raise OutputError("there is no home folder to keep the choice in; set XDG_CONFIG_HOME to a folder")
    try:
        held = tomlkit.parse(path.read_text(encoding="utf-8")) if path.is_file() else tomlkit.document()
    except (ParseError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not valid TOML ({error}); correct or remove it") from error
    held[CHOSEN_SEGMENTER] = _as_noted(choice.asked)
    place = path.resolve()  # where a link leads, so that it stays a link
    mode = place.stat().st_mode if place.exists() else None
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"{place.parent} cannot be made ({error.strerror}); choose another by XDG_CONFIG_HOME"
        ) from error
    write_bytes(tomlkit.dumps(held).encode(), place, overwrite=True)
    if mode is not None:
        place.chmod(mode)
    return path


def _as_noted(asked: str) -> str:
    """Return a name as it is, and a path from the root, so that it holds in any folder."""
    return str(Path(asked).resolve()) if is_path(asked, "segmenter", SEGMENTERS) else asked
