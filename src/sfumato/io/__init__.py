"""Turn files into pictures and pictures into files; the only decoder and encoder, and never a painter."""

from sfumato.io.encoding import encode_labels, encode_picture
from sfumato.io.formats import PICTURE_SUFFIXES, format_of
from sfumato.io.picture import Limits, Metadata, Picture
from sfumato.io.reading import PictureSource, picture_from, read_mask, read_picture
from sfumato.io.writing import refuse_existing, write_bytes, write_labels, write_picture

__all__ = [
    "PICTURE_SUFFIXES",
    "Limits",
    "Metadata",
    "Picture",
    "PictureSource",
    "encode_labels",
    "encode_picture",
    "format_of",
    "picture_from",
    "read_mask",
    "read_picture",
    "refuse_existing",
    "write_bytes",
    "write_labels",
    "write_picture",
]
