"""Read the form of a request: files into temporary ones, options into a validated model; nothing is painted here."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import BinaryIO, cast

from pydantic import ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from sfumato.apps.server_fields import Fields, to_work
from sfumato.errors import (
    InputError,
    MalformedRequestError,
    OutputError,
    SettingsError,
    UnsupportedFormatError,
)
from sfumato.jobs.job import Part, Work
from sfumato.settings import Settings
from sfumato.settings_parsing import did_you_mean

MOST_FIELDS = 40
LONGEST_FIELD = 1000
"""Bytes of one option."""

MOST_FILES = 4


_REMEDIES: Mapping[str, str] = {
    "float_parsing": "a number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "bool_parsing": "true or false",
}
"""What to write instead, by the kind of fault that pydantic tells."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks for.

    Attributes:
        uploads: temporary files, at their beginning.
    """

    work: Work
    uploads: Mapping[Part, BinaryIO]


@asynccontextmanager
async def read_form(request: Request, fields: type[Fields], base: Settings) -> AsyncIterator[Asked]:
    """Read a form; its temporary files are gone at the end.

    Args:
        base: the server's own settings, which hold where a request says nothing.

    Raises:
        UnsupportedFormatError: the request is no form.
        MalformedRequestError: it is broken.
        SettingsError: an option is unknown or means nothing.
        InputError: there is no picture in it.
    """
    form = await _parse(request)
    try:
        texts, uploads = _sort(form, fields)
        yield Asked(to_work(_validate(fields, texts), base), uploads)
    finally:
        await form.close()


async def _parse(request: Request) -> FormData:
    content = request.headers.get("content-type", "nothing")
    if content.partition(";")[0].strip().lower() != "multipart/form-data":
        raise UnsupportedFormatError(
            f"the request is of type {content[:60]!a}; send multipart/form-data with the picture as its field 'image'"
        )
    parser = MultiPartParser(
        request.headers,
        request.stream(),
        max_files=MOST_FILES,
        max_fields=MOST_FIELDS,
        max_part_size=LONGEST_FIELD,
    )
    try:
        return await parser.parse()
    except MultiPartException as error:
        reason = error.message.rstrip(".").lower()
        raise MalformedRequestError(f"the form cannot be read: {reason}; send it again, whole") from error
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise OutputError(
            f"the server has no room for the upload: {reason}; free some space on its disk"
        ) from error


def _sort(form: FormData, fields: type[Fields]) -> tuple[Mapping[str, str], Mapping[Part, BinaryIO]]:
    """Tell options from files, and refuse what is there twice or is not what it should be."""
    texts: dict[str, str] = {}
    uploads: dict[Part, BinaryIO] = {}
    for name, value in form.multi_items():
        if name in texts or name in uploads:
            raise SettingsError(f"'{_shown(name)}' is given twice; give it once")
        if not isinstance(value, UploadFile):
            texts[name] = value
        elif name in fields.parts:
            uploads[cast(Part, name)] = value.file
        else:
            known: dict[str, None] = dict.fromkeys(fields.parts)
            raise SettingsError(
                f"unknown file '{_shown(name)}'{did_you_mean(name, known)}; use {', '.join(known)}"
            )
    if "image" not in uploads:
        raise InputError("there is no picture; send one as the file 'image'")
    return texts, uploads


def _validate(fields: type[Fields], texts: Mapping[str, str]) -> Fields:
    try:
        return fields.model_validate(texts)
    except ValidationError as error:
        first = error.errors()[0]
        name, known = str(first["loc"][0]), fields.model_fields
        if first["type"] == "extra_forbidden":
            if name in fields.parts:
                raise InputError(f"'{name}' is text; send it as a file") from error
            raise SettingsError(
                f"unknown option '{_shown(name)}'{did_you_mean(name, known)}; use {', '.join(known)}"
            ) from error
        remedy = _REMEDIES.get(first["type"]) or first["msg"].removeprefix("Input should be ")
        raise SettingsError(f"{name} '{_shown(texts[name])}' means nothing; use {remedy}") from error


def _shown(text: str) -> str:
    """Return what a stranger wrote, fit for one short line."""
    return "".join(letter if letter.isprintable() else "?" for letter in text[:40])
