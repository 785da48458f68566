"""Laws of the atomic writer: whole or not at all, over nothing unasked, and nothing left behind."""

import errno
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import sfumato.io
from sfumato.errors import OutputError, OutputExistsError
from sfumato.io import (
    Picture,
    encode_picture,
    format_of,
    read_picture,
    refuse_existing,
    write_bytes,
    write_picture,
)

names = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=80
).filter(lambda name: name not in (".", "..") and len(name.encode()) <= 255)


def picture() -> Picture:
    return Picture(np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8))


@given(name=names, first=st.binary(max_size=100), second=st.binary(max_size=100))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_written_is_there_whole_and_alone(
    name: str, first: bytes, second: bytes, tmp_path: Path
) -> None:
    target = tmp_path / name
    write_bytes(first, target)
    with pytest.raises(OutputExistsError):
        write_bytes(second, target)
    assert target.read_bytes() == first
    write_bytes(second, target, overwrite=True)
    assert target.read_bytes() == second
    assert list(tmp_path.iterdir()) == [target]
    target.unlink()


@pytest.mark.parametrize("name", ["n" * 251 + ".png", "画" * 83 + "é.png"])
def test_names_of_255_bytes_are_written(name: str, tmp_path: Path) -> None:
    assert len(name.encode()) == 255
    write_picture(picture(), tmp_path / name)
    assert read_picture(tmp_path / name).image.shape == (32, 32, 3)
    assert len(list(tmp_path.iterdir())) == 1


def test_a_name_too_long_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"cannot write .*: file name too long; choose a shorter name$"):
        write_bytes(b"", tmp_path / ("n" * 256))
    assert not list(tmp_path.iterdir())


def test_an_existing_picture_is_refused_before_the_work(tmp_path: Path) -> None:
    target = tmp_path / "a.png"
    target.write_bytes(b"mine")
    broken = Picture(np.zeros((2, 2), np.uint8))
    with pytest.raises(OutputExistsError, match=r"a\.png exists; allow overwriting or choose another name$"):
        write_picture(broken, target)
    assert target.read_bytes() == b"mine"
    write_picture(picture(), target, overwrite=True)
    np.testing.assert_array_equal(read_picture(target).image, picture().image)


def test_a_dangling_link_counts_as_existing(tmp_path: Path) -> None:
    target = tmp_path / "a.png"
    target.symlink_to(tmp_path / "nowhere")
    with pytest.raises(OutputExistsError):
        write_bytes(b"new", target)
    assert target.is_symlink()


def test_of_many_writers_to_one_name_exactly_one_wins(tmp_path: Path) -> None:
    target = tmp_path / "a.bin"
    start = threading.Barrier(8)
    outcomes: list[int] = []

    def write(number: int) -> None:
        start.wait()
        try:
            write_bytes(bytes([number]) * 100_000, target)
        except OutputExistsError:
            return
        outcomes.append(number)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 1
    assert target.read_bytes() == bytes(outcomes) * 100_000
    assert list(tmp_path.iterdir()) == [target]


def test_a_file_that_appears_during_the_work_is_not_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "a.bin"

    def slow_disk(descriptor: int) -> None:
        target.write_bytes(b"theirs")

    monkeypatch.setattr(os, "fsync", slow_disk)
    with pytest.raises(OutputExistsError):
        write_bytes(b"mine", target)
    assert target.read_bytes() == b"theirs"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("appears", [False, True])
def test_a_disk_without_hard_links_keeps_the_same_law(
    appears: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "a.bin"

    def no_links(source: Path, link: Path) -> None:
        if appears:
            target.write_bytes(b"theirs")
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", no_links)
    if appears:
        with pytest.raises(OutputExistsError):
            write_bytes(b"mine", target)
    else:
        write_bytes(b"mine", target)
    assert target.read_bytes() == (b"theirs" if appears else b"mine")
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize(
    ("code", "remedy"), [(errno.ENOSPC, "free some space"), (errno.EROFS, "choose a place")]
)
def test_a_disk_that_fails_leaves_the_old_file_and_nothing_else(
    code: int, remedy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "a.png"
    target.write_bytes(b"old")

    def full(descriptor: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match=rf"cannot write .*a\.png: {os.strerror(code).lower()}; {remedy}"):
        write_picture(picture(), target, overwrite=True)
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_full_disk_met_in_the_middle_of_a_file_leaves_nothing(tmp_path: Path) -> None:
    pytest.importorskip("resource")
    program = """
        import resource, signal, sys
        from pathlib import Path
        from sfumato.errors import OutputError
        from sfumato.io import write_bytes

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
        try:
            write_bytes(bytes(100_000), Path(sys.argv[1]))
        except OutputError as error:
            print(error)
    """
    target = tmp_path / "a.bin"
    command = [sys.executable, "-c", textwrap.dedent(program), str(target)]
    environment = os.environ | {"PYTHONPATH": str(Path(sfumato.io.__file__).parents[2])}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert done.stdout == f"cannot write {target}: file too large; free some space\n"
    assert not list(tmp_path.iterdir())


def test_a_place_without_permission_is_one_line(tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    if os.access(locked, os.W_OK):
        locked = Path("/proc/self")  # no user, not even root, may create files here
    if not locked.is_dir():
        pytest.skip("no folder here refuses this user")
    with pytest.raises(OutputError, match=r"^cannot write .*; [a-z ]+$"):
        write_bytes(b"data", locked / "a.bin")


def test_a_missing_folder_is_not_created(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"no such file or directory; create the folder first$"):
        write_bytes(b"data", tmp_path / "missing" / "a.bin")
    assert not list(tmp_path.iterdir())


def test_a_file_in_place_of_a_folder_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"not a directory; check the folder's name$"):
        write_bytes(b"data", tmp_path / "file" / "a.bin")


def test_a_name_with_a_zero_byte_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"a\\x00b: embedded null"):
        write_bytes(b"data", tmp_path / "a\0b")


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_is_never_replaced(overwrite: bool, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="is a folder; name a file in it"):
        write_bytes(b"data", tmp_path, overwrite=overwrite)


def test_an_interrupted_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_bytes(b"data", tmp_path / "a.bin")
    assert not list(tmp_path.iterdir())


def test_a_free_name_is_not_refused(tmp_path: Path) -> None:
    refuse_existing(tmp_path / "free.png", overwrite=False)
    assert not (tmp_path / "free.png").exists()  # and not made by the look


def test_files_have_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    write_bytes(b"data", tmp_path / "atomic")
    assert (tmp_path / "atomic").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize(
    "write", [lambda: encode_picture(picture(), format="HEIF"), lambda: format_of(Path("a.HEIC"))]
)
def test_writing_heic_without_its_encoder_names_the_remedy(
    write: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(OutputError, match=r"try: pip install 'sfumato\[heic\]', or write \.avif"):
        write()


def test_importing_the_reader_does_not_import_the_heic_library() -> None:
    program = "import sys, sfumato.io; print('pi_heif' in sys.modules, 'cv2' in sys.modules)"
    environment = os.environ | {"PYTHONPATH": str(Path(sfumato.io.__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout == "False False\n"
