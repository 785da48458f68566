"""`sfumato video`: what it says, writes, refuses and leaves behind."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import numpy as np
import pytest

from sfumato.apps.cli import run
from tests.apps.conftest import Cli
from tests.clips import Film, packets, panned, play, view, view_matrix, write_clip
from tests.painters import flickering_pipeline


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "clip.mp4", list(panned(10)), Film(sound=True))


def test_a_video_is_painted_and_keeps_its_sound(cli: Cli, clip: Path, tmp_path: Path) -> None:
    done = cli("video", clip, tmp_path / "out.mp4")
    assert done.code == 0 and done.err == ""
    assert done.text.startswith(f"{clip} -> {tmp_path / 'out.mp4'} (10 frames, flicker ")
    before, after = play(clip), play(tmp_path / "out.mp4")
    assert after.seconds == before.seconds
    assert packets(tmp_path / "out.mp4", "audio") == packets(clip, "audio")
    apart = after.images[5].astype(int)[8:-8, 120:150] - (255 - before.images[5].astype(int))[8:-8, 120:150]
    assert np.abs(apart).mean() < 12  # the simple pipeline paints negatives
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.mp4", "out.mp4"]


def test_the_report_is_one_object(cli: Cli, clip: Path, tmp_path: Path) -> None:
    report = json.loads(cli("video", clip, tmp_path / "out.mkv", "--json", "--preview", "0.2").text)
    assert report["frames"] == 5 and report["size"] == [160, 120] and report["rate"] == 25
    assert report["scenes"] == 1 and report["resumed"] == 0 and report["left_out"] == []
    assert set(report["flicker"]) == {"source", "frame_by_frame", "steadied"}
    assert report["models"] == {"negative": "0" * 64}


def test_quiet_says_nothing(cli: Cli, clip: Path, tmp_path: Path) -> None:
    done = cli("video", clip, tmp_path / "out.mp4", "-q", "--preview", "0.1")
    assert (done.code, done.out, done.err) == (0, b"", "")


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (("none.mp4", "out.mp4"), 3, "no such file"),
        (("clip.mp4", "out.gif"), 4, "no video format has this suffix"),
        (("clip.mp4", "clip.mp4"), 4, "exists"),
        (("clip.mp4", "none/out.mp4"), 4, "no such file or directory"),
        (("clip.mp4", "out.webm", "--codec", "hevc"), 2, "does not hold hevc"),
        (("clip.mp4", "out.webm"), 4, "does not hold audio"),
        (("clip.mp4", "out.mp4", "--crf", "99"), 2, "--crf must be 0 to 51"),
        (("clip.mp4", "out.mp4", "--start", "9"), 2, "no frame after 9 s"),
        (("clip.mp4", "out.mp4", "--start", "-1"), 2, "--start must be 0 or more"),
        (("clip.mp4", "out.mp4", "--preview", "0"), 2, "--preview must be more than 0"),
        (("clip.mp4", "out.mp4", "--faces", "1"), 2, "not one of"),
        (("clip.mp4", "out.mp4", "--preset", "paper"), 2, "hard edge"),
        (("clip.mp4", "out.mp4", "--style", "nobody"), 2, "nobody"),
    ],
)
def test_a_refusal_is_one_line(
    cli: Cli,
    clip: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    code: int,
    text: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    if "paper" in words:
        words = (*words, "--style", "monet", "--restorer", "light", "--segmenter", "light")
    assert text in cli("video", *words).refused_with(code)
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]


def test_without_pyav_the_remedy_is_told(cli: Cli, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sfumato.video.requiring.find_spec", lambda _: None)
    assert "pip install 'sfumato[video]'" in cli("video", clip, clip.with_name("out.mp4")).refused_with(6)


def test_an_encoder_that_is_not_there_is_named(cli: Cli, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sfumato.video.writing.has_encoder", lambda name: name == "libx264")
    told = cli("video", clip, clip.with_name("out.mp4"), "--codec", "av1").refused_with(6)
    assert "cannot encode av1; use --codec h264" in told


def test_what_is_not_copied_is_said(cli: Cli, tmp_path: Path) -> None:
    source = tmp_path / "two.mkv"
    with av.open(source, "w") as out:
        streams = [out.add_stream("libx264", rate=25, options={"preset": "ultrafast"}) for _ in range(2)]
        for stream in streams:
            stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for stream in streams:
            frame = av.VideoFrame.from_ndarray(view(view_matrix(100, 20, 0.6)), format="rgb24")
            frame.pts = 0
            out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
    done = cli("video", source, tmp_path / "out.mkv")
    assert done.code == 0 and "left out: video stream 1" in done.text


def test_ctrl_c_keeps_what_is_done_and_says_how_to_go_on(clip: Path, tmp_path: Path) -> None:
    code = (
        "import sys, time\nfrom sfumato.apps import cli\nfrom sfumato.video import parts, run\n"
        "from tests.painters import flickering_pipeline\nparts.PART_FRAMES = 3\nwrite = run.Workplace.keep\n"
        "def keep(self, progress):\n    write(self, progress)\n    time.sleep(0.3)\n"
        "run.Workplace.keep = keep\nsys.exit(cli.run(sys.argv[1:], flickering_pipeline))\n"
    )
    words = ["video", str(clip), str(tmp_path / "out.mp4")]
    process = subprocess.Popen(
        [sys.executable, "-c", code, *words],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": "."},
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".sfumato-video-*/000001.mp4")):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert told.count("\n") == 1 and "the same command goes on" in told
    assert not (tmp_path / "out.mp4").exists()


def test_a_second_run_goes_on(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sfumato.video.parts.PART_FRAMES", 4)

    def give_up(*_: object) -> None:
        raise KeyboardInterrupt

    words = ["video", str(clip), str(tmp_path / "out.mp4")]
    with monkeypatch.context() as patch:
        patch.setattr("sfumato.video.run.deliver", give_up)
        assert run(words, flickering_pipeline) == 130
    assert "kept in" in capsys.readouterr().err
    assert run(words, flickering_pipeline) == 0
    assert "(10 frames, 10 from before, flicker" in capsys.readouterr().out
    assert len(play(tmp_path / "out.mp4").images) == 10


def test_the_real_networks_keep_a_face_in_its_place_and_steady(tmp_path: Path) -> None:
    """The astronaut's face, moved by known steps, is tracked to a pixel and flickers less than frame by frame."""
    from sfumato.pipeline import build_pipeline
    from sfumato.video.painting import VideoPainter

    matrices = [view_matrix(90 + 3.0 * k, 10 - 1.0 * k, 0.6) for k in range(6)]
    frames = [view(matrix, size=(160, 200)) for matrix in matrices]
    painter, memory, places = VideoPainter(build_pipeline()), None, []
    for frame, matrix in zip(frames, matrices, strict=True):
        memory = painter.step(frame, memory).memory
        (track,) = memory.tracks
        in_picture = (track.face.points - matrix[:, 2]) / matrix[0, 0]
        places.append(in_picture.mean(axis=0))
    assert memory is not None
    spread = np.abs(np.array(places) - np.mean(places, axis=0)).max() * 0.6
    assert spread < 1.0  # pixels of the frame
    told = memory.flicker.levels()
    assert told["steadied"] is not None and told["frame_by_frame"] is not None
    assert told["steadied"] < 0.7 * told["frame_by_frame"]
