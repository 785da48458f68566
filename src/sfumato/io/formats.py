"""Tell picture formats by content and by suffix; nothing is decoded here."""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from sfumato.errors import OutputError
from sfumato.io.picture import shown

HEAD_BYTES = 64
"""How much of a file `sniff` wants to see."""

_SUFFIXES: Mapping[str, str] = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jpe": "JPEG",
    ".jfif": "JPEG",
    ".png": "PNG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".avif": "AVIF",
    ".heic": "HEIF",
    ".heif": "HEIF",
    ".hif": "HEIF",
}

PICTURE_SUFFIXES: frozenset[str] = frozenset(_SUFFIXES)
"""Lower-case suffixes of the files that a folder is searched for."""

FORMATS: frozenset[str] = frozenset(_SUFFIXES.values())

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
)

_REFUSED_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"GIF8", "GIF"),
    (b"%PDF", "PDF"),
    (b"8BPS", "PSD"),
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000"),
)

_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})


def format_of(path: Path) -> str:
    """Return the format in which a file of this name is written.

    Raises:
        OutputError: the suffix belongs to no format, or to one whose encoder is not installed.
    """
    if format := _SUFFIXES.get(path.suffix.lower()):
        require_encoder(format)
        return format
    raise OutputError(
        f"no picture format for {shown(path.name)}; end the name in .jpg, .png, .webp, .tiff, .avif or .heic"
    )


def require_encoder(format: str) -> None:
    """Refuse to write HEIC without its encoder, which is large and under the GPL; reading needs none.

    Raises:
        OutputError: pillow-heif is not installed.
    """
    if format == "HEIF" and find_spec("pillow_heif") is None:
        raise OutputError("writing HEIC needs pillow-heif; try: pip install 'sfumato[heic]', or write .avif")


def sniff(head: bytes) -> str | None:
    """Return the format that the first bytes of a file belong to, or None if it is not one that is read."""
    for magic, format in _MAGIC:
        if head.startswith(magic):
            return format
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "WEBP"
    return _sniff_boxes(head)


def _sniff_boxes(head: bytes) -> str | None:
    """Tell AVIF from HEIF by the brands of the file type box, ISO/IEC 14496-12 section 4.3."""
    if head[4:8] != b"ftyp":
        return None
    end = int.from_bytes(head[:4], "big")
    brands = {head[at : at + 4] for at in (8, *range(16, min(end, len(head)), 4))}
    if brands & _AVIF_BRANDS:
        return "AVIF"
    return "HEIF" if brands & _HEIF_BRANDS else None


def sniff_refused(head: bytes) -> str | None:
    """Return the name of a known format that is not read, so that the refusal can say it."""
    return next((format for magic, format in _REFUSED_MAGIC if head.startswith(magic)), None)
