"""Find and check the labelled portraits of a data set in EasyPortrait's layout; it trains nothing.

Kvanchiani et al., "EasyPortrait: face parsing and portrait segmentation dataset", 2023. Version 1 (20,000 photos) and
version 2 (40,000) are read as they are published: as folders or as the zip archives themselves.
"""

import csv
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO, StringIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sfumato.errors import UNREADABLE, DatasetError, InputError, MissingInputError
from sfumato.io import read_picture
from sfumato.training.archives import Entry, find_table, list_entries
from sfumato.types import CLASSES, Image, Labels

SPLITS: tuple[str, ...] = ("train", "val", "test")

PALETTE = np.array(
    [
        (0, 0, 0),
        (223, 87, 188),
        (160, 221, 255),
        (130, 106, 237),
        (200, 121, 255),
        (255, 183, 255),
        (0, 144, 193),
        (113, 137, 255),
        (230, 232, 230),
    ],
    dtype=np.uint8,
)
"""The data set's own colour of each class, RGB."""

_NAME_COLUMNS = ("image_name", "attachment_id")
"""Column of meta.csv that names the photo, in version 2 and in version 1."""

_SHOWN = 5
"""Names that a report lists of each kind of fault."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A photo and its mask."""

    split: str
    photo: Entry
    mask: Entry

    @property
    def name(self) -> str:
        """Return the name of the photo, without its suffix."""
        return self.photo.stem

    def read(self) -> tuple[Image, Labels]:
        """Return the photo as RGB and the ids of its pixels.

        Raises:
            DatasetError: one of them is no picture, their sizes differ, or an id is above 8.
        """
        image, labels = decode_photo(self.photo), decode_mask(self.mask)
        if labels.shape != image.shape[:2]:
            sizes = "{1}x{0}".format(*labels.shape), "{1}x{0}".format(*image.shape)
            raise DatasetError(
                "mask of another size",
                f"{self.mask} has {sizes[0]} pixels, its photo {sizes[1]}; label it again",
            )
        if labels.max() >= len(CLASSES):
            raise DatasetError(
                "id out of range",
                f"{self.mask} holds id {labels.max()}; ids run from 0 to {len(CLASSES) - 1}",
            )
        return image, labels

    def read_checked(self, *, mend_sides: bool) -> tuple[Image, Labels]:
        """Return the photo and its ids, with left and right on their sides.

        Args:
            mend_sides: exchange brows or eyes that lie on the wrong sides, instead of raising.

        Raises:
            DatasetError: as `read`; or the mask has left and right swapped.
        """
        image, labels = self.read()
        mended = with_sides_mended(labels)
        if mended is not labels and not mend_sides:
            raise DatasetError(
                "left and right swapped",
                f"{self.mask} has its left eye or brow on the right; correct it, or swap them by --mend-sides",
            )
        return image, mended


_PAIRED_CLASSES = ((3, 4), (5, 6))
_LEAST_PIXELS = 20


def with_sides_mended(labels: Labels) -> Labels:
    """Return the labels with brows, and with eyes, exchanged where they lie on the wrong sides; else `labels` itself.

    Left means the left of the picture. Only what lies side by side is judged, not what lies one above the other, as
    in a face turned by a right angle.
    """
    exchanged = np.arange(len(CLASSES), dtype=np.uint8)
    for left, right in _PAIRED_CLASSES:
        if _lies_right_of(labels == left, labels == right):
            exchanged[[left, right]] = right, left
    same = bool((exchanged == np.arange(len(CLASSES))).all())
    return labels if same else exchanged[labels]


def _lies_right_of(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> bool:
    """Tell whether the middle of one area lies to the right of the other's, and more beside than above or below it."""
    if min(first.sum(), second.sum()) < _LEAST_PIXELS:
        return False
    y, x = np.argwhere(first).mean(axis=0) - np.argwhere(second).mean(axis=0)
    return bool(x > abs(y))


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong with a data set.

    Attributes:
        kind: what is wrong, the same words for every fault of a kind.
        where: the file or name it concerns.
        why: one line with the thing, the fact and the remedy.
    """

    kind: str
    where: str
    why: str


@dataclass(frozen=True, slots=True)
class Portraits:
    """The labelled portraits of one split.

    Attributes:
        pairs: photos with their masks, by name.
        faults: photos without masks and masks without photos.
    """

    pairs: tuple[Pair, ...]
    faults: tuple[Fault, ...]


def decode_photo(entry: Entry) -> Image:
    """Return a photo as sRGB, turned upright as its EXIF says.

    Raises:
        DatasetError: it cannot be decoded.
    """
    try:
        return read_picture(entry.read()).image
    except DatasetError:
        raise
    except InputError as error:
        raise DatasetError(UNREADABLE, f"{entry} cannot be decoded; get a whole copy of it") from error


def decode_mask(entry: Entry) -> Labels:
    """Return the ids of a mask, of a grey PNG or of one with a palette.

    Raises:
        DatasetError: it cannot be decoded, or is a picture in colour.
    """
    import PIL.Image  # OpenCV gives the colours of a palette, not its indices

    try:
        with PIL.Image.open(BytesIO(entry.read()), formats=["PNG"]) as opened:
            if opened.mode not in ("L", "P"):
                raise DatasetError(
                    UNREADABLE,
                    f"{entry} is {opened.mode}, no 8-bit grey or palette PNG; store ids, not colours",
                )
            return np.array(opened, dtype=np.uint8)  # a copy, which may be written to
    except (OSError, SyntaxError, ValueError) as error:
        raise DatasetError(UNREADABLE, f"{entry} cannot be decoded; get a whole copy of it") from error


def find_portraits(root: Path, split: str) -> Portraits:
    """Return the pairs of a split, matched by name, and what has no counterpart.

    Raises:
        MissingInputError: there is no such split.
    """
    photos = {entry.stem: entry for entry in list_entries(root, "images", split)}
    masks = {entry.stem: entry for entry in list_entries(root, "annotations", split)}
    if not photos or not masks:
        raise MissingInputError(
            f"{root} has no images/{split} with annotations/{split}, nor images.zip with annotations.zip; "
            "see docs/training.md for the layout"
        )
    pairs = [Pair(split, photos[name], masks[name]) for name in sorted(photos.keys() & masks.keys())]
    alone = [
        Fault(
            "photo without mask", str(photos[name]), f"{photos[name]} has no mask; add it or remove the photo"
        )
        for name in sorted(photos.keys() - masks.keys())
    ]
    alone += [
        Fault(
            "mask without photo", str(masks[name]), f"{masks[name]} has no photo; add it or remove the mask"
        )
        for name in sorted(masks.keys() - photos.keys())
    ]
    return Portraits(tuple(pairs), tuple(alone))


def list_users(root: Path) -> Mapping[str, str]:
    """Return the user of each photo by the photo's name, by the data set's meta.csv; none where it has no table."""
    table = find_table(root)
    return read_users(table) if table else {}


def check_users(users: Mapping[str, str], splits: Mapping[str, Iterable[str]]) -> list[Fault]:
    """Return a fault for each user with photos in more than one split: who is trained on must not be measured on.

    Args:
        users: the user of each photo, by its name.
        splits: the names of the photos of each split.
    """
    seen: dict[str, set[str]] = defaultdict(set)
    for split, names in splits.items():
        for name in names:
            if name in users:
                seen[users[name]].add(split)
    return [
        Fault("user in several splits", user, f"user {user} is in {' and '.join(sorted(where))}; keep one")
        for user, where in sorted(seen.items())
        if len(where) > 1
    ]


def read_users(table: bytes) -> dict[str, str]:
    r"""Return the user of each photo by the name of the photo.

    >>> read_users(b"image_name,user_id,set\na,u1,train\n")
    {'a': 'u1'}

    Raises:
        InputError: the table has no column of names or of users.
    """
    text = table.decode("utf-8-sig")
    delimiter = "\t" if "\t" in text.partition("\n")[0] else ","
    reader = csv.DictReader(StringIO(text), delimiter=delimiter)
    columns = reader.fieldnames or []
    name = next((column for column in _NAME_COLUMNS if column in columns), None)
    if name is None or "user_id" not in columns:
        raise InputError(f"meta.csv has columns {', '.join(columns)}; it needs image_name and user_id")
    return {Path(row[name]).stem: row["user_id"] for row in reader}


def report_faults(faults: Sequence[Fault]) -> str:
    """Return one report: how many of each kind, and the first of them by name."""
    counts = Counter(fault.kind for fault in faults)
    lines = []
    for kind, count in counts.most_common():
        lines.append(f"{count} x {kind}")
        shown = [fault.why for fault in faults if fault.kind == kind][:_SHOWN]
        lines += [f"  {why}" for why in shown]
        lines += [f"  and {count - _SHOWN} more"] if count > _SHOWN else []
    return "\n".join(lines)
