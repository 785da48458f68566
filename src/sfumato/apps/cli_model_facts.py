"""Say what is known of models, and bring one into use: the work that the commands of `sfumato models` share."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from sfumato.apps.cli_report import Voice, describe_bytes, waiting
from sfumato.errors import BackendMissingError, SettingsError

if TYPE_CHECKING:
    from sfumato.registry import ModelFile, ModelSpec, Task

OPTIONS: Mapping[str, str] = {"stylizer": "style", "restorer": "restorer", "segmenter": "segmenter"}
"""The option that takes a model of each task."""


def state_of(spec: "ModelSpec") -> str:
    """Return where a model is: embedded, here, to be pulled, or nowhere that is known."""
    from sfumato.store import find_stored

    if spec.embedded:
        return "embedded"
    if find_stored(spec) is not None:
        return "here"
    return "pull" if spec.urls else "train"


def facts_about(spec: "ModelSpec") -> dict[str, Any]:
    """Return all that is known of a model, and its state on this machine."""
    from sfumato.conversion import converted_folder, is_converted
    from sfumato.store import expected_sha256, find_stored
    from sfumato.store_licences import must_accept

    stored = find_stored(spec)
    kind = OPTIONS.get(spec.task) and spec.task
    converted = None
    if stored is not None and kind and is_weights(stored) and is_converted(stored, kind):  # type: ignore[arg-type]  # a Kind
        converted = str(converted_folder(stored, kind))  # type: ignore[arg-type]  # the same
    facts = asdict(spec)
    del facts["paints"], facts["embedded"]
    return {
        **facts,
        "urls": list(spec.urls),
        "sha256": spec.sha256 or (f"{pinned} (pinned)" if (pinned := expected_sha256(spec)) else None),
        "state": state_of(spec),
        "path": str(stored.path) if stored else None,
        "converted": converted,
        "accept": "--accept-license is needed once" if must_accept(spec) else "",
    }


def recognise_file(file: Path, task: "Task") -> str:
    """Return the name of the network in a file, and make sure that it does the task.

    Raises:
        MissingInputError: there is no such file.
        ModelError: it holds nothing that sfumato runs.
        SettingsError: it does something else.
        BackendMissingError: PyTorch is not installed, which reads weights.
    """
    from sfumato.shapes import recognise_onnx

    if file.suffix.lower() == ".onnx":
        tasks, network = recognise_onnx(file)
    else:
        try:
            from sfumato.nets.recognise import recognise
        except ModuleNotFoundError as error:
            raise BackendMissingError(
                f"weights are read by {error.name}, which is not installed; try: pip install 'sfumato[torch]'"
            ) from error
        recognised = recognise(file)
        tasks, network = (recognised.task,), recognised.network
    if task not in tasks:
        raise SettingsError(f"{file} holds {network}, a {tasks[0]} and no {task}; use --task {tasks[0]}")
    return network


def is_weights(file: "ModelFile") -> bool:
    """Tell whether a file holds weights, which are converted, and no ONNX."""
    return file.path.suffix.lower() != ".onnx"


def announce(voice: Voice, specs: Sequence["ModelSpec"]) -> None:
    """Say what will be fetched, before it is."""
    from sfumato.store import find_stored

    missing = [spec for spec in specs if find_stored(spec) is None]
    for spec in missing:
        voice.say(
            f"{spec.name}: {describe_bytes(spec.bytes)}; weights: {spec.weights_licence}; commercial use: "
            f"{spec.commercial_use}"
        )
    if len(missing) > 1:
        known = sum(spec.bytes or 0 for spec in missing)
        more = " and what is unknown" if any(spec.bytes is None for spec in missing) else ""
        voice.say(f"together {describe_bytes(known)}{more}")


def convert_now(voice: Voice, spec: "ModelSpec", file: "ModelFile") -> str | None:
    """Convert weights now; where PyTorch is missing, say so and leave it to the first use."""
    from sfumato.conversion import convert_once

    if spec.task not in OPTIONS or not is_weights(file):
        return None
    try:
        with waiting(voice, f"converting {spec.name}") as tick:
            return str(convert_once(file, cast(Any, spec.task), tick))
    except BackendMissingError as error:
        voice.say(f"{spec.name}: {error}")
        return None
