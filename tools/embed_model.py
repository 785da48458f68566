"""Embed a trained model: copy its file and card into the package and write its size and sha256 into the registry.

usage: python tools/embed_model.py RUN/NAME.onnx
"""

import re
import shutil
import sys
from hashlib import sha256
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "src" / "sfumato"


def registered(text: str, name: str, size: int, digest: str) -> str:
    """Return the registry with the size and sha256 of one model replaced."""
    table = re.compile(rf'(\[{re.escape(name)}\].*?\nbytes = )\d+(\nsha256 = ")[0-9a-f]*(")', re.DOTALL)
    replaced, count = table.subn(rf"\g<1>{size}\g<2>{digest}\g<3>", text, count=1)
    if count != 1:
        raise SystemExit(f"models.toml has no table [{name}] with bytes and sha256; add it first")
    return replaced


def embed(model: Path) -> None:
    """Copy a model and the card beside it, and register it."""
    data = model.read_bytes()
    registry = PACKAGE / "models.toml"
    text = registered(registry.read_text(encoding="utf-8"), model.stem, len(data), sha256(data).hexdigest())
    for source in (model, model.with_suffix(".md")):
        if source.is_file() and source.resolve().parent != PACKAGE / "weights":
            shutil.copyfile(source, PACKAGE / "weights" / source.name)
    registry.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        embed(Path(argument))
