"""Draw the edge of a kept face in several ways and choose the one that shows least; pure, and it runs no network."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from sfumato.compositing import Kept, melt
from sfumato.fields import blur, grow_rows, shrink, strips
from sfumato.masks import feather_mask, refine_mask
from sfumato.seam import Seam, measure_seam
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

    def draw(self, kept: Kept, beyond: Mask | None = None) -> Mask:
        """Return the mask with its edge drawn.

        Args:
            kept: the photo, whose edges are followed, the mask, and the height of the face.
            beyond: 1 where skin beyond the face may be kept with it, at any size; None keeps none.
        """
        return self.soften(replace(kept, mask=self.refine(kept)), beyond)

    def refine(self, kept: Kept) -> Mask:
        """Return the mask with its edge drawn to that of the photo."""
        return refine_mask(kept.mask, kept.photo, radius=self.radius * kept.extent)

    def soften(self, kept: Kept, beyond: Mask | None = None) -> Mask:
        """Return a refined mask feathered, with what is kept of the skin beyond it; `draw` does both steps."""
        drawn = feather_mask(kept.mask, sigma=self.feather * kept.extent)
        if self.neck and beyond is not None:
            skin = _skin_beyond(replace(kept, mask=drawn), beyond, self.neck * kept.extent)
            for rows in strips(drawn.shape[0]):
                part = drawn[slice(*rows)]
                np.maximum(part, grow_rows(skin, rows, drawn.shape), out=part)
        return drawn


EDGES = (Edge(), Edge(neck=0.12), Edge(feather=0.03), Edge(feather=0.03, neck=0.12))
"""What is tried for each face; the first is taken unless another shows clearly less."""

GAIN = 0.97
"""Part of the first edge's seam score that another must stay below to be taken instead."""

CHOICE_EXTENT = 128.0
"""Height in pixels to which a larger face is reduced while edges are compared: what differs between them is broad."""

SKIN_SIDE = 256
"""Longer side in pixels at which skin is told from the rest."""

SKIN_LIGHT, SKIN_COLOUR = 14.0, 7.0
"""Deviation in lightness and in colour (CIELAB) at which another surface counts half as much as the face's skin."""


def choose_edge(
    painted: Image, kept: Kept, beyond: Mask | None, *, paint: float, edges: Sequence[Edge] = EDGES
) -> Edge:
    """Return the edge whose seam shows least when the face is melted into the painting.

    They are compared at a reduced size, so a large face costs no more than a small one.

    Args:
        painted: HxWx3, the surroundings of the face.
        kept: the photo there, its mask without an edge drawn, and the height of the face.
        beyond: as for `Edge.draw`.
        edges: what is tried; the first counts as best unless another is clearly better.
    """
    if len(edges) == 1:
        return edges[0]
    scale = min(1.0, CHOICE_EXTENT / kept.extent)
    over, photo = (_picture(shrink(image, scale)) for image in (painted, kept.photo))
    small = Kept(photo, shrink(kept.mask, scale), kept.extent * scale)
    refined = {edge.radius: replace(small, mask=edge.refine(small)) for edge in edges}
    drawn = (edge.soften(refined[edge.radius], beyond) for edge in edges)
    seams = [_seam_of(over, replace(small, mask=mask), paint) for mask in drawn]
    scores = [np.inf if seam is None else seam.score for seam in seams]
    best = int(np.argmin(scores))
    return edges[best] if scores[best] < GAIN * scores[0] else edges[0]


def _seam_of(painted: Image, kept: Kept, paint: float) -> Seam | None:
    return measure_seam(kept.photo, melt(painted, kept, paint=paint), kept.mask, extent=kept.extent)


def _skin_beyond(kept: Kept, beyond: Mask, reach: float) -> Mask:
    """Return, at a reduced size, how far what lies beyond the mask is near it and of the colour of what it holds."""
    scale = min(1.0, SKIN_SIDE / max(kept.mask.shape))
    small, seen = shrink(kept.mask, scale), shrink(kept.photo, scale)
    lab = cv2.cvtColor(blur(seen, 1.0) / np.float32(255), cv2.COLOR_RGB2LAB)
    inside = np.asarray(lab[small > 0.9], dtype=np.float32)
    if not len(inside):
        return np.zeros_like(small)
    distance = ((lab - np.median(inside, axis=0)) / (SKIN_LIGHT, SKIN_COLOUR, SKIN_COLOUR)) ** 2
    alike = blur(np.exp2(-distance.sum(axis=-1)).astype(np.float32), 1.0)
    near = np.clip(2 * blur(small, reach * scale), 0, 1)
    allowed = cv2.resize(beyond, small.shape[::-1], interpolation=cv2.INTER_AREA)
    return np.asarray(near * alike * allowed, dtype=np.float32)


def _picture(levels: FloatImage) -> Image:
    return np.asarray(np.rint(levels), dtype=np.uint8)
