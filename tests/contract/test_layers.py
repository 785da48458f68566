"""The layers of the package, by a walk over its imports."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import sfumato

ROOT = Path(sfumato.__file__).parent

LAYERS: tuple[frozenset[str], ...] = (
    frozenset({"types", "errors", "settings", "weights", "processors"}),
    frozenset(
        {"geometry", "fields", "masks", "compositing", "seam", "io", "registry", "download", "backends"}
        | {"store", "bundles", "shapes"}
    ),
    frozenset({"stages", "conversion", "recipe", "signing"}),
    frozenset({"resolve", "styles", "restorers", "segmenters", "faces"}),
    frozenset({"edges", "keeping", "result", "cost", "choice", "clock", "opening", "labels"}),
    frozenset({"pipeline"}),
    frozenset({"batch", "jobs", "video"}),
    frozenset({"__init__"}),
    frozenset({"nets", "training", "evaluation", "export"}),
    frozenset({"apps", "__main__"}),
)
"""Rooms of the package, lowest layer first; a room is ROOM.py, ROOM_*.py or the folder ROOM."""

LATE = frozenset(
    {
        ("backends", "nets"),
        ("restorers", "nets"),
        ("segmenters", "nets"),
    }
)
"""Upward imports that are allowed inside a function: PyTorch builds or converts a network when it is asked for."""

TORCH_ROOMS = frozenset({"nets", "training", "evaluation", "export", "backends"})


def modules() -> list[Path]:
    return sorted(path for path in ROOT.rglob("*.py") if "__pycache__" not in path.parts)


def room_of(relative: Path) -> str:
    """Return the room of a file: its folder, or its name up to the first underscore."""
    if len(relative.parts) > 1:
        return relative.parts[0]
    stem = relative.stem
    return stem if stem.startswith("__") else stem.strip("_").split("_")[0]


def layer_of(room: str) -> int:
    return next(rank for rank, rooms in enumerate(LAYERS) if room in rooms)


def imported(path: Path) -> Iterator[str]:
    """Yield the dotted name of every import, late ones too; those for type checking only are left out."""
    for node in walk_runtime(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            module = node.module or ""
            yield from (f"{module}.{alias.name}" for alias in node.names)


def walk_runtime(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        yield from walk_runtime(child)


def rooms_imported(path: Path) -> set[str]:
    names = [name.split(".") for name in imported(path)]
    return {room_named(parts[1]) for parts in names if parts[0] == "sfumato" and len(parts) > 1}


def room_named(part: str) -> str:
    """Return the room that `sfumato.part` lives in; a public name lives in the package itself."""
    if (ROOT / part).is_dir():
        return part
    return room_of(Path(f"{part}.py")) if (ROOT / f"{part}.py").is_file() else "__init__"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_an_import_never_points_up(path: Path) -> None:
    room = room_of(path.relative_to(ROOT))
    above = {other for other in rooms_imported(path) if layer_of(other) > layer_of(room)}
    above -= {upper for lower, upper in LATE if lower == room}
    assert not above


def test_every_room_has_one_layer() -> None:
    rooms = {room_of(path.relative_to(ROOT)) for path in modules()}
    assert all(sum(room in layer for layer in LAYERS) == 1 for room in rooms)


def rooms_that_import(package: str) -> set[str]:
    using = [path for path in modules() if package in {name.split(".")[0] for name in imported(path)}]
    return {room_of(path.relative_to(ROOT)) for path in using}


def test_only_training_and_the_backends_import_pytorch() -> None:
    assert rooms_that_import("torch") <= TORCH_ROOMS


def test_only_the_backends_import_openvino() -> None:
    assert rooms_that_import("openvino") <= {"backends"}


def test_only_io_and_training_decode_pictures() -> None:
    decoders = rooms_that_import("PIL") | rooms_that_import("pi_heif") | rooms_that_import("pillow_heif")
    assert decoders <= {"io", "training", "evaluation"}


def test_only_the_room_of_videos_imports_pyav() -> None:
    assert rooms_that_import("av") <= {"video"}


def test_only_shells_load_the_terminal_libraries() -> None:
    assert rooms_that_import("typer") | rooms_that_import("rich") <= {"apps"}


def test_only_shells_print_or_leave_the_process() -> None:
    calls = {
        (room_of(path.relative_to(ROOT)), ast.unparse(node.func))
        for path in modules()
        for node in walk_runtime(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
    }
    assert {room for room, name in calls if name in {"print", "sys.exit", "exit", "os._exit"}} <= {"apps"}


def test_a_late_import_stands_inside_a_function() -> None:
    for lower, upper in LATE:
        tree = ast.parse((ROOT / f"{lower}.py").read_text(encoding="utf-8"))
        early = {ast.unparse(node) for node in tree.body if isinstance(node, ast.ImportFrom)}
        assert not any(f"sfumato.{upper}" in line for line in early)
