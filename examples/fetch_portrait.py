"""Take the public-domain portrait of Grace Hopper (US Navy) out of matplotlib's wheel, without installing it.

Usage: python examples/fetch_portrait.py portrait.jpg
"""

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

MEMBER = "matplotlib/mpl-data/sample_data/grace_hopper.jpg"
CONSTRAINTS = Path(__file__).parents[1] / "constraints.txt"


def fetch_portrait(target: Path) -> None:
    """Download matplotlib's wheel into a temporary folder and write its portrait to `target`."""
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        options = ["--only-binary", ":all:", "-c", str(CONSTRAINTS), "-d", folder]
        subprocess.run([*pip, *options, "matplotlib"], check=True)
        wheel = next(Path(folder).glob("matplotlib-*.whl"))
        with zipfile.ZipFile(wheel) as archive:
            picture = archive.read(MEMBER)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(picture)


if __name__ == "__main__":
    fetch_portrait(Path(sys.argv[1]))
