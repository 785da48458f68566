"""Videos are read and written: time stamps, sound, subtitles, colours, rotation, odd sizes, and what is refused."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, cast

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfumato.errors import (
    InputError,
    MissingInputError,
    OutputError,
    OutputExistsError,
    SettingsError,
    SfumatoError,
    UnsupportedFormatError,
)
from sfumato.settings import Settings
from sfumato.types import Image
from sfumato.video.clip import Orientation, Window, reduced_shape, turn_upright
from sfumato.video.painting import VideoPainter
from sfumato.video.reading import look_through, read_frames
from sfumato.video.run import Order, Report, paint_video, plan_video
from sfumato.video.steadying import FREE
from sfumato.video.writing import choose_encoding, has_encoder
from tests.clips import Film, packets, panned, play, write_clip
from tests.simple import build

if TYPE_CHECKING:
    from av.container.core import Chapter


def through(source: Path, target: Path, **options: object) -> Report:
    """Send a video through with nothing painted: what comes back is what reading and writing do to it."""
    painter = VideoPainter(build(Settings(strength=0.0, preserve="none")), FREE, measure=False)
    plan = plan_video(Order(source, target, **options), painter)  # type: ignore[arg-type]  # by name
    return paint_video(plan, painter)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    film = Film(sound=True, subtitles=True, metadata={"title": "A walk"})
    return write_clip(tmp_path / "clip.mp4", list(panned(30)), film)


def test_every_frame_comes_back_at_its_time(clip: Path, tmp_path: Path) -> None:
    through(clip, tmp_path / "out.mp4", crf=4)
    before, after = play(clip), play(tmp_path / "out.mp4")
    assert after.seconds == before.seconds
    apart = [np.abs(a.astype(int) - b).mean() for a, b in zip(before.images, after.images, strict=True)]
    assert max(apart) < 2  # one more lossy encoding
    with av.open(clip) as one, av.open(tmp_path / "out.mp4") as other:
        assert one.streams.video[0].average_rate == other.streams.video[0].average_rate
        assert one.duration == pytest.approx(other.duration, abs=1000)  # the source counts milliseconds


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_sound_is_copied_byte_for_byte(tmp_path: Path, suffix: str) -> None:
    clip = write_clip(tmp_path / "clip.mp4", list(panned(12)), Film(sound=True))
    target = tmp_path / f"out{suffix}"
    through(clip, target)
    assert [data for _, data in packets(target, "audio")] == [data for _, data in packets(clip, "audio")]
    for a, b in zip(since_first_frame(target), since_first_frame(clip), strict=True):
        assert a == pytest.approx(b, abs=0.0011)  # Matroska counts milliseconds, and none before zero


def since_first_frame(path: Path) -> list[float]:
    """Return when each packet of sound is heard after the first frame is seen."""
    begin = play(path).seconds[0]
    return [time - begin for time, _ in packets(path, "audio")]


def test_subtitles_title_and_language_are_kept(clip: Path, tmp_path: Path) -> None:
    through(clip, tmp_path / "out.mp4")
    assert packets(tmp_path / "out.mp4", "subtitle") == packets(clip, "subtitle")
    with av.open(tmp_path / "out.mp4") as file:
        assert file.metadata["title"] == "A walk"
        assert file.streams.audio[0].metadata["language"] == "deu"


def test_chapters_are_kept_and_cut(clip: Path, tmp_path: Path) -> None:
    marked = tmp_path / "chapters.mkv"
    with av.open(clip) as source, av.open(marked, "w") as out:
        spans = {"one": (0, 600), "two": (600, 1200)}
        chapters = [
            {"id": k, "start": a, "end": b, "time_base": Fraction(1, 1000), "metadata": {"title": name}}
            for k, (name, (a, b)) in enumerate(spans.items())
        ]
        out.set_chapters(cast("list[Chapter]", chapters))
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.size:
                packet.stream = stream
                out.mux(packet)
    through(marked, tmp_path / "out.mkv")
    through(marked, tmp_path / "part.mkv", window=Window(0.8, 0.2))
    assert chapters_of(tmp_path / "out.mkv") == chapters_of(marked) != []
    assert chapters_of(tmp_path / "part.mkv") == [("two", 0.0, 0.2)]


def chapters_of(path: Path) -> list[tuple[str, float, float]]:
    with av.open(path) as file:
        found = [(c, c["time_base"] or Fraction(1)) for c in file.chapters()]
    return [(c["metadata"]["title"], float(c["start"] * base), float(c["end"] * base)) for c, base in found]


def test_high_dynamic_range_is_refused(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "hdr.mp4", list(panned(2)), Film(tags=(1, 1, 9, 16)))
    with pytest.raises(UnsupportedFormatError, match="convert it to SDR first"):
        look_through(source)


def test_metadata_can_be_dropped(clip: Path, tmp_path: Path) -> None:
    through(clip, tmp_path / "out.mp4", metadata=False)
    with av.open(tmp_path / "out.mp4") as file:
        assert "title" not in file.metadata


def test_a_variable_frame_rate_is_kept_exactly(tmp_path: Path) -> None:
    stamps = list(np.cumsum([0, 3003, 3003, 1500, 9000, 3003, 45000, 100, 3003, 3003]).tolist())
    film = Film(stamps=stamps, base=Fraction(1, 90000), rate=Fraction(30000, 1001))
    source = write_clip(tmp_path / "vfr.mp4", list(panned(10)), film)
    assert play(source).stamps == stamps
    through(source, tmp_path / "out.mp4")
    assert play(tmp_path / "out.mp4").stamps == stamps


def test_a_late_start_is_kept_exactly(tmp_path: Path) -> None:
    film = Film(stamps=[12_345 + 3_003 * k for k in range(5)], base=Fraction(1, 90_000))
    source = write_clip(tmp_path / "late.ts", list(panned(5)), film)
    through(source, tmp_path / "out.mp4")
    assert play(tmp_path / "out.mp4").stamps == play(source).stamps


def test_a_video_that_begins_late_stays_with_its_sound(tmp_path: Path) -> None:
    film = Film(stamps=[k + 5 for k in range(20)], sound=True)
    source = write_clip(tmp_path / "late.mkv", list(panned(20)), film)
    through(source, tmp_path / "out.mkv")
    assert play(tmp_path / "out.mkv").seconds == play(source).seconds
    assert play(source).seconds[0] == pytest.approx(0.2)


def test_a_preview_cuts_picture_and_sound_alike(clip: Path, tmp_path: Path) -> None:
    report = through(clip, tmp_path / "out.mp4", window=Window(0.4, 0.6))
    assert report.frames == 15
    after = play(tmp_path / "out.mp4")
    assert after.seconds == [pytest.approx(k / 25) for k in range(15)]
    sound = packets(tmp_path / "out.mp4", "audio")
    assert 0 <= sound[0][0] < 0.03 and sound[-1][0] < 0.6
    assert {data for _, data in sound} <= {data for _, data in packets(clip, "audio")}


@pytest.mark.parametrize("rotation", [90, 180, -90])
def test_a_turned_video_is_stored_upright(tmp_path: Path, rotation: int) -> None:
    corner = np.zeros((96, 128, 3), np.uint8)
    corner[:48, :64] = (250, 30, 30)
    source = write_clip(tmp_path / "turned.mp4", [corner] * 3, Film(rotation=rotation))
    through(source, tmp_path / "out.mp4")
    shown = play(tmp_path / "out.mp4").images[0]
    expected = np.rot90(corner, rotation // 90)  # FFmpeg counts against the clock, as numpy does
    assert shown.shape == expected.shape
    assert np.abs(shown.astype(int) - expected)[8:-8, 8:-8].mean() < 4
    with av.open(tmp_path / "out.mp4") as file:
        assert next(file.decode(video=0)).rotation == 0


@given(st.sampled_from((-1, 1)), st.sampled_from((-1, 1)), st.booleans())
def test_turning_back_gives_the_stored_frame(x: int, y: int, across: bool) -> None:
    image = np.random.default_rng(0).integers(0, 255, (6, 4, 3), dtype=np.uint8)
    there: Orientation = (0, x, y, 0) if across else (x, 0, 0, y)
    a, b, c, d = there
    assert np.array_equal(turn_upright(turn_upright(image, there), (a, c, b, d)), image)
    assert turn_upright(image, there).shape == ((4, 6, 3) if across else (6, 4, 3))


@given(st.integers(16, 4000), st.integers(16, 4000), st.integers(16, 2000))
def test_a_reduced_frame_is_even_and_of_the_same_shape(height: int, width: int, longest: int) -> None:
    small = reduced_shape((height, width), longest)
    if max(height, width) <= longest:
        assert small == (height, width)
        return
    assert max(small) <= longest + 1 and small[0] % 2 == small[1] % 2 == 0
    if min(small) > 2:
        assert abs(small[0] * width - small[1] * height) <= 1.01 * (height + width)


def test_an_odd_size_is_continued_by_one_pixel(tmp_path: Path) -> None:
    odd = [image[:119, :159] for image in panned(3)]
    source = write_clip(tmp_path / "odd.mp4", odd)
    through(source, tmp_path / "out.mp4", crf=4)
    shown = play(tmp_path / "out.mp4").images[0]
    assert shown.shape == (120, 160, 3)
    assert np.abs(shown[:119, :159].astype(int) - odd[0]).mean() < 4


def bars() -> Image:
    """Return a grey ramp over eight colours, of 128x256."""
    colours = [(255, 255, 255), (255, 255, 0), (0, 255, 255), (0, 255, 0)]
    colours += [(255, 0, 255), (255, 0, 0), (0, 0, 255), (90, 140, 200)]
    image = np.zeros((128, 256, 3), np.uint8)
    image[:64] = np.arange(256)[None, :, None]
    image[64:] = np.repeat(np.array(colours, np.uint8), 32, axis=0)[None]
    return image


@pytest.mark.parametrize("matrix", [1, 6])
@pytest.mark.parametrize("range_", [1, 2])
def test_a_grey_ramp_and_colour_bars_come_back(tmp_path: Path, matrix: int, range_: int) -> None:
    film = Film(tags=(matrix, range_, matrix, matrix), options={"crf": "0"})
    source = write_clip(tmp_path / "bars.mp4", [bars()] * 2, film)
    (read, _) = [frame.image for frame in read_frames(look_through(source))]
    through(source, tmp_path / "out.mp4", crf=0)
    (back, _) = [frame.image for frame in read_frames(look_through(tmp_path / "out.mp4"))]
    for image in (read, back):
        apart = np.abs(image.astype(int) - bars())
        assert apart[:56].max() <= 3  # luma is rounded to 220 levels, twice
        columns = apart[72:120].reshape(48, 8, 32, 3)[:, :, 6:26]  # chroma of half the size mixes at borders
        assert columns.max() <= 5
    with av.open(tmp_path / "out.mp4") as file:
        frame = next(file.decode(video=0))
        assert (frame.colorspace, frame.color_range) == (matrix, 1)
        assert (frame.color_primaries, frame.color_trc) == (matrix, matrix)


def test_what_is_not_tagged_is_tagged_as_it_was_taken(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "plain.mp4", list(panned(2)))
    through(source, tmp_path / "out.mp4")
    with av.open(tmp_path / "out.mp4") as file:
        frame = next(file.decode(video=0))
        assert (frame.colorspace, frame.color_range) == (6, 1)


def test_frames_are_reduced_to_even_sides(clip: Path, tmp_path: Path) -> None:
    report = through(clip, tmp_path / "out.mp4", longest=101)
    assert report.shape == (76, 100)
    assert play(tmp_path / "out.mp4").images[0].shape == (76, 100, 3)


@pytest.mark.parametrize(("codec", "suffix"), [("hevc", ".mp4"), ("hevc", ".mkv"), ("av1", ".mkv")])
def test_other_codecs_are_written_where_the_build_has_them(tmp_path: Path, codec: str, suffix: str) -> None:
    if codec == "av1" and not has_encoder("libsvtav1"):
        pytest.skip("this build of PyAV has no AV1 encoder")
    source = write_clip(tmp_path / "clip.mp4", list(panned(5)))
    through(source, tmp_path / f"out{suffix}", codec=codec)
    with av.open(tmp_path / f"out{suffix}") as file:
        assert file.streams.video[0].codec_context.codec.canonical_name == codec
        assert sum(1 for _ in file.decode(video=0)) == 5


def test_webm_is_av1_and_takes_no_other(tmp_path: Path) -> None:
    assert choose_encoding(Path("a.webm")).codec == "av1"
    with pytest.raises(SettingsError, match="does not hold h264"):
        choose_encoding(Path("a.webm"), "h264")
    with pytest.raises(SettingsError, match="--crf must be 0 to 51"):
        choose_encoding(Path("a.mp4"), crf=60)
    with pytest.raises(OutputError, match=r"\.gif: no video format"):
        choose_encoding(Path("a.gif"))


def test_sound_that_a_container_does_not_hold_is_refused_before_work(clip: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="webm does not hold audio stream 1"):
        through(clip, tmp_path / "out.webm")
    assert list(tmp_path.iterdir()) == [clip]


def test_subtitles_go_where_they_are_held(clip: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"mkv does not hold subtitle stream 2 \(mov_text\); use \.mp4 or"):
        through(clip, tmp_path / "out.mkv")
    source = write_clip(tmp_path / "clip.mkv", list(panned(12)), Film(subtitles=True))
    through(source, tmp_path / "out.mkv")
    assert packets(tmp_path / "out.mkv", "subtitle") == packets(source, "subtitle")


def test_nothing_is_overwritten_unasked(clip: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    target.write_bytes(b"mine")
    with pytest.raises(OutputExistsError):
        through(clip, target)
    assert target.read_bytes() == b"mine"
    through(clip, target, overwrite=True)
    assert len(play(target).images) == 30
    with pytest.raises(InputError, match="is the video itself"):
        through(clip, clip, overwrite=True)


def empty(path: Path) -> Path:
    path.touch()
    return path


def only_sound(path: Path) -> Path:
    with av.open(path, "w") as out:
        stream = out.add_stream("aac", rate=48000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 48000
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def no_frame(path: Path) -> Path:
    with av.open(path, "w") as out:
        stream = out.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        out.start_encoding()
    return path


def torn(path: Path) -> Path:
    whole = write_clip(path, list(panned(40)), Film(options={"crf": "1", "g": "5"}))
    path.write_bytes(whole.read_bytes()[: path.stat().st_size // 2])
    return path


@pytest.mark.parametrize(
    ("make", "kind", "text"),
    [
        (lambda path: path.with_name("none.mkv"), MissingInputError, "no such file"),
        (lambda path: path.parent, InputError, "is no file"),
        (empty, InputError, "is empty"),
        (
            lambda path: path.write_bytes(b"no video" * 99) and path,
            UnsupportedFormatError,
            "no video of a known",
        ),
        (
            lambda path: path.write_text("#EXTM3U\n/etc/passwd\n") and path,
            UnsupportedFormatError,
            "no video of",
        ),
        (
            lambda path: path.write_text("ffconcat version 1.0\nfile a.mp4\n") and path,
            UnsupportedFormatError,
            "no video of",
        ),
        (only_sound, InputError, "has only audio"),
        (no_frame, InputError, "no frame|no video"),
        (torn, InputError, "breaks off after"),
    ],
    ids=["missing", "folder", "empty", "noise", "playlist", "concat", "sound", "frameless", "torn"],
)
def test_a_bad_input_is_one_line(
    tmp_path: Path, make: Callable[[Path], Path], kind: type[SfumatoError], text: str
) -> None:
    with pytest.raises(kind, match=text) as caught:
        look_through(make(tmp_path / "bad.mkv"))
    assert "\n" not in str(caught.value) and ("; " in str(caught.value))


def test_what_is_left_of_a_torn_file_can_be_previewed(tmp_path: Path) -> None:
    clip = look_through(torn(tmp_path / "torn.mkv"), Window(0, 0.4))
    assert len(list(read_frames(clip))) == clip.frames == 10


def test_a_start_behind_the_end_is_refused(clip: Path) -> None:
    with pytest.raises(SettingsError, match="no frame after 9 s"):
        look_through(clip, Window(9.0))


def test_frames_may_be_sought_anywhere(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "clip.mkv", list(panned(40)), Film(options={"crf": "12", "g": "12"}))
    clip = look_through(source)
    whole = {frame.stamp: frame.image for frame in read_frames(clip)}
    for after in (sorted(whole)[3], sorted(whole)[17], sorted(whole)[-2]):
        rest = list(read_frames(clip, after))
        assert [frame.stamp for frame in rest] == [stamp for stamp in sorted(whole) if stamp > after]
        assert all(np.array_equal(frame.image, whole[frame.stamp]) for frame in rest)
