"""`sfumato serve` in a process of its own, asked by clients that leave, dawdle, or send what is no picture."""

import socket
import struct
import sys
import zlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import numpy as np
import PIL.Image
import pytest
import requests

from tests.serving import PLAIN, Served, files_below, portrait, serving, size_of, wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="sends signals and reads /proc")

NAME = "passport-of-zoe.jpg"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve with one worker, whose networks are loaded, and uploads that must be quick."""
    state = tmp_path_factory.mktemp("faults") / "state"
    with serving(state, "--workers", "1", "--upload-seconds", "1") as running:
        assert running.paint(portrait()).status_code == 200
        yield running


def problem(answer: requests.Response, status: int) -> str:
    """Return the detail of a problem, after checking that it is one."""
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    said = answer.json()
    assert said["status"] == status
    assert said["type"].startswith("urn:sfumato:problem:")
    assert "\n" not in said["detail"]
    return str(said["detail"])


def request_of(served: Served, picture: bytes) -> bytes:
    """Return the bytes of a request that asks for a painting."""
    files = {"image": (NAME, picture)}
    asked = requests.Request("POST", f"{served.url}/v1/stylize", files=files, data=PLAIN).prepare()
    assert isinstance(asked.body, bytes)
    names = ("Content-Type", "Content-Length")
    head = ["POST /v1/stylize HTTP/1.1", "Host: localhost", *(f"{k}: {asked.headers[k]!s}" for k in names)]
    return "\r\n".join([*head, "", ""]).encode() + asked.body


def chunk(kind: bytes, content: bytes) -> bytes:
    check = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)


def png(width: int, height: int, *chunks: bytes, colour: int = 2) -> bytes:
    """Return a PNG of 8 bits a sample whose header says these sizes, whatever the chunks hold."""
    head = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join((chunk(b"IHDR", head), *chunks, chunk(b"IEND", b"")))


def packed_zeros(megabytes: int) -> bytes:
    """Return as many zeros, compressed a thousandfold."""
    packer = zlib.compressobj(9)
    return b"".join([*(packer.compress(bytes(1_000_000)) for _ in range(megabytes)), packer.flush()])


def test_a_client_that_leaves_amid_its_upload_leaves_nothing(served: Served) -> None:
    served.wait_until_idle()
    before = files_below(served.state)
    sent = request_of(served, portrait(1500))
    left = served.metric('sfumato_requests_total{method="POST",route="/v1/stylize",status="499"}')
    with socket.create_connection(served.place) as connection:
        connection.sendall(sent[: len(sent) // 2])
    wait_until(
        lambda: served.metric('sfumato_requests_total{method="POST",route="/v1/stylize",status="499"}') > left
    )
    assert files_below(served.state) == before
    assert served.get("/healthz").status_code == 200


def test_a_client_that_leaves_takes_its_job_along(served: Served) -> None:
    cancelled, before = served.painted("cancelled"), files_below(served.state)
    with socket.create_connection(served.place) as first, socket.create_connection(served.place) as second:
        first.sendall(request_of(served, portrait(1500)))
        wait_until(lambda: served.metric("sfumato_jobs_running") == 1)
        second.sendall(request_of(served, portrait()))
        wait_until(lambda: served.metric("sfumato_jobs_waiting") == 1)
    served.wait_until_idle()
    wait_until(lambda: served.painted("cancelled") == cancelled + 2)
    assert files_below(served.state) == before


def test_a_slow_upload_is_cut_off_while_others_are_served(served: Served) -> None:
    with socket.create_connection(served.place) as slow:
        slow.settimeout(15)
        slow.sendall(request_of(served, portrait(1500))[:2000])
        assert size_of(served.paint(portrait(), PLAIN).content) == (256, 256)
        answer = slow.recv(2000)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"application/problem+json" in answer


def test_a_body_that_is_shorter_than_said_is_cut_off(served: Served) -> None:
    sent = request_of(served, portrait())
    before = files_below(served.state)
    with socket.create_connection(served.place) as short:
        short.settimeout(15)
        short.sendall(sent[:-100])
        short.shutdown(socket.SHUT_WR)
        wait_until(lambda: short.recv(2000) == b"")
    assert files_below(served.state) == before
    assert served.get("/readyz").status_code == 200


@pytest.mark.parametrize("path", ["/v1/stylize", "/v1/detect", "/v1/segment", "/v1/thumbnail"])
def test_a_header_of_900_megapixels_is_refused_unread(served: Served, path: str) -> None:
    before = served.peak()
    picture = png(30_000, 30_000, chunk(b"IDAT", packed_zeros(20)))
    problem(served.post(path, {"image": ("a.png", picture)}), 413)
    assert served.peak() - before < 20e6


BOMBS: Mapping[str, tuple[bytes, ...]] = {
    "pixels": (chunk(b"IDAT", packed_zeros(1000)),),
    "text": (
        chunk(b"zTXt", b"Comment\0\0" + packed_zeros(1000)),
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + packed_zeros(1000)),
        chunk(b"IDAT", zlib.compress(bytes(64 * (1 + 3 * 64)))),
    ),
    "profile": (
        chunk(b"iCCP", b"icc\0\0" + packed_zeros(1000)),
        chunk(b"IDAT", zlib.compress(bytes(64 * (1 + 3 * 64)))),
    ),
}


@pytest.mark.parametrize("kind", BOMBS)
def test_a_gigabyte_packed_into_a_small_picture_takes_no_memory(served: Served, kind: str) -> None:
    before = served.peak()
    answer = served.paint(png(64, 64, *BOMBS[kind]), PLAIN, name="a.png")
    assert answer.status_code in (200, 422), answer.text
    assert served.peak() - before < 50e6


def test_a_huge_picture_within_the_limit_takes_no_more_than_estimated(served: Served) -> None:
    side = 7500
    rows = zlib.compress(bytes(side * (1 + 3 * side)), 1)
    files = {"image": ("a.png", png(side, side, chunk(b"IDAT", rows)))}
    answer = served.post("/v1/thumbnail", files, {"side": "64"})
    assert size_of(answer.content) == (64, 64)
    assert served.peak() < 400e6 + 10 * side * side


def test_a_truncated_picture_is_refused_when_it_is_read(served: Served) -> None:
    assert "truncated" in problem(served.paint(portrait()[:-3000]), 422)


def test_text_that_is_called_jpeg_is_refused_by_its_content(served: Served) -> None:
    problem(served.paint(b"Dear sir or madam", name="letter.jpg"), 415)


@pytest.mark.parametrize(
    ("type", "body", "status"),
    [
        ("application/json", b'{"image": 1}', 415),
        ("image/jpeg", portrait(), 415),
        ("multipart/form-data", b"--x\r\n", 400),
        ("multipart/form-data; boundary=x", b"no boundary in it", 400),
        ("multipart/form-data; boundary=x", b"", 422),
        ("", b"", 415),
    ],
)
def test_a_body_that_is_no_form_is_refused(served: Served, type: str, body: bytes, status: int) -> None:
    answer = requests.post(f"{served.url}/v1/stylize", data=body, headers={"Content-Type": type}, timeout=30)
    problem(answer, status)


def test_many_bad_pictures_at_once_end_nothing(served: Served) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (20, 3000), dtype=np.uint8)
    heads = [portrait()[:500], portrait(256, "PNG")[:500], portrait(256, "WEBP")[:500], b""]
    with ThreadPoolExecutor(8) as clients:
        answers = list(clients.map(served.paint, [head + row.tobytes() for head in heads for row in noise]))
    assert {answer.status_code for answer in answers} <= {415, 422}
    assert size_of(served.paint(portrait(), PLAIN).content) == (256, 256)


def test_nothing_of_an_upload_is_logged(served: Served) -> None:
    described = PIL.Image.Exif()
    described[0x010E] = "Zoe at home"
    encoded = BytesIO()
    PIL.Image.open(BytesIO(portrait())).save(encoded, "JPEG", exif=described)
    id = served.submit(encoded.getvalue(), PLAIN)
    served.ended(id)
    assert served.get(f"/v1/jobs/{id}/result").status_code == 200
    assert served.paint(portrait()[:-3000], name=NAME).status_code == 422
    assert served.get("/v1/stylize?name=passport").status_code == 405
    wait_until(lambda: " 405 " in served.said())
    said = served.said()
    assert "POST /v1/stylize 422" in said
    for secret in (NAME, "passport", "Zoe", "127.0.0.1", id, *files_below(served.state), "Traceback"):
        assert secret not in said
