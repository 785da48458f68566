"""Draw the edge of a kept face in several ways and choose the one that shows least; pure, and it runs no network."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from sfumato.compositing import Kept, melt
from sfumato.fields import blur, crop_rows, shrink
from sfumato.masks import feather_mask, refine_mask
from sfumato.seam import SEEN_EXTENT, Seam, measure_seam
from sfumato.types import FloatImage, Image, Mask


@dataclass(frozen=True, slots=True)
class Edge:
    """Say how an edge is drawn; lengths are in face heights.

    Attributes:
        radius: half width of the window in which the edge follows that of the picture.
        feather: sigma of its softness.
        neck: how far skin beyond it, of the face's own colour, is kept with it, less and less: neck, ears, hands. There
            a painter, too, would let one tone run out, and not stop at the jaw.
    """

    radius: float = 0.05
    feather: float = 0.015
    neck: float = 0.0

    def draw(self, mask: Mask, image: Image, extent: float) -> Mask:
        """Return the mask with its edge drawn.

        Args:
            mask: HxW, 1 where the face is.
            image: HxWx3, whose edges are followed.
            extent: height of the face in pixels.
        """
        drawn = feather_mask(
            refine_mask(mask, image, radius=self.radius * extent), sigma=self.feather * extent
        )
        return np.maximum(drawn, _skin_beyond(drawn, image, self.neck * extent)) if self.neck else drawn


EDGES = (Edge(), Edge(neck=0.12), Edge(feather=0.03), Edge(feather=0.03, neck=0.12))
"""What is tried for each face; the first is taken unless another shows clearly less."""

GAIN = 0.97
"""Part of the first edge's seam score that another must stay below to be taken instead."""

SKIN_SIDE = 256
"""Longer side in pixels at which skin is told from the rest."""

SKIN_LIGHT, SKIN_COLOUR = 14.0, 7.0
"""Deviation in lightness and in colour (CIELAB) at which another surface counts half as much as the face's skin."""


def choose_edge(
    painted: Image, kept: Kept, *, paint: float, feather: float, edges: Sequence[Edge] = EDGES
) -> Edge:
    """Return the edge whose seam shows least when the face is melted into the painting.

    They are compared at the size at which seams are measured, so a large face costs no more than a small one.

    Args:
        painted: HxWx3, the surroundings of the face.
        kept: the photo there, its mask without an edge drawn, and the height of the face.
        feather: factor of the softness of each edge.
    """
    scale = min(1.0, SEEN_EXTENT / kept.extent)
    over, photo = (_picture(shrink(image, scale)) for image in (painted, kept.photo))
    small = Kept(photo, shrink(kept.mask, scale), kept.extent * scale)
    tried = [replace(edge, feather=edge.feather * feather) for edge in edges]
    seams = [_seam_of(edge, over, small, paint) for edge in tried]
    scores = [np.inf if seam is None else seam.score for seam in seams]
    best = int(np.argmin(scores))
    return tried[best] if scores[best] < GAIN * scores[0] else tried[0]


def _seam_of(edge: Edge, painted: Image, kept: Kept, paint: float) -> Seam | None:
    drawn = replace(kept, mask=edge.draw(kept.mask, kept.photo, kept.extent))
    return measure_seam(kept.photo, melt(painted, drawn, paint=paint), drawn.mask, extent=kept.extent)


def _skin_beyond(mask: Mask, image: Image, reach: float) -> Mask:
    """Return how far the surroundings of the mask are near it and of the colour of what it holds."""
    scale = min(1.0, SKIN_SIDE / max(mask.shape))
    small, seen = shrink(mask, scale), shrink(image, scale)
    lab = cv2.cvtColor(blur(seen, 1.0) / np.float32(255), cv2.COLOR_RGB2LAB)
    inside = np.asarray(lab[small > 0.9], dtype=np.float32)
    if not len(inside):
        return np.zeros_like(mask)
    distance = ((lab - np.median(inside, axis=0)) / (SKIN_LIGHT, SKIN_COLOUR, SKIN_COLOUR)) ** 2
    alike = np.exp2(-distance.sum(axis=-1)).astype(np.float32)
    near = np.clip(2 * blur(small, reach * scale), 0, 1)
    whole = (slice(0, mask.shape[0]), slice(0, mask.shape[1]))
    return crop_rows(np.asarray(near * blur(alike, 1.0), dtype=np.float32), whole, mask.shape)


def _picture(levels: FloatImage) -> Image:
    return np.asarray(np.rint(levels), dtype=np.uint8)
