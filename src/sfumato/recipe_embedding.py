"""Put recipes, and the mark of what a network painted, into pictures and find them there; no pixel is touched."""

import logging
from dataclasses import replace
from importlib.metadata import version

from sfumato.io import Metadata, Picture, encode_picture
from sfumato.io.metadata import with_software
from sfumato.io.xmp import LARGEST, OWN, Property, read_property, set_properties, trim_padding
from sfumato.recipe import Recipe
from sfumato.recipe_parsing import parse_recipe

RECIPE = Property(OWN, "sfumato", "Recipe")
"""Holds a recipe as JSON."""

SOURCE_TYPE = Property("http://iptc.org/std/Iptc4xmpExt/2008-02-29/", "Iptc4xmpExt", "DigitalSourceType")
"""Says how a picture came about, IPTC Photo Metadata Standard 2025.1."""

COMPOSITE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
"""The source type of a photo parts of which a trained network has made."""

JPEG_XMP, JPEG_EXIF = 65_504, 65_527
"""Bytes that one segment of a JPEG holds beside its length and the name of what it is."""

_CREDENTIALS = b"jumdc2pa\x00\x11\x00\x10\x80\x00\x00\xaa\x00\x38\x9b\x71"
"""How a store of C2PA manifests begins in a file of any format, C2PA 2.2 section 11.1."""

_log = logging.getLogger(__name__)


def encode_painting(picture: Picture, recipe: Recipe) -> bytes:
    """Return the bytes of a file that holds a painting, written as its recipe says, and the recipe where it says so.

    Raises:
        OutputError: as `encode_picture`.
    """
    wanted = recipe.writing
    held = picture.metadata if wanted.metadata == "keep" else Metadata()
    marked = replace(picture, metadata=embed_recipe(held, recipe))
    return encode_picture(marked, format=wanted.format, quality=wanted.quality)


def embed_recipe(metadata: Metadata, recipe: Recipe) -> Metadata:
    """Return the metadata with what the recipe's place asks for; all else stays, but for the source's own recipe."""
    place, format = recipe.writing.recipe, recipe.writing.format
    if place == "none":
        return replace(metadata, xmp=set_properties(metadata.xmp, {RECIPE: None}))
    return _marked(metadata, format, recipe.to_json() if place == "embed" else None)


def mark_painted(metadata: Metadata, format: str) -> Metadata:
    """Return the metadata with the source type `COMPOSITE` and, where there is EXIF, the name of the software.

    Args:
        metadata: of the source; a recipe among them is the source's, and is taken out.
        format: of the file that they are for; what a JPEG has no room for is left out.
    """
    return _marked(metadata, format, None)


def read_recipe(metadata: Metadata, name: str) -> Recipe | None:
    """Return the recipe that a picture carries, or None.

    Args:
        name: what errors call the picture.

    Raises:
        InputError: it carries one that cannot be read.
    """
    text = read_property(metadata.xmp, RECIPE) if metadata.xmp else None
    return None if text is None else parse_recipe(text, name)


def has_credentials(data: bytes) -> bool:
    """Tell whether a file carries Content Credentials (C2PA), which a painting made of it does not."""
    return _CREDENTIALS in data


def _marked(metadata: Metadata, format: str, recipe: str | None) -> Metadata:
    exif = with_software(metadata.exif, f"sfumato {version('sfumato')}") if metadata.exif else None
    if exif and format == "JPEG" and len(exif) > JPEG_EXIF:
        exif = metadata.exif
    return Metadata(exif, _marked_xmp(metadata.xmp, format, recipe))


def _marked_xmp(xmp: bytes | None, format: str, recipe: str | None) -> bytes | None:
    """Return the packet with the mark and the recipe, or with as much of them as there is room for."""
    for held in dict.fromkeys((recipe, None)):
        marked = set_properties(xmp, {SOURCE_TYPE: COMPOSITE, RECIPE: held})
        if marked is not None and (fitting := _fitting(marked, format)) is not None:
            return fitting
        what = "to say that it was painted" if held is None else "for the recipe; use --recipe sidecar"
        _log.warning("the picture's own metadata leave no room %s", what)
    return set_properties(xmp, {RECIPE: None})


def _fitting(xmp: bytes, format: str) -> bytes | None:
    """Return the packet, without its padding where there is room only then, or None where there is none either way."""
    room = JPEG_XMP if format == "JPEG" else LARGEST
    return next((packet for packet in (xmp, trim_padding(xmp)) if len(packet) <= room), None)
