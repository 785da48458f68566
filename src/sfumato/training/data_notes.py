"""Say on a model's card what is known of the folders it was trained on; it reads names, no pictures."""

from collections.abc import Mapping
from pathlib import Path

from sfumato.training.crops import list_pictures

DATA_NOTES: Mapping[str, str] = {
    "photos": "landscapes of Kaggle's gan-getting-started; licence not stated",
    "monet": "paintings of Kaggle's gan-getting-started; public domain, licence of the files not stated",
    "portraits_congress": "official portraits of the United States Congress; public domain",
    "portraits_whole": "whole portraits; licence not stated",
    "images": "CelebAMask-HQ; non-commercial research",
    "faces_unlabelled": "CelebAMask-HQ; non-commercial research",
    "train": "CelebAMask-HQ in EasyPortrait's layout; non-commercial research",
}
"""What is known of the folders that the embedded models were trained on."""


def note_on(folder: Path, held_out: int) -> str:
    """Return one line on a folder: how many of its pictures were trained on, and what is known of them."""
    count = len(list_pictures(folder))
    note = DATA_NOTES.get(folder.name, "licence not stated here")
    return f"{folder.name}: {count - held_out} pictures, {held_out} more held out; {note}"
