"""The public names and the documented exit codes are what the code has."""

import re
from pathlib import Path

import pytest

import sfumato
from sfumato import errors

DOCS = Path(__file__).parents[2] / "docs"


def every_error() -> list[type[errors.SfumatoError]]:
    values = [value for value in vars(errors).values() if isinstance(value, type)]
    return [value for value in values if issubclass(value, errors.SfumatoError)]


def test_every_public_name_exists_once_and_in_order() -> None:
    names = sfumato.__all__
    assert sorted(set(names), key=str.lower) == sorted(names, key=str.lower)
    assert all(hasattr(sfumato, name) for name in names)


@pytest.mark.parametrize("name", sfumato.__all__)
def test_every_public_name_is_in_the_library_page(name: str) -> None:
    text = (DOCS / "library.md").read_text(encoding="utf-8")
    assert re.search(rf"\b{re.escape(name)}\b", text)


@pytest.mark.parametrize("name", [name for name in sfumato.__all__ if not name.startswith("__")])
def test_every_public_name_is_documented(name: str) -> None:
    value = getattr(sfumato, name)
    if callable(value):
        assert (value.__doc__ or "").strip()


def test_dir_lists_the_public_names() -> None:
    assert set(sfumato.__all__) <= set(dir(sfumato))


def test_the_version_is_the_installed_one() -> None:
    from importlib.metadata import version

    assert sfumato.__version__ == version("sfumato")


@pytest.mark.parametrize("error", every_error(), ids=lambda error: error.__name__)
def test_every_error_is_in_the_table_of_exit_codes(error: type[errors.SfumatoError]) -> None:
    rows = re.findall(r"^\| (\d+) \|(.*)\|$", (DOCS / "cli.md").read_text(encoding="utf-8"), re.MULTILINE)
    codes = [int(code) for code, text in rows if f"`{error.__name__}`" in text]
    assert codes == [error.exit_code]


def test_no_page_of_the_documentation_is_unfinished() -> None:
    for page in (*DOCS.rglob("*.md"), DOCS.parent / "README.md"):
        text = page.read_text(encoding="utf-8")
        assert "@@" not in text, page
        assert "TODO" not in text, page
