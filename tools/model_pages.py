"""Write the page of each model in docs/models from the registry.

usage: python tools/model_pages.py
"""

from collections.abc import Iterator
from pathlib import Path

from sfumato.registry import ModelSpec, load_registry

FOLDER = Path(__file__).parents[1] / "docs" / "models"

USES = {
    "stylizer": "--style",
    "restorer": "--restorer",
    "segmenter": "--segmenter",
    "detector": "--detector",
    "recogniser": "--recogniser",
}

TASKS = {
    "detector": "Finds faces: box, five landmarks, score",
    "segmenter": "Says where the face is",
    "restorer": "Restores blurred faces",
    "recogniser": "Says how much two faces look like one person",
    "stylizer": "Paints",
}


def page(spec: ModelSpec) -> str:
    """Return the page of a model as Markdown."""
    rows = "\n".join(f"| {name} | {value} |" for name, value in facts(spec))
    parts = [
        f"# {spec.name}",
        f"{TASKS[spec.task]}. {spec.paper}.",
        f"| | |\n| --- | --- |\n{rows}",
        f"## What you may do\n\n{spec.in_plain_words} This is no legal advice.",
        f"## How to use it\n\n{usage(spec)}",
    ]
    if spec.note:
        parts.append(f"**Note**: {spec.note}.")
    return "\n\n".join(parts) + "\n"


def facts(spec: ModelSpec) -> Iterator[tuple[str, str]]:
    """Yield what is known of a model, by name."""
    yield "file", f"`{spec.file}`" + (f", {spec.bytes:,} bytes" if spec.bytes else "")
    yield "sha256", f"`{spec.sha256}`" if spec.sha256 else "not published; pinned at the first download"
    yield "where", "embedded in sfumato" if spec.embedded else "<br>".join(spec.urls) or "no address"
    yield "program", spec.code_licence
    yield "weights", spec.weights_licence
    yield "trained on", spec.data
    yield "commercial use", spec.commercial_use


def usage(spec: ModelSpec) -> str:
    """Return how to come by a model and to use it."""
    accept = "" if spec.commercial_use == "yes" else " --accept-license"
    option = USES.get(spec.task)
    lines = [f"sfumato models pull {spec.name}{accept}"] if spec.urls else []
    name = (spec.style or "light") if spec.embedded else spec.name
    lines.append(f"sfumato stylize portrait.jpg {option} {name}")
    shown = "\n".join(f"$ {line}" for line in lines)
    return f"```console\n{shown}\n```"


def write(folder: Path = FOLDER) -> None:
    """Write all pages."""
    for spec in load_registry().values():
        (folder / f"{spec.name}.md").write_text(page(spec), encoding="utf-8")


if __name__ == "__main__":
    write()
