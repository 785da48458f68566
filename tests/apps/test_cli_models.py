"""`sfumato models`: what is fetched, kept, carried and removed, from a local server."""

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from sfumato.registry import load_registry
from tests.apps.conftest import Cli, Save
from tests.servers import FileServer, serve
from tests.unit.plugged import TABLE, plugged

DATA = b"weights" * 5000
DIGEST = sha256(DATA).hexdigest()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SFUMATO_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def server() -> Iterator[FileServer]:
    """Serve two models, of a task that needs no conversion; one has no published sha256 and an unclear licence."""
    with serve({"weights.onnx": DATA}) as running:
        table = {**TABLE, "task": "detector", "file": "weights.onnx", "urls": [f"{running.url}/weights.onnx"]}
        known = {**table, "bytes": len(DATA), "sha256": DIGEST}
        unknown = {**table, "commercial_use": "unclear", "weights_licence": "not stated"}
        with plugged(lambda: {"known": known, "unknown": unknown}):
            yield running


def test_info_tells_everything(cli: Cli) -> None:
    spec = load_registry()["gfpgan-1.4"]
    text = cli("models", "info", "gfpgan-1.4").text
    for word in (spec.sha256, spec.weights_licence, *spec.urls, spec.data, "--accept-license is needed once"):
        assert str(word) in text
    (facts,) = json.loads(cli("models", "info", "gfpgan-1.4", "--json").text)["models"]
    assert (facts["state"], facts["path"], facts["converted"]) == ("pull", None, None)
    assert len(json.loads(cli("models", "info", "paper", "--json").text)["models"]) == 3


def test_pull_fetches_verifies_and_says_where(cli: Cli, server: FileServer) -> None:
    ran = cli("models", "pull", "known")
    assert ran.code == 0
    assert "known: 0.0 MB; weights: MIT; commercial use: yes" in ran.text
    assert "known: fetched, verified: " in ran.text
    assert "known: is here already, verified" in cli("models", "pull", "known").text
    assert server.asked == ["weights.onnx"]
    (pulled,) = json.loads(cli("models", "pull", "known", "--json").text)["models"]
    assert (pulled["sha256"], Path(pulled["path"]).read_bytes()) == (DIGEST, DATA)
    assert cli("models", "pull", "known", "-q").text == ""


def test_a_licence_is_asked_for_once_and_what_is_unpublished_is_pinned(cli: Cli, server: FileServer) -> None:
    line = cli("models", "pull", "known", "unknown").refused_with(8)
    assert "licence of unknown: not stated; commercial use: unclear" in line
    assert server.asked == []
    ran = cli("models", "pull", "unknown", "--accept-license")
    assert f"nobody publishes its sha256; pinned from now on is {DIGEST}" in ran.text
    assert cli("models", "remove", "unknown").code == 0
    server.files["weights.onnx"] = DATA[::-1]
    assert "sent another file" in cli("models", "pull", "unknown").refused_with(7)
    assert f"{DIGEST} (pinned)" in cli("models", "info", "unknown").text


def test_a_sha256_beforehand_holds(cli: Cli, server: FileServer) -> None:
    words = ("models", "pull", "unknown", "--accept-license", "--sha256")
    assert "sent another file" in cli(*words, "0" * 64).refused_with(7)
    assert "pinned is" in cli(*words, DIGEST).refused_with(2)
    assert cli("models", "remove", "unknown", "--forget").code == 0
    assert cli(*words, DIGEST).code == 0
    assert "one model at a time" in cli(
        "models", "pull", "known", "unknown", "--sha256", DIGEST
    ).refused_with(2)


def test_faults_of_the_network_are_one_line(cli: Cli, server: FileServer) -> None:
    assert "downloads are off" in cli("models", "pull", "known", "--offline").refused_with(7)
    server.files["weights.onnx"] = DATA[:-1]
    assert "has 34,999 bytes, not the 35,000" in cli("models", "pull", "known").refused_with(7)
    del server.files["weights.onnx"]
    assert "answered 404" in cli("models", "pull", "known").refused_with(7)
    assert "unknown model 'knwon'; did you mean 'known'" in cli("models", "pull", "knwon").refused_with(2)
    assert "nobody publishes its weights" in cli(
        "models", "pull", "unet-efficientnet-b2", "--accept-license"
    ).refused_with(7)


def test_verify_reads_all_that_is_here(cli: Cli, server: FileServer, home: Path) -> None:
    cli("models", "pull", "known")
    ran = cli("models", "verify")
    assert ran.code == 0
    assert f"known: whole, sha256 {DIGEST}" in ran.text
    assert "monet-light: whole" in ran.text
    (home / "models" / "known" / "weights.onnx").write_bytes(DATA[::-1])
    ran = cli("models", "verify", "--json")
    assert ran.code == 5
    assert "model known is damaged" in ran.err
    told = {model["name"]: model["whole"] for model in json.loads(ran.text)["models"]}
    assert told.pop("known") is False
    assert all(told.values())
    assert "is not on this machine" in cli("models", "verify", "sam-vit-h").refused_with(5)


def test_remove_says_what_was_freed(cli: Cli, server: FileServer) -> None:
    cli("models", "pull", "known")
    assert cli("models", "remove", "known").text == "known: 0.0 MB freed\n"
    assert cli("models", "remove", "known").text == "known: was not here\n"
    assert "is part of sfumato" in cli("models", "remove", "monet-light").refused_with(2)


def test_list_says_where_each_model_is(cli: Cli, server: FileServer) -> None:
    cli("models", "pull", "known")
    rows = {line.split()[0]: line for line in cli("models", "list").text.splitlines()}
    assert " here " in rows["known"]
    assert " pull " in rows["unknown"]
    assert " embedded " in rows["monet-light"]
    assert " train " in rows["unet-efficientnet-b2"]


@pytest.mark.parametrize("words", [("export-bundle", "import-bundle"), ("export", "import")])
def test_a_bundle_goes_to_a_machine_without_a_network(
    cli: Cli, server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, str]
) -> None:
    cli("models", "pull", "known", "unknown", "--accept-license")
    bundle = tmp_path / "models.zip"
    assert "2 models, 0.1 MB" in cli("models", words[0], "known", "unknown", "-o", bundle).text
    assert "exists; use --overwrite" in cli("models", words[0], "known", "-o", bundle).refused_with(4)
    monkeypatch.setenv("SFUMATO_HOME", str(tmp_path / "other"))
    monkeypatch.setenv("SFUMATO_OFFLINE", "1")
    assert "licence of unknown" in cli("models", words[1], bundle).refused_with(8)
    ran = cli("models", words[1], bundle, "--accept-license")
    assert f"unknown: 0.0 MB, sha256 {DIGEST}, pinned from now on" in ran.text
    assert cli("models", "pull", "known", "unknown").code == 0
    models = json.loads(cli("models", words[1], bundle, "--json").text)["models"]
    assert [model["sha256"] for model in models] == [DIGEST, DIGEST]


# --- models of the user's own, which PyTorch reads -----------------------------------------------------------


@pytest.fixture
def generator(tmp_path: Path) -> Path:
    torch = pytest.importorskip("torch")
    from sfumato.nets.cyclegan import ResnetGenerator

    torch.manual_seed(0)
    torch.save(ResnetGenerator(blocks=1, width=4).state_dict(), tmp_path / "latest_net_G.pth")
    return tmp_path / "latest_net_G.pth"


def test_an_added_style_is_converted_and_painted_with(cli: Cli, save: Save, generator: Path) -> None:
    ran = cli("models", "add", generator, "--task", "stylizer", "--name", "mine")
    assert ran.code == 0, ran.err
    assert "mine: CycleGAN's generator, kept as " in ran.text
    assert "use it with --style mine" in ran.text
    facts = json.loads(cli("models", "info", "mine", "--json").text)["models"][0]
    assert (facts["state"], facts["paper"]) == ("here", "CycleGAN's generator")
    assert Path(facts["converted"], "model.onnx").is_file()
    assert cli("stylize", save("a.png"), "--style", "mine").code == 0
    assert "mine" in cli("stylize", save("b.png"), "--style", "mien").refused_with(2)


def test_the_wrong_task_and_unknown_networks_are_refused(cli: Cli, generator: Path, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    line = cli("models", "add", generator, "--task", "restorer").refused_with(2)
    assert "holds CycleGAN's generator, a stylizer and no restorer; use --task stylizer" in line
    assert "task 'dance' is unknown" in cli("models", "add", generator, "--task", "dance").refused_with(2)
    assert "takes no models of your own" in cli(
        "models", "add", generator, "--task", "detector"
    ).refused_with(2)
    torch.save({"position_emb": torch.zeros(1)}, tmp_path / "codeformer.pth")
    line = cli("models", "add", tmp_path / "codeformer.pth", "--task", "restorer").refused_with(5)
    assert "holds CodeFormer, which sfumato does not run" in line
    assert "does not exist" in cli("models", "add", tmp_path / "no.pth", "--task", "stylizer").refused_with(3)
    assert "does not exist" in cli("models", "add", tmp_path / "no.onnx", "--task", "stylizer").refused_with(
        3
    )


def test_weights_that_cannot_be_converted_are_not_kept(cli: Cli, generator: Path, home: Path) -> None:
    torch = pytest.importorskip("torch")
    state = torch.load(generator, weights_only=True)
    state["model.10.conv_block.1.weight"] = state["model.10.conv_block.1.weight"][:1]
    torch.save(state, generator)
    line = cli("models", "add", generator, "--task", "stylizer", "--name", "mine").refused_with(5)
    assert "holds another network than CycleGAN's generator" in line
    assert not (home / "models" / "mine").exists()
