"""Data sets in EasyPortrait's layout: found packed and unpacked, every fault named, cached once."""

import os
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import cv2
import numpy as np
import PIL.Image
import pytest
from numpy.typing import NDArray

from sfumato.errors import DatasetError, InputError, MissingInputError
from sfumato.training import archives
from sfumato.training.archives import Entry, find_table
from sfumato.training.easyportrait import (
    PALETTE,
    Fault,
    check_users,
    decode_mask,
    find_portraits,
    list_users,
    read_users,
    report_faults,
    with_sides_mended,
)
from sfumato.training.parsing_cache import CachedSamples, cache_pairs, iterate_samples, load_samples
from sfumato.training.parsing_samples import flip_sample
from tests.unit.portraits import pack, portrait, swap_sides, write_dataset


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "set", ("train", "val", "test"))


@pytest.mark.parametrize("inner_folder", [True, False])
def test_packed_and_unpacked_sets_are_the_same(root: Path, tmp_path: Path, inner_folder: bool) -> None:
    packed = pack(root, tmp_path / "packed", inner_folder=inner_folder)
    for split in ("train", "val", "test"):
        plain, zipped = find_portraits(root, split), find_portraits(packed, split)
        assert [p.name for p in plain.pairs] == [p.name for p in zipped.pairs] == [f"{split}0", f"{split}1"]
        for a, b in zip(iterate_samples(plain.pairs), iterate_samples(zipped.pairs), strict=True):
            np.testing.assert_array_equal(a.image, b.image)
            np.testing.assert_array_equal(a.labels, b.labels)
    assert find_table(packed) == find_table(root)


def test_pairs_hold_the_pixels_that_were_written(root: Path) -> None:
    sample = next(iterate_samples(find_portraits(root, "train").pairs))
    np.testing.assert_array_equal(sample.image, portrait(0).image)
    np.testing.assert_array_equal(sample.labels, portrait(0).labels)


def test_a_split_that_is_not_there_is_refused(root: Path) -> None:
    with pytest.raises(MissingInputError, match=r"no images/valid with annotations/valid, nor images\.zip"):
        find_portraits(root, "valid")


def test_photos_and_masks_without_their_counterpart_are_named(root: Path) -> None:
    (root / "annotations/train/train0.png").unlink()
    (root / "images/train/train1.png").unlink()
    (root / "images/train/extra.png").write_bytes(b"x")
    (root / "annotations/train/extra.png").write_bytes(b"x")
    found = find_portraits(root, "train")
    assert [pair.name for pair in found.pairs] == ["extra"]
    assert {(f.kind, Path(f.where).name) for f in found.faults} == {
        ("photo without mask", "train0.png"),
        ("mask without photo", "train1.png"),
    }


@pytest.mark.parametrize(
    ("mask", "kind", "words"),
    [
        (np.zeros((9, 12), np.uint8), "mask of another size", "has 12x9 pixels, its photo 128x128"),
        (np.full((128, 128), 77, np.uint8), "id out of range", "holds id 77; ids run from 0 to 8"),
        (np.zeros((128, 128, 3), np.uint8), "file that cannot be read", "is RGB, no 8-bit grey"),
    ],
)
def test_a_mask_that_does_not_fit_is_a_fault(
    root: Path, tmp_path: Path, mask: NDArray[np.uint8], kind: str, words: str
) -> None:
    cv2.imwrite(str(root / "annotations/train/train0.png"), mask)
    stored, faults = cache_pairs(find_portraits(root, "train").pairs, tmp_path / "cache", 64)
    assert len(stored) == 1
    assert [(fault.kind, fault.where) for fault in faults] == [(kind, "train0")]
    assert words in faults[0].why


@pytest.mark.parametrize("kind", ["images", "annotations"])
@pytest.mark.parametrize("content", [b"", b"no picture"])
def test_a_file_that_is_no_picture_is_a_fault(root: Path, tmp_path: Path, kind: str, content: bytes) -> None:
    (root / kind / "train/train1.png").write_bytes(content)
    stored, faults = cache_pairs(find_portraits(root, "train").pairs, tmp_path / "cache", 64)
    assert len(stored) == 1
    assert faults[0].kind == "file that cannot be read"
    assert "cannot be decoded; get a whole copy" in faults[0].why


@pytest.mark.parametrize("name", ["annotations/train/train0.png", "images/train/train0.jpg"])
def test_a_truncated_file_is_a_fault(root: Path, tmp_path: Path, name: str) -> None:
    (root / "images/train/train0.png").unlink()
    cv2.imwrite(str(root / "images/train/train0.jpg"), portrait(0).image)
    (root / name).write_bytes((root / name).read_bytes()[:-200])
    _, faults = cache_pairs(find_portraits(root, "train").pairs, tmp_path / "cache", 64)
    assert [fault.kind for fault in faults] == ["file that cannot be read"]


def test_sides_are_told_by_the_picture_not_by_the_classes_of_a_mirrored_face() -> None:
    labels = portrait(0).labels
    assert with_sides_mended(labels) is labels
    flipped = flip_sample(portrait(0)).labels
    assert with_sides_mended(flipped) is flipped
    np.testing.assert_array_equal(with_sides_mended(swap_sides(labels)), labels)
    np.testing.assert_array_equal(with_sides_mended(labels[:, ::-1]), flipped)


@pytest.mark.parametrize("pair", [(3, 4), (5, 6)])
def test_brows_and_eyes_are_mended_each_for_themselves(pair: tuple[int, int]) -> None:
    labels = portrait(0).labels
    odd = np.where(np.isin(labels, pair), swap_sides(labels), labels)
    np.testing.assert_array_equal(with_sides_mended(odd), labels)


def test_sides_are_not_told_by_one_eye_or_by_a_face_on_its_side() -> None:
    labels = swap_sides(portrait(0).labels)
    lone = np.where(np.isin(labels, (3, 5)), 2, labels).astype(np.uint8)
    assert with_sides_mended(lone) is lone
    for turned in (np.rot90(labels), np.rot90(labels, -1)):
        assert with_sides_mended(turned) is turned


def test_a_mask_with_its_sides_swapped_is_a_fault_or_mended(root: Path, tmp_path: Path) -> None:
    cv2.imwrite(str(root / "annotations/train/train0.png"), swap_sides(portrait(0).labels))
    pairs = find_portraits(root, "train").pairs
    stored, (fault,) = cache_pairs(pairs, tmp_path / "cache", 128)
    assert (len(stored), fault.kind, fault.where) == (1, "left and right swapped", "train0")
    assert fault.why.endswith("correct it, or swap them by --mend-sides")
    mended, faults = cache_pairs(pairs, tmp_path / "cache", 128, mend_sides=True)
    assert not faults
    np.testing.assert_array_equal(mended[0].read().labels, portrait(0).labels)
    assert cache_pairs(pairs, tmp_path / "cache", 128)[1] == [fault]
    np.testing.assert_array_equal(next(iterate_samples(pairs)).labels, swap_sides(portrait(0).labels))
    np.testing.assert_array_equal(next(iterate_samples(pairs, mend_sides=True)).labels, portrait(0).labels)


def test_ids_of_a_palette_picture_are_its_indices(tmp_path: Path) -> None:
    picture = PIL.Image.fromarray(portrait(0).labels)
    picture.putpalette(PALETTE.ravel().tolist())
    picture.save(tmp_path / "mask.png")
    with PIL.Image.open(tmp_path / "mask.png") as opened:
        assert opened.mode == "P"
    np.testing.assert_array_equal(decode_mask(Entry(tmp_path / "mask.png")), portrait(0).labels)


def test_an_archive_cut_short_is_one_clear_line(root: Path, tmp_path: Path) -> None:
    packed = pack(root, tmp_path / "packed", inner_folder=True)
    (packed / "images.zip").write_bytes((packed / "images.zip").read_bytes()[:1000])
    with pytest.raises(InputError, match=r"images\.zip is no whole zip archive; download it again"):
        find_portraits(packed, "train")


def test_a_damaged_member_is_a_fault(root: Path, tmp_path: Path) -> None:
    packed = pack(root, tmp_path / "packed", inner_folder=True)
    data = bytearray((packed / "images.zip").read_bytes())
    with ZipFile(packed / "images.zip") as archive:
        offset = archive.getinfo("images/train/train0.png").header_offset
    data[offset + 200 : offset + 260] = bytes(60)
    (packed / "images.zip").write_bytes(bytes(data))
    _, faults = cache_pairs(find_portraits(packed, "train").pairs, tmp_path / "cache", 64)
    assert [fault.kind for fault in faults] == ["file that cannot be read"]
    assert "is damaged or encrypted" in faults[0].why


@pytest.mark.parametrize("place", range(40, 1000, 60))
def test_a_member_whose_compression_is_damaged_is_a_fault_wherever_it_is(tmp_path: Path, place: int) -> None:
    """Some places give a wrong checksum, others an error of zlib's own."""
    path = tmp_path / "packed.zip"
    with ZipFile(path, "w", ZIP_DEFLATED) as archive:
        archive.writestr("a.txt", np.random.default_rng(0).integers(0, 20, 4000, np.uint8).tobytes())
    data = bytearray(path.read_bytes())
    data[place] ^= 0xFF
    path.write_bytes(bytes(data))
    with pytest.raises(DatasetError, match="is damaged or encrypted"):
        Entry(path, "a.txt").read()


def test_a_member_too_large_to_be_a_picture_is_never_unpacked(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = pack(root, tmp_path / "packed", inner_folder=True)
    monkeypatch.setattr(archives, "LARGEST_FILE", 100)
    with pytest.raises(DatasetError, match="MB unpacked"):
        find_portraits(packed, "train").pairs[0].photo.read()


def test_a_user_in_two_splits_is_a_fault(root: Path) -> None:
    table = (root / "meta.csv").read_text().replace("user-val0", "user-train1")
    (root / "meta.csv").write_text(table)
    splits = {s: [p.name for p in find_portraits(root, s).pairs] for s in ("train", "val", "test")}
    (fault,) = check_users(list_users(root), splits)
    assert fault.why == "user user-train1 is in train and val; keep one"
    (root / "meta.csv").unlink()
    assert check_users(list_users(root), splits) == []


def test_tables_of_both_versions_are_read() -> None:
    first = b"\xef\xbb\xbfattachment_id\tuser_id\tdata_hash\ttrain\ttest\tvalid\nde81\t1b\te8\tTrue\tFalse\tFalse\n"
    assert read_users(first) == {"de81": "1b"}
    assert read_users(b"image_name,user_id,set\nde81.jpg,1b,train\n") == {"de81": "1b"}
    with pytest.raises(InputError, match=r"meta\.csv has columns a, b; it needs image_name and user_id"):
        read_users(b"a,b\n1,2\n")


def test_the_table_is_found_wherever_it_lies(root: Path) -> None:
    table = (root / "meta.csv").read_bytes()
    (root / "meta.csv").rename(root / "annotations/meta.csv")
    assert find_table(root) == table
    with ZipFile(root / "meta.zip", "w") as archive:
        archive.writestr("some/where/meta.csv", table)
    (root / "annotations/meta.csv").unlink()
    assert find_table(root) == table
    (root / "meta.zip").unlink()
    assert find_table(root) is None


def test_a_report_counts_every_kind_and_shows_the_first() -> None:
    faults = [Fault("photo without mask", str(k), f"{k} has no mask") for k in range(7)]
    faults.append(Fault("id out of range", "a", "a holds id 9"))
    assert report_faults(faults).splitlines() == [
        "7 x photo without mask",
        *[f"  {k} has no mask" for k in range(5)],
        "  and 2 more",
        "1 x id out of range",
        "  a holds id 9",
    ]


def test_a_cache_is_filled_once_and_renewed_with_its_files(root: Path, tmp_path: Path) -> None:
    pairs, cache = find_portraits(root, "train").pairs, tmp_path / "cache"
    stored, _ = cache_pairs(pairs, cache, 64)
    first = {path: path.stat().st_mtime_ns for path in cache.iterdir()}
    cache_pairs(pairs, cache, 64)
    assert {path: path.stat().st_mtime_ns for path in cache.iterdir()} == first
    sample = load_samples(stored)[0]
    assert sample.image.shape == (64, 64, 3)
    assert set(np.unique(sample.labels)) <= set(range(9))
    os.utime(pairs[0].photo.path, ns=(1, 1))
    cache_pairs(pairs, cache, 64)
    assert len(list(cache.iterdir())) == len(first) + 2


def test_samples_beyond_the_memory_given_are_decoded_when_drawn(root: Path, tmp_path: Path) -> None:
    stored, _ = cache_pairs(find_portraits(root, "train").pairs, tmp_path / "cache", 1000)
    held, late = load_samples(stored), load_samples(stored, held_bytes=1)
    assert isinstance(held, list)
    assert isinstance(late, CachedSamples)
    assert len(late) == len(held) == 2
    np.testing.assert_array_equal(late[1].labels, held[1].labels)
    np.testing.assert_array_equal(late[1:][0].image, held[1].image)
    stored[0].mask.write_bytes(b"")
    with pytest.raises(DatasetError, match="is damaged; delete the cache"):
        late[0]
