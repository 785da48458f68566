"""Turn what was chosen on the command line into settings and a pipeline; it runs neither."""

from collections.abc import Callable, Mapping
from functools import wraps
from inspect import Parameter, signature
from itertools import chain
from typing import TYPE_CHECKING, TypeAlias, TypeVar, cast

import typer

from sfumato.apps import cli_options as options
from sfumato.settings import Options, Settings, make_settings

if TYPE_CHECKING:
    from sfumato.pipeline import Pipeline

Build: TypeAlias = Callable[[Settings], "Pipeline"]
Returned = TypeVar("Returned")

PAINTING: Mapping[str, object] = {
    "preset": options.PresetOption,
    "style": options.StyleOption,
    "strength": options.StrengthOption,
    "preserve": options.PreserveOption,
    "restorer": options.RestorerOption,
    "restore": options.RestoreOption,
    "segmenter": options.SegmenterOption,
    "detector": options.DetectorOption,
    "recogniser": options.RecogniserOption,
    "blend": options.BlendOption,
    "paint": options.PaintOption,
    "feather": options.FeatherOption,
    "faces": options.FacesOption,
    "device": options.DeviceOption,
    "exact": options.ExactOption,
}
"""The options that name the fields of `Settings`, and the preset that they change."""


def takes_settings(
    *names: str, **instead: object
) -> Callable[[Callable[..., Returned]], Callable[..., Returned]]:
    """Give a command the options of `PAINTING` in the place of its argument `settings`, which they make.

    Args:
        names: of the options; none stands for all.
        instead: options that have another form here.
    """
    table = {name: instead.get(name, PAINTING[name]) for name in names or PAINTING}
    given = [
        Parameter(name, Parameter.KEYWORD_ONLY, default=None, annotation=each) for name, each in table.items()
    ]

    def decorate(command: Callable[..., Returned]) -> Callable[..., Returned]:
        @wraps(command)
        def call(**values: object) -> Returned:
            settings = choose_settings({name: values.pop(name) for name in table})
            return command(**values, settings=settings)

        own = signature(command, eval_str=True)
        parameters = (given if each.name == "settings" else [each] for each in own.parameters.values())
        call.__signature__ = own.replace(parameters=[*chain.from_iterable(parameters)])  # type: ignore[attr-defined]  # functions may have one
        return call

    return decorate


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
