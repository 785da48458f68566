"""Turn what was chosen on the command line into settings and a pipeline; it runs neither."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeAlias, cast

import typer

from sfumato.settings import Options, Settings, make_settings

if TYPE_CHECKING:
    from sfumato.pipeline import Pipeline

Build: TypeAlias = Callable[[Settings], "Pipeline"]


def choose_settings(chosen: Mapping[str, object]) -> Settings:
    """Return the settings that were named, over the user's defaults; None means not named."""
    named = {name: value for name, value in chosen.items() if value is not None}
    preset = cast("str | None", named.pop("preset", None))
    return make_settings(preset, **cast(Options, named))


def build_chosen(context: typer.Context, settings: Settings, *, quiet: bool = False) -> "Pipeline":
    """Return the pipeline; its module, and OpenCV with it, loads only for a command that needs it.

    Args:
        quiet: do not say when weights are converted.
    """
    if context.obj is not None:
        return cast(Build, context.obj)(settings)
    from sfumato.apps.cli_report import report_waits
    from sfumato.pipeline import build_pipeline

    with report_waits(quiet=quiet):
        return build_pipeline(settings)
