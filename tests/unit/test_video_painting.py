"""Whole videos are painted: steadily, without lag, part by part, in flat memory, and on from where a run was killed."""

import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from sfumato.errors import OutputError, SettingsError
from sfumato.settings import Settings
from sfumato.types import Image
from sfumato.video.clip import Window
from sfumato.video.memory import Memory, load_memory, save_memory
from sfumato.video.painting import VideoPainter
from sfumato.video.parts import open_workplace
from sfumato.video.run import Order, Report, paint_video, plan_video
from tests.clips import Film, panned, play, view, view_matrix, write_clip
from tests.painters import face_at_red, flickering_painter, flickering_pipeline

ROOT = Path(__file__).parents[2]


def marked(x: float, y: float, background: Image | None = None) -> Image:
    """Return a frame with a red patch, which stands for a face, around (x, y)."""
    image = view(view_matrix(150, 200, 1.0)) if background is None else background.copy()
    image[..., 0] = np.minimum(image[..., 0], 170)
    centre = (round(16 * x), round(16 * y))
    cv2.ellipse(image, centre, (16 * 16, 20 * 16), 0, 0, 360, (230, 40, 40), -1, cv2.LINE_AA, 4)
    for dx, dy in ((-6, -6), (6, -6), (0, 1), (-4, 8), (4, 8)):
        part = (round(16 * (x + dx)), round(16 * (y + dy)))
        cv2.circle(image, part, 16 * 3, (190, 0, 80), -1, cv2.LINE_AA, 4)
    return image


def paint_all(frames: list[Image], painter: VideoPainter) -> tuple[list[Image], list[Memory]]:
    memory, images, memories = None, [], []
    for frame in frames:
        step = painter.step(frame, memory)
        memory = step.memory
        images.append(step.image)
        memories.append(memory)
    return images, memories


def paint_file(source: Path, target: Path, painter: VideoPainter | None = None) -> Report:
    chosen = painter or flickering_painter()
    return paint_video(plan_video(Order(source, target, crf=4), chosen), chosen)


def test_a_steadied_video_flickers_clearly_less() -> None:
    frames = list(panned(8, 1.0))
    _, steady = paint_all(frames, flickering_painter())
    told = steady[-1].flicker.levels()
    assert told["frame_by_frame"] is not None and told["steadied"] is not None and told["source"] is not None
    assert told["steadied"] < 0.5 * told["frame_by_frame"]
    _, free = paint_all(frames, flickering_painter(steady=False))
    unsteady = free[-1].flicker.levels()
    assert unsteady["steadied"] == pytest.approx(unsteady["frame_by_frame"], rel=0.15)


def test_the_kept_face_is_where_the_face_is() -> None:
    path = [(30 + 4.0 * k, 50 + 1.5 * k) for k in range(14)]
    _, memories = paint_all([marked(*place) for place in path], flickering_painter())
    for memory, (x, y) in list(zip(memories, path, strict=True))[2:]:
        (track,) = memory.tracks
        assert np.linalg.norm(track.face.points.mean(axis=0) - (x, y)) < 1.2
    alone = flickering_painter().step(marked(*path[-1]), None).memory
    for axis in (0, 1):
        now, fresh = (np.nonzero(mask > 0.5)[axis].mean() for mask in (memories[-1].mask, alone.mask))
        assert abs(now - fresh) < 1.5


def test_a_face_that_leaves_and_comes_back_is_kept_again() -> None:
    path = [130 + 8.0 * k for k in range(9)] + [194 - 8.0 * k for k in range(9)]
    _, memories = paint_all([marked(x, 60) for x in path], flickering_painter())
    counts = [len(memory.tracks) for memory in memories]
    assert counts[0] == counts[-1] == 1
    assert max(memory.mask[:, :80].max() for memory in memories) < 0.05  # nothing stays where it was not
    assert memories[-1].scenes == 1


def test_a_cut_leaves_no_ghost() -> None:
    before, after = (view(view_matrix(x, y, z)) for x, y, z in ((150, 20, 0.8), (300, 330, 1.6)))
    painter = flickering_painter()
    images, memories = paint_all([before] * 6 + [after] * 3, painter)
    alone = painter.step(after, None).image
    assert [memory.scenes for memory in memories] == [1] * 6 + [2] * 3
    assert np.array_equal(images[6], alone)


def test_a_scene_without_movement_keeps_its_paint() -> None:
    frame = marked(60, 50)
    images, _ = paint_all([frame] * 4, flickering_painter())
    assert np.abs(images[-1].astype(int) - images[0]).max() <= 1


def test_nothing_flows_from_frames_to_come() -> None:
    frames = list(panned(6))
    images, _ = paint_all(frames, flickering_painter())
    some, _ = paint_all(frames[:3], flickering_painter())
    assert all(np.array_equal(a, b) for a, b in zip(images[:3], some, strict=True))


def test_memory_comes_back_from_the_disk_as_it_was(tmp_path: Path) -> None:
    _, memories = paint_all([marked(60 + k, 50) for k in range(3)], flickering_painter())
    save_memory(memories[-1], tmp_path / "memory.npz")
    back = load_memory(tmp_path / "memory.npz")
    for name in ("small", "painting", "mask"):
        assert np.array_equal(getattr(back, name), getattr(memories[-1], name))
    assert (back.tracks, back.flicker, back.frames) == (memories[-1].tracks, memories[-1].flicker, 3)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    frames = [marked(40 + 2 * k, 60, image) for k, image in enumerate(panned(24))]
    return write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", frames, Film(sound=True))


def start(source: Path, target: Path, frames: int, pause: float) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-m", "tests.painters", str(source), str(target), str(frames), str(pause)]
    return subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_a_killed_run_goes_on_and_ends_as_if_it_had_not_been(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sfumato.video.parts.PART_FRAMES", 5)
    process = start(clip, tmp_path / "out.mp4", 5, 0.05)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".sfumato-video-*/000001.mp4")):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert process.stdout is not None
    process.stdout.close()
    assert not (tmp_path / "out.mp4").exists()
    painter = flickering_painter()
    plan = plan_video(Order(clip, tmp_path / "out.mp4"), painter)
    report = paint_video(plan, painter)
    assert report.resumed >= 10 and report.frames == 24
    assert not list(tmp_path.glob(".sfumato*"))
    again = paint_video(plan_video(Order(clip, tmp_path / "again.mp4"), painter), painter)
    assert again.resumed == 0 and again.flicker == report.flicker
    resumed, uninterrupted = play(tmp_path / "out.mp4"), play(tmp_path / "again.mp4")
    assert resumed.stamps == uninterrupted.stamps
    assert all(np.array_equal(a, b) for a, b in zip(resumed.images, uninterrupted.images, strict=True))


def test_parts_join_as_one(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paint_file(clip, tmp_path / "one.mp4")
    monkeypatch.setattr("sfumato.video.parts.PART_FRAMES", 5)
    paint_file(clip, tmp_path / "many.mp4")
    one, many = play(tmp_path / "one.mp4"), play(tmp_path / "many.mp4")
    assert one.stamps == many.stamps == play(clip).stamps
    apart = [np.abs(a.astype(int) - b).mean() for a, b in zip(one.images, many.images, strict=True)]
    assert max(apart) < 2  # key frames elsewhere; the painting is the same


def test_other_settings_do_not_go_on_with_former_parts(clip: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    plans = [
        plan_video(Order(clip, target, **more), flickering_painter(settings))
        for more, settings in (
            ({}, Settings()),
            ({"crf": 30}, Settings()),
            ({"window": Window(0.0, 1.0)}, Settings()),
            ({}, Settings(paint=0.5)),
        )
    ]
    assert len({plan.work.key() for plan in plans}) == 4
    other = replace(
        flickering_painter(), pipeline=replace(flickering_pipeline(), models={"negative": "1" * 64})
    )
    assert plan_video(Order(clip, target), other).work.key() != plans[0].work.key()


def test_a_damaged_memory_is_painted_again(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sfumato.video.parts.PART_FRAMES", 5)
    painter = flickering_painter()
    plan = plan_video(Order(clip, tmp_path / "out.mp4"), painter)

    def stop(done: int, _total: int) -> None:
        if done == 13:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        paint_video(plan, painter, stop)
    (memory,) = plan.workplace.glob("*.npz")
    memory.write_bytes(memory.read_bytes()[:1000])
    report = paint_video(plan, painter)
    assert report.resumed == 0 and len(play(tmp_path / "out.mp4").images) == 24


def test_two_processes_do_not_paint_the_same(clip: Path, tmp_path: Path) -> None:
    painter = flickering_painter()
    plan = plan_video(Order(clip, tmp_path / "out.mp4"), painter)
    with (
        open_workplace(tmp_path / "out.mp4", plan.work.key()),
        pytest.raises(OutputError, match="by another process"),
    ):
        paint_video(plan, painter)


@pytest.mark.long
def test_memory_does_not_grow_with_the_video(tmp_path: Path) -> None:
    peaks = []
    for count in (16, 80):
        source = write_clip(tmp_path / f"{count}.mp4", [view(view_matrix(k, 20, 0.6)) for k in range(count)])
        process = start(source, tmp_path / f"out{count}.mp4", 8, 0.0)
        out, _ = process.communicate(timeout=120)
        assert process.returncode == 0
        peaks.append(int(out))
    assert peaks[1] - peaks[0] < 9_000  # kilobytes; 64 more frames would be 18 000 in RGB and float32 alone


@pytest.mark.parametrize(
    ("settings", "text"), [({"blend": "paste"}, "hard edge"), ({"faces": "1"}, "of one picture")]
)
def test_what_means_one_picture_is_refused(
    clip: Path, tmp_path: Path, settings: dict[str, str], text: str
) -> None:
    painter = flickering_painter(Settings(**settings))  # type: ignore[arg-type]  # by name
    with pytest.raises(SettingsError, match=text):
        plan_video(Order(clip, tmp_path / "out.mp4"), painter)


def test_nobody_looks_for_faces_that_are_not_kept() -> None:
    def refuse(_: Image) -> tuple[()]:
        raise AssertionError

    painter = flickering_painter(Settings(preserve="none"))
    painter = replace(painter, pipeline=replace(painter.pipeline, detect_faces=refuse))
    images, _ = paint_all(list(panned(3)), painter)
    assert len(images) == 3


def test_the_stand_in_finds_the_patch() -> None:
    (face,) = face_at_red(marked(70, 50))
    assert face.points.mean(axis=0) == pytest.approx([70, 50], abs=1)
