"""Embed a trained model: copy its file and card into the package and register its size and sha256.

usage: python tools/embed_model.py RUN/NAME.onnx
"""

import json
import re
import shutil
import sys
from hashlib import sha256
from pathlib import Path

from sfumato.backends import inspect_model
from sfumato.stages.style_facts import KEY

PACKAGE = Path(__file__).parents[1] / "src" / "sfumato"


def registered(text: str, name: str, size: int, digest: str) -> str:
    """Return the registry with the size and sha256 of one model replaced."""
    table = re.compile(rf'(\[{re.escape(name)}\].*?\nbytes = )\d+(\nsha256 = ")[0-9a-f]*(")', re.DOTALL)
    replaced, count = table.subn(rf"\g<1>{size}\g<2>{digest}\g<3>", text, count=1)
    if count != 1:
        raise SystemExit(f"models.toml has no table [{name}] with bytes and sha256; add it first")
    return replaced


def with_facts(text: str, name: str, model: Path) -> str:
    """Return the registry with how a stylizer's network is to be used, as its file says it; others say nothing."""
    said = inspect_model(model, KEY).metadata
    if said is None:
        return text
    inner = ", ".join(f"{key} = {json.dumps(value)}" for key, value in json.loads(said).items())
    table = re.compile(rf"(\[{re.escape(name)}\].*?\npaints = )[^\n]*", re.DOTALL)
    replaced, count = table.subn(rf"\g<1>{{ {inner} }}", text, count=1)
    if count != 1:
        raise SystemExit(f"models.toml has no line 'paints = ...' in [{name}]; add it first")
    return replaced


def embed(model: Path) -> None:
    """Copy a model and the card beside it, and register it."""
    data = model.read_bytes()
    registry = PACKAGE / "models.toml"
    text = registered(registry.read_text(encoding="utf-8"), model.stem, len(data), sha256(data).hexdigest())
    text = with_facts(text, model.stem, model)
    for source in (model, model.with_suffix(".md")):
        if source.is_file() and source.resolve().parent != PACKAGE / "weights":
            shutil.copyfile(source, PACKAGE / "weights" / source.name)
    registry.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        embed(Path(argument))
