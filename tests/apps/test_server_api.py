"""The HTTP API with a simple pipeline: every route, every field, every refusal."""

import time
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from starlette.testclient import TestClient

from sfumato import __version__
from sfumato.apps.server import create_app
from sfumato.apps.server_fields import NAMED, StylizeFields, to_work
from sfumato.apps.server_guard import Rules
from sfumato.apps.server_metrics import Metrics
from sfumato.io import Limits
from sfumato.jobs.bounds import Bounds
from sfumato.jobs.service import Service
from sfumato.jobs.store import FILES, Store
from sfumato.settings import PRESETS, Settings
from tests.simple import FACE, build

BOUNDS = Bounds(
    length=8,
    memory=10**10,
    workers=1,
    limits=Limits(pixels=100_000, bytes=1_000_000),
    seconds=60,
    keep=3600,
)


def portrait(format: str = "PNG", size: tuple[int, int] = (96, 80)) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    buffer = BytesIO()
    PIL.Image.fromarray(pixels).save(buffer, format)
    return buffer.getvalue()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def client(tmp_path: Path, metrics: Metrics) -> Iterator[TestClient]:
    with Store(tmp_path) as store:
        service = Service(store, BOUNDS, build, metrics.count_job)
        app = create_app(service, metrics, base=Settings(paint=0.5), rules=Rules(rate=10_000), drain=5)
        with TestClient(app, raise_server_exceptions=False) as client:
            yield client


def send(client: TestClient, path: str, data: bytes | None = None, /, **fields: object) -> Any:
    files = {"image": ("any name", data or portrait())}
    return client.post(path, files=files, data={name: str(value) for name, value in fields.items()})


def opened(data: bytes) -> PIL.Image.Image:
    return PIL.Image.open(BytesIO(data))


def problem(response: Any, status: int) -> str:
    """Return the line of a refusal, after checking that it is one."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    held: Mapping[str, Any] = response.json()
    assert set(held) == {"type", "title", "status", "detail"}
    assert held["status"] == status
    assert held["type"].startswith("urn:sfumato:problem:")
    assert "\n" not in held["detail"]
    return str(held["detail"])


def finished(client: TestClient, id: str) -> Mapping[str, Any]:
    deadline = time.monotonic() + 30
    while True:
        job: Mapping[str, Any] = client.get(f"/v1/jobs/{id}").json()
        if job["state"] not in ("queued", "running"):
            return job
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_picture_comes_back_painted(client: TestClient, tmp_path: Path) -> None:
    response = send(client, "/v1/stylize", paint=0.0, preserve="none")
    assert response.status_code == 200
    assert response.headers["content-type"] == "image/png"
    assert response.headers["sfumato-faces"] == "1"
    np.testing.assert_array_equal(np.asarray(opened(response.content)), 255 - np.asarray(opened(portrait())))
    assert not any((tmp_path / FILES).iterdir())


def test_the_servers_own_settings_hold_where_a_request_says_nothing(client: TestClient) -> None:
    asked, silent, other = (
        send(client, "/v1/stylize", **f).content for f in ({"paint": 0.5}, {}, {"paint": 1.0})
    )
    assert asked == silent != other


@pytest.mark.parametrize("format", ["jpeg", "png", "webp", "tiff", "avif"])
def test_the_format_is_that_of_the_picture_or_the_one_asked_for(client: TestClient, format: str) -> None:
    same = send(client, "/v1/stylize", portrait(format.upper()))
    asked = send(client, "/v1/stylize", format=format)
    assert same.headers["content-type"] == asked.headers["content-type"] == f"image/{format}"
    assert opened(same.content).format == opened(asked.content).format == format.upper()


def test_a_picture_is_reduced_when_asked_to(client: TestClient) -> None:
    assert opened(send(client, "/v1/stylize", side=48).content).size == (48, 40)


def test_every_field_is_understood(client: TestClient) -> None:
    fields = {
        "style": "monet",
        "strength": 0.9,
        "preserve": "eyes=1,skin=0.6",
        "restorer": "light",
        "restore": 0.1,
        "segmenter": "auto",
        "detector": "light",
        "recogniser": "light",
        "blend": "melt",
        "paint": 0.2,
        "feather": 2,
        "faces": "0.4:0.5",
        "exact": "true",
        "side": 90,
        "format": "jpeg",
        "quality": 80,
        "metadata": "strip",
        "layers": "false",
    }
    assert set(fields) == set(StylizeFields.model_fields) - {"preset"}
    assert send(client, "/v1/stylize", **fields).status_code == 200


def test_faces_are_told_as_the_command_line_tells_them(client: TestClient) -> None:
    found = send(client, "/v1/detect").json()
    assert found["size"] == [96, 80]
    assert found["faces"][0]["box"] == list(FACE.box)
    assert len(found["faces"][0]["landmarks"]) == 5


def test_classes_come_as_a_picture(client: TestClient) -> None:
    assert opened(send(client, "/v1/segment").content).mode == "L"
    assert opened(send(client, "/v1/segment", view="overlay").content).mode == "RGB"


def test_a_thumbnail_tells_the_size_of_the_picture(client: TestClient) -> None:
    small = send(client, "/v1/thumbnail", side=48)
    assert small.headers["sfumato-size"] == "96x80"
    assert opened(small.content).size == (48, 40)


def test_masks_touches_and_palettes_are_files(client: TestClient) -> None:
    white = np.full((80, 96, 3), 255, np.uint8)
    clear = np.zeros((16, 16, 4), np.uint8)
    parts = {"mask": white, "touches": clear, "palette": white}
    files = {"image": portrait()}
    for name, pixels in parts.items():
        buffer = BytesIO()
        PIL.Image.fromarray(pixels).save(buffer, "PNG")
        files[name] = buffer.getvalue()
    assert client.post("/v1/stylize", files=files).status_code == 200


def test_a_job_is_told_of_until_it_is_done_and_then_fetched(client: TestClient) -> None:
    accepted = send(client, "/v1/stylize?async=1", layers="true")
    assert accepted.status_code == 202
    job = accepted.json()
    assert accepted.headers["location"] == f"/v1/jobs/{job['id']}"
    done = finished(client, job["id"])
    assert done["state"] == "done"
    assert done["progress"] == 1
    assert done["report"]["size"] == [96, 80]
    assert done["error"] is None
    result = client.get(done["result"])
    assert opened(result.content).size == (96, 80)
    assert result.headers["content-disposition"] == 'attachment; filename="painting.png"'
    for name in done["layers"]:
        assert opened(client.get(f"/v1/jobs/{job['id']}/layers/{name}").content).size == (96, 80)
    archive = zipfile.ZipFile(BytesIO(client.get(f"/v1/jobs/{job['id']}/layers").content))
    assert archive.testzip() is None
    assert sorted(archive.namelist()) == sorted(f"{name}.png" for name in done["layers"])
    assert client.delete(f"/v1/jobs/{job['id']}").status_code == 204
    problem(client.get(f"/v1/jobs/{job['id']}"), 404)


def test_faces_may_be_asked_for_as_a_job_too(client: TestClient) -> None:
    done = finished(client, send(client, "/v1/detect?async=1").json()["id"])
    assert done["result"] is None
    assert len(done["report"]["faces"]) == 1


def test_a_failed_job_tells_its_problem(client: TestClient) -> None:
    broken = portrait()[:-3000]
    words = "the picture is truncated or damaged; get a whole copy of it"
    assert problem(send(client, "/v1/stylize", broken), 422) == words
    job = finished(client, send(client, "/v1/stylize?async=1", broken).json()["id"])
    assert job["state"] == "failed"
    assert job["error"]["detail"] == words
    assert "has no result" in problem(client.get(f"/v1/jobs/{job['id']}/result"), 404)
    assert "has no such layer" in problem(client.get(f"/v1/jobs/{job['id']}/layers"), 404)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"paint": 1.5}, "paint is 1.5; use 0 to 1"),
        ({"paint": "much"}, "paint 'much' means nothing; use a number"),
        ({"pain": 1}, "unknown option 'pain'; did you mean 'paint'?; use detector"),
        ({"style": "monte"}, "unknown style 'monte'; did you mean 'monet'?; available: monet"),
        ({"preserve": "skim"}, "unknown class 'skim' to preserve; did you mean 'skin'?"),
        ({"preset": "papers"}, "unknown preset 'papers'; did you mean 'paper'?"),
        ({"blend": "mix"}, "blend 'mix' means nothing; use 'melt' or 'paste'"),
        ({"quality": 0}, "quality '0' means nothing; use greater than or equal to 1"),
        ({"side": "1.5"}, "side '1.5' means nothing; use a whole number"),
        ({"exact": "perhaps"}, "exact 'perhaps' means nothing; use true or false"),
        ({"side": 5}, "side '5' means nothing; use greater than or equal to 16"),
        ({"faces": "2"}, "face 2 was asked for, but 1 were found; see: sfumato detect"),
        ({"image": "text"}, "'image' is given twice; give it once"),
        ({"mask": "text"}, "'mask' is text; send it as a file"),
        ({"device": "cuda"}, "unknown option 'device'"),
    ],
)
def test_an_option_that_means_nothing_is_refused_in_one_line(
    client: TestClient, fields: Mapping[str, object], words: str
) -> None:
    assert problem(send(client, "/v1/stylize", **fields), 422).startswith(words)


@pytest.mark.parametrize("option", sorted(NAMED))
def test_a_path_is_no_name_of_a_model(client: TestClient, option: str, tmp_path: Path) -> None:
    """Nobody reads the server's files through an option."""
    for text in (str(tmp_path / "x.onnx"), "../x.safetensors", "/etc", "painting.jpg", "."):
        assert f"unknown {'style' if option == 'style' else option}" in problem(
            send(client, "/v1/stylize", **{option: text}), 422
        )


def test_of_several_segmenters_each_must_be_known(client: TestClient) -> None:
    assert send(client, "/v1/segment", segmenter="sam-vit-b, light").status_code == 200
    assert "unknown segmenter '/etc/x.onnx'" in problem(
        send(client, "/v1/segment", segmenter="light,/etc/x.onnx"), 422
    )


def test_options_of_other_routes_are_unknown(client: TestClient) -> None:
    assert problem(send(client, "/v1/detect", paint=1), 422).startswith("unknown option 'paint'")
    files = {"image": portrait(), "mask": portrait()}
    assert problem(client.post("/v1/detect", files=files), 422).startswith("unknown file 'mask'; use image")


@pytest.mark.parametrize(
    ("content", "status", "words"),
    [
        (b"just text, whatever its name says", 415, "the picture is no JPEG, PNG, WebP, TIFF, AVIF or HEIC"),
        (b"GIF89a", 415, "the picture is a GIF file; convert it to PNG or JPEG"),
        (
            portrait(size=(400, 300)),
            413,
            "the picture has 400x300 pixels, over 0.1 megapixels; scale it down",
        ),
        (portrait(size=(15, 300)), 422, "the picture is only 15x300 pixels"),
    ],
)
def test_a_picture_that_cannot_be_used_is_refused_in_the_words_of_the_command_line(
    client: TestClient, content: bytes, status: int, words: str
) -> None:
    for path in ("/v1/stylize", "/v1/stylize?async=1", "/v1/detect", "/v1/thumbnail"):
        assert problem(send(client, path, content), status).startswith(words)


def test_an_empty_picture_and_none_at_all_are_refused(client: TestClient) -> None:
    empty = client.post("/v1/stylize", files={"image": ("x", b"")})
    assert problem(empty, 422) == "the picture is empty; get a whole copy of it"
    none = client.post("/v1/stylize", files={"palette": portrait()})
    assert problem(none, 422) == "there is no picture; send one as the file 'image'"
    text = client.post("/v1/stylize", data={"image": "text"}, files={"palette": portrait()})
    assert problem(text, 422) == "there is no picture; send one as the file 'image'"


@pytest.mark.parametrize(
    ("kind", "body", "status", "words"),
    [
        (
            "application/json",
            b"{}",
            415,
            "the request is of type 'application/json'; send multipart/form-data",
        ),
        ("image/png", portrait(), 415, "the request is of type 'image/png'; send multipart/form-data"),
        ("multipart/form-data", b"x", 400, "the form cannot be read: missing boundary"),
        ("multipart/form-data; boundary=b", b"x", 400, "the form cannot be read"),
        (
            "multipart/form-data; boundary=b",
            b"--b\r\nContent-Disposition: form-data\r\n\r\n",
            400,
            "the form cannot",
        ),
    ],
)
def test_a_request_that_is_no_form_is_refused(
    client: TestClient, kind: str, body: bytes, status: int, words: str
) -> None:
    response = client.post("/v1/stylize", content=body, headers={"content-type": kind})
    assert problem(response, status).startswith(words)


def test_a_form_of_too_many_or_too_long_options_is_refused(client: TestClient) -> None:
    many = {f"option {k}": "1" for k in range(50)}
    assert "too many fields" in problem(send(client, "/v1/stylize", **many), 400)
    assert "part exceeded maximum size" in problem(send(client, "/v1/stylize", style="x" * 5000), 400)


@pytest.mark.parametrize(
    "path", ["/v1/jobs/none", f"/v1/jobs/{'0' * 32}", "/nothing", "/docs", "/page/../server.py"]
)
def test_what_is_not_there_is_a_problem(client: TestClient, path: str) -> None:
    assert problem(client.get(path), 422 if path == "/v1/jobs/none" else 404)


def test_a_wrong_method_is_a_problem(client: TestClient) -> None:
    assert problem(client.get("/v1/stylize"), 405) == "GET means nothing here"


def test_models_are_told_with_their_terms(client: TestClient) -> None:
    models = {model["name"]: model for model in client.get("/v1/models").json()["models"]}
    assert models["monet-light"]["option"] == "monet"
    assert models["monet-light"]["installed"]
    assert not models["gfpgan-1.4"]["installed"]
    assert {model["commercial_use"] for model in models.values()} <= {"yes", "no", "unclear"}


def test_defaults_and_limits_are_told(client: TestClient) -> None:
    about = client.get("/v1/about").json()
    assert about["version"] == __version__
    assert about["defaults"]["paint"] == 0.5
    assert about["limits"] == {"bytes": 1_000_000, "pixels": 100_000}
    assert about["keep_minutes"] == 60


def test_health_is_told_and_figures_hold_no_ids(client: TestClient) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").status_code == 200
    job = send(client, "/v1/stylize?async=1").json()["id"]
    finished(client, job)
    text = client.get("/metrics").text
    assert 'sfumato_jobs_total{kind="stylize",state="done"} 1.0' in text
    assert 'route="/v1/jobs/{id}"' in text
    assert "sfumato_jobs_waiting 0.0" in text
    assert job not in text


def test_every_answer_carries_the_headers_that_protect_its_reader(client: TestClient) -> None:
    for response in (
        client.get("/"),
        client.get("/v1/about"),
        client.get("/nothing"),
        send(client, "/v1/detect"),
    ):
        assert response.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in response.headers["content-security-policy"]
        assert response.headers["referrer-policy"] == "no-referrer"
        assert "access-control-allow-origin" not in response.headers
        assert response.headers["cache-control"] == "no-store"


def test_the_description_refers_to_nothing_that_is_missing(client: TestClient) -> None:
    described = client.get("/openapi.json").json()
    text = str(described)
    for name in ("Problem", "Faces", "FoundFace", "JobState", "Models", "About"):
        assert name in described["components"]["schemas"]
    references = {part.split("'")[0] for part in text.split("#/components/schemas/")[1:]}
    assert references <= set(described["components"]["schemas"])
    form = described["paths"]["/v1/stylize"]["post"]["requestBody"]["content"]["multipart/form-data"][
        "schema"
    ]
    assert form["properties"]["paint"]["maximum"] == 1
    assert form["properties"]["image"]["format"] == "binary"
    assert form["required"] == ["image"]


def test_a_preset_may_be_named_and_the_rest_given_over_it() -> None:
    work = to_work(StylizeFields.model_validate({"preset": "paper-plus", "restore": 0.1}), Settings())
    assert work.settings == replace(Settings(**PRESETS["paper-plus"]), restore=0.1)
