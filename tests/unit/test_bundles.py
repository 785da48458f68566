"""A bundle carries models whole, and nothing that is not what it says."""

import json
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

import pytest

from sfumato.bundles import MANIFEST, export_bundle, import_bundle
from sfumato.errors import (
    InputError,
    LicenceError,
    MissingInputError,
    ModelError,
    OutputError,
    OutputExistsError,
    SettingsError,
    SfumatoError,
)
from sfumato.registry import load_registry
from sfumato.store import expected_sha256, find_models, find_stored, known_models, pull
from sfumato.store_added import add
from sfumato.store_records import models_folder
from tests.servers import serve
from tests.unit.plugged import TABLE, plugged

DATA = b"weights" * 5000
DIGEST = sha256(DATA).hexdigest()


@pytest.fixture(autouse=True)
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Register two small models, one of them without a published sha256."""
    monkeypatch.setenv("SFUMATO_HOME", str(tmp_path / "first"))
    with serve({"weights.pth": DATA}) as server:
        table = {**TABLE, "urls": [f"{server.url}/weights.pth"]}
        known = {**table, "bytes": len(DATA), "sha256": DIGEST, "commercial_use": "no"}
        with plugged(lambda: {"known": known, "unknown": table}):
            yield


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """Return a bundle of both and of an added one, made on this machine."""
    from sfumato.store_licences import accept_licence

    (tmp_path / "mine.onnx").write_bytes(b"mine")
    specs = [*find_models(["known", "unknown"]), add(tmp_path / "mine.onnx", "segmenter", "mine")]
    accept_licence(specs[0])
    for spec in specs:
        pull(spec)
    export_bundle(specs, tmp_path / "models.zip")
    return tmp_path / "models.zip"


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bundle: Path) -> None:
    monkeypatch.setenv("SFUMATO_HOME", str(tmp_path / "second"))
    monkeypatch.setenv("SFUMATO_OFFLINE", "1")


def rewritten(source: Path, target: Path, change: Any, *, content: bytes | None = None) -> Path:
    """Write a bundle again with its manifest, and the file of "known", changed."""
    with ZipFile(source) as old, ZipFile(target, "w", ZIP_STORED) as new:
        manifest = json.loads(old.read(MANIFEST))
        change(manifest)
        new.writestr(MANIFEST, json.dumps(manifest))
        for name in old.namelist():
            if name != MANIFEST:
                new.writestr(name, content if content is not None and "known/" in name else old.read(name))
    return target


@pytest.mark.usefixtures("elsewhere")
def test_a_bundle_brings_models_to_a_machine_without_a_network(bundle: Path) -> None:
    told: list[tuple[int, int | None]] = []
    entries = import_bundle(bundle, accept=True, progress=lambda done, total: told.append((done, total)))
    assert [entry.spec.name for entry in entries] == ["known", "unknown", "mine"]
    assert told[-1] == (2 * len(DATA) + 4, 2 * len(DATA) + 4)
    for spec in (*find_models(["known", "unknown"]),):
        stored = find_stored(spec)
        assert stored is not None and stored.path.read_bytes() == DATA
        assert pull(spec).sha256 == DIGEST
    assert known_models()["mine"].task == "segmenter"
    assert expected_sha256(load_registry()["unknown"]) == DIGEST


@pytest.mark.usefixtures("elsewhere")
def test_licences_are_accepted_on_each_machine(bundle: Path) -> None:
    with pytest.raises(LicenceError, match="licence of known"):
        import_bundle(bundle)
    assert not models_folder().exists()


def set_sha(manifest: Any) -> None:
    manifest["models"][0]["sha256"] = "0" * 64


def rename(manifest: Any) -> None:
    manifest["models"][0]["name"] = "../../evil"


def unknown(manifest: Any) -> None:
    manifest["models"][0]["name"] = "nobody"


def redescribe(manifest: Any) -> None:
    manifest["models"][0]["spec"] = dict(TABLE)


def climb(manifest: Any) -> None:
    manifest["models"][2]["spec"]["file"] = "../../evil"
    manifest["models"][2]["file"] = "../../evil"


def shrink(manifest: Any) -> None:
    manifest["models"][0]["bytes"] = 3


def older(manifest: Any) -> None:
    manifest["sfumato_bundle"] = 0


def empty(manifest: Any) -> None:
    del manifest["models"]


def infinite(manifest: Any) -> None:
    manifest["models"][0]["bytes"] = float("inf")


def take_style(manifest: Any) -> None:
    manifest["models"][2]["spec"] |= {"task": "stylizer", "style": "monet"}


def take_set(manifest: Any) -> None:
    manifest["models"][2]["name"] = "paper"


def take_embedded(manifest: Any) -> None:
    manifest["models"][0]["name"] = "monet-light"


def wrong_type(manifest: Any) -> None:
    manifest["models"][2]["spec"]["bytes"] = "x"


LIES = [set_sha, rename, unknown, redescribe, climb, shrink, older, empty]
LIES += [infinite, take_style, take_set, take_embedded, wrong_type]


@pytest.mark.parametrize("change", LIES)
@pytest.mark.usefixtures("elsewhere")
def test_a_manifest_that_lies_is_refused(bundle: Path, tmp_path: Path, change: Any) -> None:
    bad = rewritten(bundle, tmp_path / "bad.zip", change)
    with pytest.raises(InputError, match=r"bad\.zip is no bundle of sfumato \(.*\); export it again"):
        import_bundle(bad, accept=True)
    assert not models_folder().exists()
    assert not list(tmp_path.rglob("evil"))


@pytest.mark.usefixtures("elsewhere")
def test_a_forged_file_is_refused_and_not_kept(bundle: Path, tmp_path: Path) -> None:
    bad = rewritten(bundle, tmp_path / "bad.zip", lambda _: None, content=b"forgery" * 5000)
    with pytest.raises(InputError, match="has another sha256 than it should; nothing is kept"):
        import_bundle(bad, accept=True)
    assert not [path for path in models_folder().rglob("*") if path.is_file()]


@pytest.mark.usefixtures("elsewhere")
def test_a_compressed_bundle_is_refused(bundle: Path, tmp_path: Path) -> None:
    with ZipFile(bundle) as old, ZipFile(tmp_path / "bad.zip", "w", ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    with pytest.raises(InputError, match="is compressed or encrypted"):
        import_bundle(tmp_path / "bad.zip", accept=True)


@pytest.mark.usefixtures("elsewhere")
def test_a_damaged_bundle_is_refused(bundle: Path, tmp_path: Path) -> None:
    content = bundle.read_bytes()
    for part in (0, 10, len(content) // 2, len(content) - 10):
        (tmp_path / "half.zip").write_bytes(content[:part])
        with pytest.raises(InputError, match=r"half\.zip is no whole bundle; export it again"):
            import_bundle(tmp_path / "half.zip", accept=True)
    with pytest.raises(MissingInputError, match="does not exist"):
        import_bundle(tmp_path / "none.zip")


@pytest.mark.usefixtures("elsewhere")
def test_a_huge_manifest_is_not_read(tmp_path: Path) -> None:
    with ZipFile(tmp_path / "bad.zip", "w") as bad:
        bad.writestr(MANIFEST, b" " * (2 << 20))
    with pytest.raises(InputError, match="its manifest is too large"):
        import_bundle(tmp_path / "bad.zip")


def test_what_cannot_be_bundled_is_refused(tmp_path: Path, bundle: Path) -> None:
    with pytest.raises(OutputExistsError, match="exists; use --overwrite"):
        export_bundle([], bundle)
    with pytest.raises(SettingsError, match="monet-light is part of sfumato"):
        export_bundle([load_registry()["monet-light"]], tmp_path / "a.zip")
    with pytest.raises(ModelError, match="sam-vit-b is not on this machine"):
        export_bundle([load_registry()["sam-vit-b"]], tmp_path / "a.zip")
    (models_folder() / "known" / "weights.pth").write_bytes(b"other")
    with pytest.raises(ModelError, match="is damaged"):
        export_bundle(find_models(["known"]), tmp_path / "a.zip")
    assert not (tmp_path / "a.zip").exists()


def test_two_bundles_of_the_same_models_are_equal_in_content(tmp_path: Path, bundle: Path) -> None:
    export_bundle(find_models(["known", "unknown", "mine"]), tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == bundle.read_bytes()


@pytest.mark.usefixtures("elsewhere")
def test_nothing_of_a_bundle_with_one_bad_file_is_kept(bundle: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.zip"
    with ZipFile(bundle) as old, ZipFile(bad, "w", ZIP_STORED) as new:
        for name in old.namelist():
            new.writestr(name, b"x" + old.read(name)[1:] if "mine/" in name else old.read(name))
    with pytest.raises(InputError, match="the file of mine has another sha256"):
        import_bundle(bad, accept=True)
    assert not [path for path in models_folder().rglob("*") if path.is_file()]
    assert expected_sha256(load_registry()["unknown"]) is None
    with pytest.raises(LicenceError):
        pull(load_registry()["known"])


@pytest.mark.usefixtures("elsewhere")
def test_a_model_of_the_users_own_is_not_replaced(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "other.onnx").write_bytes(b"other")
    spec = add(tmp_path / "other.onnx", "segmenter", "mine")
    with pytest.raises(InputError, match="mine is here already, from another file"):
        import_bundle(bundle, accept=True)
    stored = find_stored(spec)
    assert stored is not None and stored.path.read_bytes() == b"other"


def refused_in_one_line(bundle: Path) -> bool:
    """Return whether a bundle is refused; by anything but one line, this fails."""
    with suppress(SfumatoError):
        import_bundle(bundle, accept=True)
        return False
    return True


@pytest.mark.usefixtures("elsewhere")
def test_every_flipped_byte_of_the_directory_is_refused_in_one_line(bundle: Path, tmp_path: Path) -> None:
    content = bytearray(bundle.read_bytes())
    start = content.rindex(b"PK\x01\x02" if content.count(b"PK\x01\x02") == 1 else b"PK\x05\x06") - 300
    refused = 0
    for place in range(start, len(content), 3):
        damaged = bytearray(content)
        damaged[place] ^= 0xFF
        (tmp_path / "bad.zip").write_bytes(damaged)
        refused += refused_in_one_line(tmp_path / "bad.zip")
    assert refused > 50


def test_a_folder_is_no_bundle_to_write(tmp_path: Path) -> None:
    for target in (tmp_path, Path()):
        with pytest.raises(OutputError, match="is a folder; name the zip to write"):
            export_bundle([], target, overwrite=True)
