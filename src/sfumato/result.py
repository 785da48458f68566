"""Hold what became of one picture; it makes nothing."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from sfumato.io import Metadata, Picture, format_of, refuse_existing, write_picture
from sfumato.recipe_embedding import mark_painted
from sfumato.seam import Seam
from sfumato.stages.restore import FaceRestoration
from sfumato.types import Face, Image, Layers, Mask


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one picture.

    Attributes:
        picture: the painted picture with the alpha and metadata of the original.
        faces: every face found, in the order of `sfumato detect`.
        kept: indices of the faces that were kept.
        restorations: sharpness and restoration weight of each kept face.
        likeness: how much each kept face looks like that of the photo, a cosine; empty where nothing can tell.
        seams: how visible the edge of each kept face is; None where its mask has no edge.
        mask: 1 where the photo was kept.
        layers: original, restored, painted, mask and result; empty unless asked for.
        timings: seconds of each stage.
        models: sha256 of each model used, by name.
    """

    picture: Picture
    faces: tuple[Face, ...]
    kept: tuple[int, ...]
    restorations: tuple[FaceRestoration, ...]
    likeness: tuple[float, ...]
    seams: tuple[Seam | None, ...]
    mask: Mask
    layers: Layers
    timings: Mapping[str, float]
    models: Mapping[str, str]

    @property
    def image(self) -> Image:
        """Return the painted pixels."""
        return self.picture.image

    @property
    def scores(self) -> Mapping[str, object]:
        """Return the measures: how much is kept and, of each kept face, what was done and how it looks."""
        return {
            "kept_area": round(float(self.mask.mean()), 4),
            "sharpness": [round(r.sharpness, 4) for r in self.restorations],
            "restoration": [round(r.weight, 4) for r in self.restorations],
            "restoration_turned_down": [r.turned_down for r in self.restorations],
            "likeness": [round(cosine, 3) for cosine in self.likeness],
            "seam": [None if seam is None else round(seam.score, 3) for seam in self.seams],
        }

    def save(
        self,
        path: Path | str,
        *,
        overwrite: bool = False,
        metadata: Literal["keep", "strip"] = "keep",
        quality: int = 92,
        mark: bool = True,
    ) -> None:
        """Write the painted picture; the format follows the suffix.

        Args:
            mark: say in its XMP that a network had a part in it (IPTC DigitalSourceType).

        Raises:
            OutputError: the file exists and `overwrite` is false, or it cannot be written.
        """
        target = Path(path)
        refuse_existing(target, overwrite=overwrite)
        held = self.picture.metadata if metadata == "keep" else Metadata()
        told = mark_painted(held, format_of(target)) if mark else held
        write_picture(replace(self.picture, metadata=told), target, quality=quality, overwrite=overwrite)

    def report(self) -> Mapping[str, object]:
        """Return everything but pixels, ready for JSON."""
        height, width = self.image.shape[:2]
        return {
            "size": [width, height],
            "faces": [describe_face(face) | {"kept": k in self.kept} for k, face in enumerate(self.faces)],
            "scores": self.scores,
            "timings": {stage: round(seconds, 4) for stage, seconds in self.timings.items()},
            "models": dict(self.models),
        }


def describe_face(face: Face) -> dict[str, object]:
    """Return a face as JSON shows it: box, landmarks and score."""
    return {
        "box": [round(v, 2) for v in face.box],
        "landmarks": [[round(x, 2), round(y, 2)] for x, y in face.landmarks],
        "score": round(face.score, 4),
    }


def make_layers(original: Image, restored: Image, painted: Image, mask: Mask, result: Image) -> Layers:
    """Return the picture after each step, the mask as a grey picture."""
    shown = np.rint(255 * mask).astype(np.uint8)
    grey = np.repeat(shown[..., None], 3, axis=2)
    return {"original": original, "restored": restored, "painted": painted, "mask": grey, "result": result}
