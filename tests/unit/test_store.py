"""Models come to this machine whole or not at all, stay what they were, and go when they are told to."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfumato import store
from sfumato.errors import (
    DownloadError,
    LicenceError,
    MissingInputError,
    ModelError,
    OutputError,
    SettingsError,
)
from sfumato.registry import SETS, ModelSpec, Task, is_plain, load_registry, make_spec
from sfumato.settings import make_settings
from sfumato.store import (
    find_model,
    find_models,
    find_stored,
    known_models,
    open_stored,
    pin,
    pull,
    remove,
    verify,
)
from sfumato.store_added import add
from sfumato.store_licences import accept_licence, check_licences, must_accept
from sfumato.store_records import folder_of, models_folder
from tests.servers import FileServer, serve
from tests.unit.plugged import TABLE, plugged

DATA = b"weights" * 5000
DIGEST = sha256(DATA).hexdigest()
OTHER = b"forgery" * 5000


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SFUMATO_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serve({"weights.pth": DATA}) as running:
        yield running


def spec_of(server: FileServer | None = None, name: str = "tiny", **fields: object) -> ModelSpec:
    """Return a model whose file a server has, with its sha256 known unless it is said to be None."""
    known = {"bytes": len(DATA), "sha256": DIGEST, "urls": (f"{server.url}/weights.pth",) if server else ()}
    table = {key: value for key, value in {**TABLE, **known, **fields}.items() if value is not None}
    return make_spec(name, table)


# --- fetching ------------------------------------------------------------------------------------------------


def test_a_model_is_fetched_once_and_stays_verified(server: FileServer) -> None:
    spec = spec_of(server)
    assert find_stored(spec) is None
    first = pull(spec)
    assert (first.path.read_bytes(), first.sha256) == (DATA, DIGEST)
    assert pull(spec) == first == find_stored(spec) == open_stored(spec) == verify(spec)
    assert server.asked == ["weights.pth"]


def test_another_file_than_the_known_one_leaves_nothing(server: FileServer) -> None:
    server.files["weights.pth"] = OTHER
    with pytest.raises(DownloadError, match="sent another file"):
        pull(spec_of(server))
    assert find_stored(spec_of(server)) is None
    assert not [path for path in models_folder().rglob("*") if path.is_file() and path.suffix != ".lock"]


def test_a_broken_download_goes_on_where_it_stopped(server: FileServer) -> None:
    spec = spec_of(server)
    folder_of(spec).mkdir(parents=True)
    (folder_of(spec) / "weights.pth.part").write_bytes(DATA[:10_000])
    told: list[int] = []
    pull(spec, progress=lambda done, _: told.append(done))
    assert told[-1] == len(DATA)
    assert (folder_of(spec) / "weights.pth").read_bytes() == DATA
    assert not (folder_of(spec) / "weights.pth.part").exists()


def test_the_mirror_comes_first_and_the_authors_after_it(
    server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve({"weights.pth": DATA}) as mirror:
        monkeypatch.setenv("SFUMATO_MIRROR", f"{mirror.url}/")
        pull(spec_of(server))
        assert (mirror.asked, server.asked) == (["weights.pth"], [])
        del mirror.files["weights.pth"]
        pull(spec_of(server, name="second"))
        assert (len(mirror.asked), len(server.asked)) == (2, 1)


@pytest.mark.parametrize("word", ["1", "true", "YES"])
def test_offline_fetches_nothing(server: FileServer, monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    monkeypatch.setenv("SFUMATO_OFFLINE", word)
    with pytest.raises(DownloadError, match="downloads are off; go online and pull it"):
        pull(spec_of(server))
    monkeypatch.setenv("SFUMATO_OFFLINE", "0")
    with pytest.raises(DownloadError, match="downloads are off"):
        pull(spec_of(server), offline=True)
    assert server.asked == []
    pull(spec_of(server))
    monkeypatch.setenv("SFUMATO_OFFLINE", word)
    assert pull(spec_of(server)).sha256 == DIGEST  # what is there already needs no network


def test_a_model_without_an_address_says_what_to_do() -> None:
    spec = spec_of(note="train it and add it")
    with pytest.raises(DownloadError, match="tiny has no address; train it and add it"):
        pull(spec)
    with pytest.raises(ModelError, match="tiny is not on this machine; train it and add it"):
        open_stored(spec)


# --- pinning -------------------------------------------------------------------------------------------------


def test_the_first_download_is_pinned_where_nobody_publishes_a_sha256(server: FileServer) -> None:
    spec = spec_of(server, bytes=None, sha256=None)
    assert store.expected_sha256(spec) is None
    assert pull(spec).sha256 == store.expected_sha256(spec) == DIGEST
    remove(spec)
    server.files["weights.pth"] = OTHER
    with pytest.raises(DownloadError, match="sent another file"):
        pull(spec)
    remove(spec, forget=True)
    assert pull(spec).sha256 == sha256(OTHER).hexdigest()


def test_a_sha256_can_be_pinned_beforehand(server: FileServer) -> None:
    spec = spec_of(server, bytes=None, sha256=None)
    with pytest.raises(DownloadError, match="sent another file"):
        pull(spec, sha256=sha256(OTHER).hexdigest())
    with pytest.raises(
        SettingsError, match=r"pinned is .* look again, or forget it: sfumato models remove tiny --forget"
    ):
        pull(spec, sha256=DIGEST)
    remove(spec, forget=True)
    assert pull(spec, sha256=DIGEST.upper()).sha256 == DIGEST


def test_a_known_sha256_cannot_be_pinned_over(server: FileServer) -> None:
    with pytest.raises(SettingsError, match="the registry says"):
        pin(spec_of(server), "0" * 64)
    pin(spec_of(server), DIGEST)


@pytest.mark.parametrize("text", ["", "abc", "g" * 64, "0" * 63])
def test_what_is_no_sha256_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="is none; give its 64 hexadecimal digits"):
        pin(spec_of(sha256=None), text)


# --- licences ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("use", ["no", "unclear"])
def test_a_licence_is_accepted_once_and_anew_when_it_changes(server: FileServer, use: str) -> None:
    spec = spec_of(server, commercial_use=use, weights_licence="research only")
    with pytest.raises(
        LicenceError, match=r"licence of tiny: research only; commercial use: .* add --accept-license"
    ):
        pull(spec)
    assert server.asked == []
    accept_licence(spec)
    pull(spec)
    assert not must_accept(spec)
    assert must_accept(spec_of(server, commercial_use=use, weights_licence="research and prayer only"))
    remove(spec, forget=True)
    assert must_accept(spec)


def test_a_free_licence_needs_no_word(server: FileServer) -> None:
    assert not must_accept(spec_of(server))
    assert not any(must_accept(spec) for spec in load_registry().values() if spec.embedded)


def test_several_licences_are_asked_for_together(server: FileServer) -> None:
    specs = [spec_of(server, name=name, commercial_use="no") for name in ("one", "two", "three")]
    with pytest.raises(LicenceError, match=r"licence of one \(and 2 more\)"):
        check_licences(specs, accept=False)
    check_licences(specs, accept=True)
    check_licences(specs, accept=False)


# --- damage --------------------------------------------------------------------------------------------------


def test_a_changed_file_is_noticed_at_the_next_use(server: FileServer) -> None:
    spec = spec_of(server)
    path = pull(spec).path
    path.write_bytes(OTHER)
    with pytest.raises(ModelError, match=r"is damaged: .* remove it with sfumato models remove tiny"):
        open_stored(spec)
    with pytest.raises(ModelError, match="is damaged"):
        verify(spec)
    remove(spec)
    assert open_stored_or_none(spec) is None
    pull(spec)
    path.touch()  # read again, and found whole
    assert open_stored(spec).sha256 == DIGEST


def open_stored_or_none(spec: ModelSpec) -> object:
    try:
        return open_stored(spec)
    except ModelError:
        return None


def test_a_registry_that_knows_another_sha256_wins_over_what_is_there(server: FileServer) -> None:
    pull(spec_of(server))
    with pytest.raises(ModelError, match=r"is whole, but 0+ is asked of it"):
        verify(spec_of(server, sha256="0" * 64))


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"sha256": 3}', b"\xff"])
def test_a_damaged_record_is_a_model_that_is_not_there(server: FileServer, content: bytes) -> None:
    spec = spec_of(server)
    pull(spec)
    (folder_of(spec) / "model.json").write_bytes(content)
    assert find_stored(spec) is None
    assert pull(spec).sha256 == DIGEST
    assert server.asked == ["weights.pth"]  # the file was whole, and is only read again


@pytest.mark.parametrize("content", [b"{", b"[1]", b'{"a": 1}', b"\xff"])
def test_a_damaged_table_of_pins_is_named(home: Path, content: bytes) -> None:
    home.mkdir()
    (home / "pins.json").write_bytes(content)
    with pytest.raises(ModelError, match=r"pins\.json .* delete it"):
        store.expected_sha256(spec_of(sha256=None))


# --- models of the user's own --------------------------------------------------------------------------------


def test_an_added_model_is_known_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "net.pth").write_bytes(DATA)
    spec = add(tmp_path / "net.pth", "stylizer", "my-style")
    assert known_models()["my-style"] == spec == find_model("my-style", "stylizer")
    assert open_stored(spec).path.read_bytes() == DATA
    (tmp_path / "net.pth").unlink()
    assert verify(spec).sha256 == DIGEST
    assert not must_accept(spec)
    assert remove(spec) > len(DATA)
    assert "my-style" not in known_models()


def test_a_registered_model_without_an_address_can_be_filled(tmp_path: Path) -> None:
    (tmp_path / "u.onnx").write_bytes(DATA)
    spec = add(tmp_path / "u.onnx", "segmenter", "unet-efficientnet-b2")
    assert spec == load_registry()["unet-efficientnet-b2"]
    assert open_stored(spec).sha256 == DIGEST
    (tmp_path / "u.onnx").write_bytes(OTHER)
    with pytest.raises(SettingsError, match="is here already, from another file"):
        add(tmp_path / "u.onnx", "segmenter", "unet-efficientnet-b2")
    remove(spec)
    with pytest.raises(SettingsError, match="this file is not unet-efficientnet-b2: its sha256 is"):
        add(tmp_path / "u.onnx", "segmenter", "unet-efficientnet-b2")
    remove(spec, forget=True)
    add(tmp_path / "u.onnx", "segmenter", "unet-efficientnet-b2")


@pytest.mark.parametrize(
    ("name", "task", "words"),
    [
        ("../evil", "stylizer", "is no plain one"),
        ("", "stylizer", "is no plain one"),
        (".hidden", "stylizer", "is no plain one"),
        ("monet-light", "stylizer", "is taken"),
        ("monet", "stylizer", "is taken"),
        ("light", "restorer", "is taken"),
        ("paper", "stylizer", "is taken"),
        ("sam-vit-b", "stylizer", "is taken"),
        ("sam-vit-b", "segmenter", "this file is not sam-vit-b: its sha256 is"),
        ("stylizer-monet", "restorer", "is taken"),
        ("-rf", "stylizer", "is no plain one"),
    ],
)
def test_a_name_that_cannot_be_had_is_refused(tmp_path: Path, name: str, task: Task, words: str) -> None:
    (tmp_path / "net.pth").write_bytes(DATA)
    with pytest.raises(SettingsError, match=words):
        add(tmp_path / "net.pth", task, name)
    assert not models_folder().exists()


def test_an_added_model_is_not_replaced_unasked(tmp_path: Path) -> None:
    (tmp_path / "a.pth").write_bytes(DATA)
    (tmp_path / "b.pth").write_bytes(OTHER)
    spec = add(tmp_path / "a.pth", "stylizer", "mine")
    assert add(tmp_path / "a.pth", "stylizer", "mine") == spec
    with pytest.raises(SettingsError, match="mine is here already, from another file; remove it first"):
        add(tmp_path / "b.pth", "stylizer", "mine")
    assert verify(spec).sha256 == DIGEST


def test_a_missing_file_is_not_added(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="is a folder; name the file"):
        add(tmp_path, "stylizer", "mine")
    with pytest.raises(MissingInputError, match="does not exist"):
        add(tmp_path / "none.pth", "stylizer", "mine")


@pytest.mark.parametrize(
    "described",
    ["{", '{"spec": {"task": "dance"}}', '{"spec": 3}', "[]", '{"spec": {"bytes": "x"}}', "[" * 100_000],
)
def test_a_damaged_description_is_left_out_and_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, described: str
) -> None:
    (tmp_path / "net.pth").write_bytes(DATA)
    spec = add(tmp_path / "net.pth", "stylizer", "mine")
    (folder_of(spec) / "model.json").write_text(described)
    assert "mine" not in known_models()
    assert "is damaged and left out; delete the folder" in caplog.text
    assert open_stored(load_registry()["monet-light"]).path.is_file()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("bytes", "x"),
        ("bytes", -1),
        ("sha256", "0"),
        ("style", [1]),
        ("urls", [3]),
        ("paints", []),
        ("embedded", "no"),
    ],
)
def test_a_table_with_a_value_of_another_type_is_no_model(name: str, value: object) -> None:
    with pytest.raises(TypeError, match="tiny: "):
        make_spec("tiny", {**TABLE, name: value})


def test_a_file_of_another_suffix_is_not_added(tmp_path: Path) -> None:
    for name in ("net.pth (1)", "net", "net.txt"):
        (tmp_path / name).write_bytes(DATA)
        with pytest.raises(SettingsError, match=r"is no file of \.onnx, \.pth"):
            add(tmp_path / name, "stylizer", "mine")
    (tmp_path / "sam.pt").write_bytes(DATA)
    with pytest.raises(SettingsError, match=r"cyclegan-monet is a file of \.pth; choose another name"):
        add(tmp_path / "sam.pt", "stylizer", "cyclegan-monet")


def test_how_a_generator_paints_goes_with_it(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(DATA)
    (tmp_path / "net.json").write_text('{"sees": "picture"}')
    spec = add(tmp_path / "net.onnx", "stylizer", "mine")
    assert (folder_of(spec) / "weights.json").read_text() == '{"sees": "picture"}'


def test_a_wrong_pin_is_no_damage(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(DATA)
    spec = add(tmp_path / "net.onnx", "segmenter", "unet-efficientnet-b2")
    remove(spec, forget=True)
    add(tmp_path / "net.onnx", "segmenter", "unet-efficientnet-b2")
    (models_folder().parent / "pins.json").write_text(json.dumps({spec.name: "0" * 64}))
    with pytest.raises(ModelError, match=r"is whole, but 0+ is asked of it .* --forget"):
        verify(spec)


def test_pins_of_several_processes_are_all_kept() -> None:
    specs = [spec_of(name=f"m{k}", sha256=None) for k in range(24)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda spec: pin(spec, DIGEST), specs))
    assert all(store.expected_sha256(spec) == DIGEST for spec in specs)


def test_a_cache_that_cannot_be_written_serves_what_it_holds(
    server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = spec_of(server)
    path = pull(spec).path
    path.touch()

    def refuse(*_: object) -> None:
        raise OutputError("read-only")

    monkeypatch.setattr("sfumato.store_records.write_json", refuse)
    assert open_stored(spec).sha256 == DIGEST


def test_what_cannot_be_removed_is_said(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = spec_of(server)
    pull(spec)
    monkeypatch.setattr("shutil.rmtree", lambda *_, **__: None)
    with pytest.raises(OutputError, match="cannot be deleted; look at its permissions"):
        remove(spec)


def test_no_home_folder_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", nowhere)
    assert models_folder().name == "models"  # SFUMATO_HOME is set
    for name in ("SFUMATO_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "SFUMATO_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SettingsError, match="there is no home folder to keep models in; set SFUMATO_HOME"):
        models_folder()
    assert make_settings().style == "monet"


@given(st.text(max_size=12))
def test_a_plain_name_stays_in_its_folder(name: str) -> None:
    if is_plain(name):
        root = Path("/models")
        assert (root / name).resolve().parent == root
        assert name not in (".", "..")


# --- names ---------------------------------------------------------------------------------------------------


def test_a_set_stands_for_its_models_and_each_comes_once() -> None:
    names = [spec.name for spec in find_models(["paper", "gfpgan-1.4"])]
    assert names == ["cyclegan-monet", "gfpgan-1.4", "sam-vit-b"]


def test_a_set_takes_what_is_here_before_what_must_be_fetched(tmp_path: Path) -> None:
    (tmp_path / "u.onnx").write_bytes(DATA)
    add(tmp_path / "u.onnx", "segmenter", "unet-efficientnet-b2")
    assert [spec.name for spec in find_models(["paper"])][2] == "unet-efficientnet-b2"


def test_every_set_names_known_models() -> None:
    for names in SETS.values():
        assert {part for name in names for part in name.split(",")} <= load_registry().keys()


def test_unknown_names_are_refused_with_the_nearest() -> None:
    with pytest.raises(SettingsError, match="unknown model 'sam-vit-x'; did you mean 'sam-vit"):
        find_models(["sam-vit-x"])
    with pytest.raises(SettingsError, match="model 'sam-vit-b' is a segmenter, not a stylizer"):
        find_model("sam-vit-b", "stylizer")
    assert find_model("nothing-like-it", "stylizer") is None


def test_an_embedded_model_is_always_here_and_stays() -> None:
    spec = load_registry()["monet-light"]
    assert pull(spec) == find_stored(spec) == open_stored(spec) == verify(spec)
    with pytest.raises(SettingsError, match="is part of sfumato; it cannot be removed"):
        remove(spec)


def test_removing_takes_the_conversions_with_it(server: FileServer, home: Path) -> None:
    spec = spec_of(server)
    pull(spec)
    converted = home / "converted" / "stylizer-3" / DIGEST
    converted.mkdir(parents=True)
    (converted / "model.onnx").write_bytes(b"x" * 1000)
    assert remove(spec) >= len(DATA) + 1000
    assert not converted.exists()
    assert remove(spec) == 0


# --- plug-ins ------------------------------------------------------------------------------------------------


def test_a_plug_in_adds_models(server: FileServer) -> None:
    table = {**TABLE, "bytes": len(DATA), "sha256": DIGEST, "urls": [f"{server.url}/weights.pth"]}
    with plugged(lambda: {"rembrandt": table}):
        assert pull(known_models()["rembrandt"]).sha256 == DIGEST
    assert "rembrandt" not in known_models()


def broken() -> object:
    raise RuntimeError("no such thing")


@pytest.mark.parametrize(
    ("load", "words"),
    [
        (broken, "the plug-in 'test' of someone lists no models"),
        (lambda: {"x": {"task": "stylizer"}}, "lists no models"),
        (lambda: {"x": {**TABLE, "task": "dance"}}, "lists no models .*dance"),
        (lambda: {"../x": TABLE}, "lists no models .*other characters"),
        (lambda: {"x": {**TABLE, "file": "../x.pth"}}, "lists no models .*other characters"),
        (lambda: [1], "lists no models"),
        (lambda: {"gfpgan-1.4": TABLE}, "claims the model 'gfpgan-1.4', which is another's; uninstall it"),
    ],
)
def test_a_broken_plug_in_is_named(load: object, words: str) -> None:
    with plugged(load), pytest.raises(ModelError, match=words):  # type: ignore[arg-type]  # some are broken on purpose
        load_registry()
