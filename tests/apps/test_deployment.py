"""The files that deploy the server, and the pages that describe it, against the server; nothing is deployed here."""

import configparser
import inspect
import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml  # type: ignore[import-untyped]  # it comes with yamllint, its types do not
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from typer.core import TyperCommand, TyperGroup

from sfumato.apps.cli import app
from sfumato.apps.cli_serve import LOCAL, serve
from sfumato.apps.server import create_app
from sfumato.apps.server_guard import Rules
from sfumato.apps.server_metrics import Metrics
from sfumato.io import Limits
from sfumato.jobs.bounds import Bounds
from sfumato.jobs.queue import Load
from sfumato.jobs.service import LAST_STAGE, Service
from sfumato.jobs.store import Store
from sfumato.settings import Settings
from tests.serving import serving

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "deploy" / "sfumato.service"
BOUNDS = Bounds(8, 10**9, 1, Limits(), 60.0, 60.0)

Instructions = Sequence[tuple[str, str]]


@pytest.fixture(scope="module")
def image() -> Instructions:
    """Return the instructions of the Dockerfile, each with its words."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    lines = re.sub(r"^#.*\n|\\\n", "", text, flags=re.MULTILINE).splitlines()
    return [(line.split()[0], line.partition(" ")[2].strip()) for line in lines if line]


@pytest.fixture(scope="module")
def container() -> dict[str, Any]:
    """Return what compose.yaml says of the server's container."""
    composed = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
    return dict(composed["services"]["sfumato"])


@pytest.fixture(scope="module")
def service() -> dict[str, str]:
    """Return the section [Service] of the unit."""
    parser = configparser.ConfigParser(delimiters="=", strict=True, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]  # as configparser's documentation says
    parser.read_string(UNIT.read_text(encoding="utf-8"))
    return dict(parser["Service"])


@pytest.fixture(scope="module")
def routes(tmp_path_factory: pytest.TempPathFactory) -> frozenset[str]:
    """Return the addresses that the server describes."""
    with Store(tmp_path_factory.mktemp("state")) as store:
        made = create_app(Service(store, BOUNDS), Metrics(), base=Settings(), rules=Rules())
        return frozenset(made.openapi()["paths"])


def said(image: Instructions, instruction: str) -> list[str]:
    return [words for name, words in image if name == instruction]


def parsed(words: Sequence[str]) -> dict[str, Any]:
    """Return the options of `sfumato serve` that a command line means; an unknown one fails."""
    assert words[0] == "serve"
    return serve_command().make_context("serve", list(words[1:])).params


def serve_command() -> TyperCommand:
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    command = group.commands["serve"]
    assert isinstance(command, TyperCommand)
    return command


def run_tool(name: str, *words: str | Path) -> None:
    """Run a linter of the test environment; it must have nothing to say."""
    ran = subprocess.run(
        [Path(sys.executable).with_name(name), *words], capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stdout + ran.stderr) == (0, "")


def test_hadolint_finds_nothing_in_the_dockerfile_and_is_told_to_overlook_nothing() -> None:
    assert "hadolint ignore" not in (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert not list(ROOT.glob(".hadolint.y*ml"))
    run_tool("hadolint", ROOT / "Dockerfile")


def test_yamllint_finds_nothing_in_the_compose_file() -> None:
    run_tool("yamllint", "--strict", "-d", "default", ROOT / "compose.yaml")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not here")
def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    """Its program and its token are missing where it is not installed, so a copy names others."""
    text = UNIT.read_text(encoding="utf-8")
    copy = tmp_path / UNIT.name
    copy.write_text(text.replace("ExecStart=/opt/sfumato/bin/sfumato", f"ExecStart={sys.executable}"))
    ran = subprocess.run(
        ["systemd-analyze", "verify", copy], capture_output=True, text=True, check=False, timeout=60
    )
    assert ran.returncode == 0, ran.stderr
    assert UNIT.name not in ran.stderr


def test_the_image_builds_and_runs_on_one_python_that_the_package_allows(image: Instructions) -> None:
    bases = {words.split()[0] for words in said(image, "FROM")}
    assert len(bases) == 1
    found = re.fullmatch(r"python:(3\.\d+)(\.\d+)?-slim-[a-z]+(@sha256:[0-9a-f]{64})?", bases.pop())
    assert found is not None
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert found[1] in SpecifierSet(project["requires-python"])


def test_the_image_holds_what_serving_needs_and_every_version_of_it_is_pinned(image: Instructions) -> None:
    installs = "".join(said(image, "RUN"))
    assert "[web]" in installs
    assert "-c constraints.txt" in installs
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {canonicalize_name(line.partition("==")[0]) for line in lines if "==" in line}
    assert set(needed("sfumato", "web")) - {"sfumato"} <= pinned


def needed(name: str, *extras: str) -> Iterator[str]:
    """Yield the names of a package and of all that it needs."""
    yield canonicalize_name(name)
    for line in distribution(name).requires or ():
        wanted = Requirement(line)
        if wanted.marker is None or any(wanted.marker.evaluate({"extra": extra}) for extra in (*extras, "")):
            yield from needed(wanted.name, *wanted.extras)


def test_all_that_the_image_is_made_of_reaches_the_builder(image: Instructions) -> None:
    sources = [word for words in said(image, "COPY") if "--from" not in words for word in words.split()[:-1]]
    let_in = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert sources
    assert all((ROOT / source).exists() and f"!{source}" in let_in for source in sources)


def test_the_container_runs_as_a_user_without_rights(image: Instructions, container: dict[str, Any]) -> None:
    (user,) = said(image, "USER")
    assert all(int(part) > 0 for part in user.split(":"))
    assert container["cap_drop"] == ["ALL"]
    assert container["security_opt"] == ["no-new-privileges:true"]
    assert container["read_only"] is True


def test_all_that_the_container_writes_lies_in_its_volume_or_in_memory(
    image: Instructions, container: dict[str, Any]
) -> None:
    (volume,) = said(image, "VOLUME")
    assert f"SFUMATO_HOME={volume}" in said(image, "ENV")[-1]
    assert [place.partition(":")[2] for place in container["volumes"]] == [volume]
    assert [place.partition(":")[0] for place in container["tmpfs"]] == ["/tmp"]


def test_the_container_is_reached_from_this_machine_alone_and_bounded(
    image: Instructions, container: dict[str, Any]
) -> None:
    (port,) = said(image, "EXPOSE")
    assert container["ports"] == [f"127.0.0.1:{port}:{port}"]
    assert {"mem_limit", "cpus", "pids_limit"} <= container.keys()
    assert container["restart"] == "unless-stopped"


def test_no_token_is_written_down_and_none_starts_without_one(
    image: Instructions, container: dict[str, Any], service: dict[str, str]
) -> None:
    assert not any("TOKEN" in words for _, words in image)
    assert container["environment"]["SFUMATO_TOKEN"].startswith("${SFUMATO_TOKEN:?")
    assert not service["EnvironmentFile"].startswith("-")
    assert "TOKEN" not in service["Environment"]


def test_each_way_to_start_is_one_that_the_command_knows(
    image: Instructions, container: dict[str, Any], service: dict[str, str]
) -> None:
    (port,) = said(image, "EXPOSE")
    for words in (json.loads(said(image, "CMD")[0]), container["command"]):
        options = parsed(words)
        assert (options["host"], options["port"], options["token"]) == ("0.0.0.0", int(port), None)
    assert json.loads(said(image, "ENTRYPOINT")[0]) == ["sfumato"]
    assert parsed(shlex.split(service["ExecStart"])[1:])["host"] in LOCAL


def test_each_stop_leaves_time_for_what_was_accepted(
    image: Instructions, container: dict[str, Any], service: dict[str, str]
) -> None:
    drain = inspect.signature(serve).parameters["drain"].default
    composed, unit = parsed(container["command"]), parsed(shlex.split(service["ExecStart"])[1:])
    assert composed["drain"] == unit["drain"] == drain
    assert float(container["stop_grace_period"].removesuffix("s")) > drain + LAST_STAGE
    assert float(service["TimeoutStopSec"]) > drain + LAST_STAGE
    assert said(image, "STOPSIGNAL") == ["SIGTERM"]
    assert container["init"] is True


def test_the_service_may_write_to_its_own_folder_alone(service: dict[str, str]) -> None:
    assert service["ProtectSystem"] == "strict"
    assert service["StateDirectoryMode"] == "0700"
    assert f"SFUMATO_HOME=/var/lib/{service['StateDirectory']}" in service["Environment"]
    assert {"DynamicUser", "NoNewPrivileges", "PrivateTmp", "ProtectHome"} <= {
        name for name, value in service.items() if value == "yes"
    }
    assert service["CapabilityBoundingSet"] == ""


def test_jobs_of_the_service_take_less_than_what_it_is_given(service: dict[str, str]) -> None:
    memory = parsed(shlex.split(service["ExecStart"])[1:])["memory"]
    assert 1e9 * memory <= int(service["MemoryMax"].removesuffix("G")) * 2**30 / 2


def test_the_health_check_tells_a_server_that_lives_from_one_that_does_not(
    image: Instructions, tmp_path: Path
) -> None:
    (words,) = said(image, "HEALTHCHECK")
    program, *rest = json.loads(words[words.index("[") :])
    assert program == "python"
    (port,) = said(image, "EXPOSE")
    with serving(tmp_path / "state") as served:
        asked = [word.replace(f":{port}/", f":{served.place[1]}/") for word in rest]
        assert asked != rest
        assert subprocess.run([sys.executable, *asked], check=False).returncode == 0
    ran = subprocess.run([sys.executable, *asked], check=False, stderr=subprocess.DEVNULL)
    assert ran.returncode == 1


def test_every_address_is_on_the_page_about_serving(routes: frozenset[str]) -> None:
    page = (ROOT / "docs" / "serve.md").read_text(encoding="utf-8")
    assert {"/v1/stylize", "/healthz", "/readyz", "/metrics"} <= routes
    assert [route for route in sorted(routes) if f"`{route}`" not in page] == []


def test_every_option_of_the_command_is_in_its_section() -> None:
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    section = page.partition("\n## sfumato serve\n")[2].partition("\n## ")[0]
    names = [name for option in serve_command().params for name in option.opts]
    assert "--drain" in names
    assert [name for name in names if f"`{name}`" not in section] == []


def test_every_metric_is_on_the_page_about_serving() -> None:
    page = (ROOT / "docs" / "serve.md").read_text(encoding="utf-8")
    metrics = Metrics()
    metrics.watch(lambda: Load(0, 0, 0), 0)
    names = re.findall(r"^# TYPE (\w+) (?!unknown)", metrics.text().decode(), re.MULTILINE)
    assert "sfumato_jobs_waiting" in names
    assert [name for name in names if not name.endswith("_created") and f"`{name}`" not in page] == []
