"""What is to be painted: folders, manifests, parts; names of results that never collide."""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfumato.batch.item import Item, Writing, key_of
from sfumato.batch.manifest import Manifest
from sfumato.batch.plan import Folder, Patterns, Shard, name_results, parse_shard
from sfumato.errors import BackendMissingError, InputError, MissingInputError, SettingsError
from sfumato.settings import Settings

names = st.lists(
    st.tuples(
        st.sampled_from(["a", "A", "b", "c.d"]), st.sampled_from([".jpg", ".JPG", ".png", ".heic", ".webp"])
    ),
    unique=True,
    max_size=12,
).map(lambda pairs: [stem + suffix for stem, suffix in pairs])


@given(names, st.sampled_from([None, "PNG", "JPEG", "WEBP"]))
def test_no_two_results_of_a_folder_have_one_name(pictures: list[str], format: str | None) -> None:
    results = name_results(pictures, format)
    assert len({name.casefold() for name in results}) >= len({name.casefold() for name in pictures})
    assert len(set(results)) == len(pictures)


@given(st.lists(st.sampled_from("abcdef"), unique=True))
def test_results_keep_their_names_where_nothing_collides(stems: list[str]) -> None:
    pictures = [f"{stem}.jpg" for stem in stems]
    assert name_results(pictures, None) == pictures


@given(st.integers(1, 9), st.integers(0, 1000))
def test_every_picture_is_of_exactly_one_part(count: int, number: int) -> None:
    assert sum(Shard(index, count).takes(number) for index in range(1, count + 1)) == 1


@pytest.mark.parametrize("text", ["", "1", "0/3", "4/3", "1/0", "a/b", "1/2/3", "-1/2", "²/3"])
def test_a_part_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="means nothing; use i/n, such as 1/8 to 8/8"):
        parse_shard(text)


def test_a_part_is_parsed() -> None:
    assert parse_shard("3/8") == Shard(3, 8)


def filled(root: Path, *files: str) -> Path:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_bytes(b"x")
    return root


def planned(folder: Folder) -> list[tuple[str, str]]:
    return [(item.name, os.path.relpath(item.target, folder.target)) for item in folder.items()]


def test_the_results_mirror_the_tree_in_order(tmp_path: Path) -> None:
    source = filled(tmp_path / "in", "b/2.jpg", "b/1.PNG", "a.heic", "notes.txt", ".hidden.jpg", ".git/x.jpg")
    assert planned(Folder(source, tmp_path / "out", Settings())) == [
        ("a.heic", "a.jpg"),
        ("b/1.PNG", "b/1.PNG"),
        ("b/2.jpg", "b/2.jpg"),
    ]


def test_results_below_the_photos_are_no_photos(tmp_path: Path) -> None:
    source = filled(tmp_path, "a.jpg", "painted/a.jpg", "other/b.jpg")
    items = planned(Folder(source, tmp_path / "painted", Settings()))
    assert [name for name, _ in items] == ["a.jpg", "other/b.jpg"]


@pytest.mark.parametrize(
    ("include", "exclude", "meant"),
    [
        ((), (), ["a.jpg", "b/c.png", "b/d.jpg"]),
        (("*.jpg",), (), ["a.jpg", "b/d.jpg"]),
        (("b/*",), ("*.png",), ["b/d.jpg"]),
        (("x/*",), (), []),
    ],
)
def test_patterns_choose(
    tmp_path: Path, include: Sequence[str], exclude: Sequence[str], meant: list[str]
) -> None:
    source = filled(tmp_path / "in", "a.jpg", "b/c.png", "b/d.jpg")
    folder = Folder(source, tmp_path / "out", Settings(), patterns=Patterns(include, exclude))
    assert [name for name, _ in planned(folder)] == meant


def test_one_format_for_all_keeps_what_would_collide_apart(tmp_path: Path) -> None:
    source = filled(tmp_path / "in", "a.jpg", "a.png", "b.jpg")
    folder = Folder(source, tmp_path / "out", Settings(), Writing("PNG"))
    assert [target for _, target in planned(folder)] == ["a.jpg.png", "a.png.png", "b.png"]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match=r"no such folder: .*nowhere; name a folder"):
        next(Folder(tmp_path / "nowhere", tmp_path, Settings()).items())


def manifest(tmp_path: Path, text: str) -> Manifest:
    path = tmp_path / "list.csv"
    path.write_text(text, encoding="utf-8")
    return Manifest(path, str(tmp_path / "out"), Settings(feather=2.0))


def test_a_manifest_gives_each_picture_options_of_its_own(tmp_path: Path) -> None:
    table = 'input,output,paint,exact,preserve\na.jpg,,0.1,true,"eyes=1,skin=0.5"\nb/c.heic,x.png,,,\n'
    first, second = manifest(tmp_path, table).items()
    assert first.settings == Settings(feather=2.0, paint=0.1, exact=True, preserve="eyes=1,skin=0.5")
    assert (first.source, first.target) == (str(tmp_path / "a.jpg"), str(tmp_path / "out" / "a.jpg"))
    assert second.settings == Settings(feather=2.0)
    assert second.target == str(tmp_path / "out" / "x.png")
    assert second.name == "b/c.heic"


@pytest.mark.parametrize(
    ("table", "error", "message"),
    [
        ("", InputError, "names no pictures"),
        ("input\n", InputError, "names no pictures"),
        ("file\na.jpg\n", InputError, "has no column 'input'"),
        ("input,paint\n,1\n", InputError, "row 1 has no input"),
        ("input,pain\na.jpg,1\n", SettingsError, "row 1: unknown column 'pain'; did you mean 'paint'"),
        ("input,paint\na.jpg,much\n", SettingsError, "row 1: paint 'much' is not a number"),
        ("input,exact\na.jpg,yes\n", SettingsError, "row 1: exact 'yes' is neither true nor false"),
        ("input,paint\na.jpg,0\nb.jpg,2\n", SettingsError, r"row 2: paint is 2\.0; use 0 to 1"),
        ("input,output\na.jpg,../b.jpg\n", SettingsError, "row 1: output '../b.jpg' leaves the folder"),
        ("input,output\na.jpg,/b.jpg\n", SettingsError, "row 1: output '/b.jpg' leaves the folder"),
        ("input\na.jpg\nb/a.jpg\n", SettingsError, "rows 1 and 2 would both be written to"),
        ("input\na.jpg,b.jpg\n", InputError, "more values than columns"),
        ('input\n"a.jpg\n', InputError, "is no CSV in UTF-8"),
    ],
)
def test_a_faulty_manifest_is_refused_by_its_row(
    tmp_path: Path, table: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        list(manifest(tmp_path, table).items())


def test_a_missing_manifest_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="no such manifest"):
        list(Manifest(tmp_path / "none.csv", str(tmp_path), Settings()).items())


def test_parquet_says_the_same_as_csv(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = pyarrow.table({"input": ["a.jpg", "b.jpg"], "paint": [0.5, None], "exact": [None, True]})
    parquet.write_table(table, tmp_path / "list.parquet")
    first, second = Manifest(tmp_path / "list.parquet", str(tmp_path), Settings()).items()
    assert first.settings == Settings(paint=0.5)
    assert second.settings == Settings(exact=True)
    (tmp_path / "bad.parquet").write_bytes(b"x" * 100)
    with pytest.raises(InputError, match="is no Parquet"):
        list(Manifest(tmp_path / "bad.parquet", str(tmp_path), Settings()).items())


def test_parquet_without_pyarrow_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    filled(tmp_path, "list.parquet")
    with pytest.raises(BackendMissingError, match=r"pip install 'sfumato\[ray\]'"):
        list(Manifest(tmp_path / "list.parquet", str(tmp_path), Settings()).items())


ITEM = Item("a.jpg", "b.jpg", "a.jpg", Settings())


@pytest.mark.parametrize(
    ("content", "item", "models"),
    [
        ("other", ITEM, {"m": "1"}),
        ("content", Item("a.jpg", "b.jpg", "a.jpg", Settings(paint=0.1)), {"m": "1"}),
        ("content", Item("a.jpg", "b.jpg", "a.jpg", Settings(), Writing(quality=10)), {"m": "1"}),
        ("content", ITEM, {"m": "2"}),
    ],
)
def test_the_key_depends_on_all_that_the_result_depends_on(
    content: str, item: Item, models: dict[str, str]
) -> None:
    assert key_of(content, item, models) != key_of("content", ITEM, {"m": "1"})


def test_the_key_does_not_depend_on_where_the_files_are() -> None:
    elsewhere = Item("x/a.jpg", "y/b.jpg", "z", Settings())
    assert key_of("content", elsewhere, {}) == key_of("content", ITEM, {})
