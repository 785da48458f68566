"""Turn files into pictures and pictures into files; the only decoder and encoder, and never a painter."""

from sfumato.io.encoding import encode_labels, encode_picture
from sfumato.io.formats import PICTURE_SUFFIXES, format_of
from sfumato.io.picture import Limits, Metadata, Picture
from sfumato.io.reading import (
    PictureSource,
    Source,
    measure_picture,
    picture_from,
    read_bytes,
    read_mask,
    read_picture,
    read_touches,
)
from sfumato.io.writing import refuse_existing, write_bytes, write_labels, write_picture

__all__ = [
    "PICTURE_SUFFIXES",
    "Limits",
    "Metadata",
    "Picture",
    "PictureSource",
    "Source",
    "encode_labels",
    "encode_picture",
    "format_of",
    "measure_picture",
    "picture_from",
    "read_bytes",
    "read_mask",
    "read_picture",
    "read_touches",
    "refuse_existing",
    "write_bytes",
    "write_labels",
    "write_picture",
]
