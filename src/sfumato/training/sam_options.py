"""Say what a small Segment Anything is trained on and how large it is; it trains nothing."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from sfumato.errors import ModelError
from sfumato.nets.sam import read_sam
from sfumato.training.run_options import RunOptions

NAME = "sam-small"


@dataclass(frozen=True, slots=True)
class SamOptions:
    """Say what to train the small SAM on, and how large it is.

    Attributes:
        portraits: data set in EasyPortrait's layout.
        backgrounds: folders of photos without people.
        size, patch: side of the square and of a patch in pixels.
        width, depth, heads: of the image encoder; every third block looks at the whole picture.
        channels: of the embedding and of the mask decoder.
        start: a SAM in its authors' layout to go on from, such as an earlier run's or the published one; its sizes then
            hold, see `sized_as`.
    """

    portraits: Path
    backgrounds: tuple[Path, ...]
    run: RunOptions = field(default_factory=RunOptions)
    size: int = 128
    patch: int = 8
    width: int = 128
    depth: int = 5
    heads: int = 4
    channels: int = 128
    start: Path | None = None
    learning_rate: float = 1e-3
    weight_decay: float = 2e-2
    cache: Path = Path("cache")
    leave_out_faulty: bool = False


def sized_as(options: SamOptions, start: Path) -> SamOptions:
    """Return the options with the start and the sizes of a SAM to go on from.

    Raises:
        ModelError: the file holds no SAM, or SAM 2.
    """
    model = read_sam(start)
    if model.config.model_type != "sam":
        raise ModelError(f"{start} holds SAM 2, whose training is not offered; start from SAM")
    vision = cast(Any, model).config.vision_config
    return replace(
        options,
        start=start,
        size=vision.image_size,
        patch=vision.patch_size,
        width=vision.hidden_size,
        depth=vision.num_hidden_layers,
        heads=vision.num_attention_heads,
        channels=vision.output_channels,
    )
