"""Weigh the wheel and an installed core with its dependencies, in a fresh virtual environment.

usage: python benchmarks/bench_size.py

MB are 10^6 bytes. The environment's own pip and setuptools are not counted.
"""

import json
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

TOOLS = frozenset({"pip", "setuptools", "pkg_resources", "_distutils_hack"})
"""What a new virtual environment holds by itself."""

ROOT = Path(__file__).resolve().parents[1]


def megabytes(folder: Path, leave_out: frozenset[str] = frozenset()) -> float:
    """Return the size of all files below a folder, without its children of some names."""
    children = [child for child in folder.iterdir() if child.name.split("-")[0] not in leave_out]
    files = [path for child in children for path in (child, *child.rglob("*")) if path.is_file()]
    return sum(path.stat().st_size for path in files) / 1e6


def build_wheel(folder: Path) -> Path:
    """Build the wheel of this checkout."""
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", str(folder), str(ROOT)]
    subprocess.run(command, check=True)
    return next(folder.glob("sfumato-*.whl"))


def installed_sizes(wheel: Path, folder: Path) -> dict[str, float]:
    """Install the wheel with its dependencies and return the size of each installed package over 5 MB, and of all."""
    venv.create(folder, with_pip=True)
    python = str(folder / "bin" / "python")
    constraints = str(ROOT / "constraints.txt")
    subprocess.run([python, "-m", "pip", "install", "--quiet", "-c", constraints, str(wheel)], check=True)
    packages = next((folder / "lib").glob("python*/site-packages"))
    sizes = {child.name: megabytes(child) for child in packages.iterdir() if child.is_dir()}
    large = {name: round(size, 1) for name, size in sorted(sizes.items(), key=lambda s: -s[1]) if size > 5}
    return {**large, "all": round(megabytes(packages, TOOLS), 1)}


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        wheel = build_wheel(Path(folder))
        size = round(wheel.stat().st_size / 1e6, 1)
        print(
            json.dumps(
                {"wheel_mb": size, "installed_mb": installed_sizes(wheel, Path(folder, "venv"))}, indent=2
            )
        )


if __name__ == "__main__":
    main()
