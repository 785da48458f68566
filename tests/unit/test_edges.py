"""How the edge of a kept face is drawn and chosen."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.compositing import Kept, melt
from sfumato.edges import EDGES, Edge, choose_edge
from sfumato.seam import measure_seam
from sfumato.types import Image, Mask

SIDE = 200
SKIN, WALL = (205, 160, 140), (70, 90, 120)


def disc(radius: float, side: int = SIDE) -> Mask:
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    return np.asarray(np.hypot(x, y) < radius, dtype=np.float32)


def portrait(side: int = SIDE) -> Image:
    """Return a face on a neck of its colour, before a wall."""
    image = np.full((side, side, 3), WALL, np.uint8)
    image[disc(0.3 * side, side) > 0] = SKIN
    image[side // 2 :, round(0.38 * side) : round(0.62 * side)] = SKIN
    return image


@given(seed=st.integers(0, 1000), side=st.integers(40, 120), edge=st.sampled_from(EDGES))
@settings(max_examples=20, deadline=None)
def test_a_drawn_mask_lies_between_zero_and_one(seed: int, side: int, edge: Edge) -> None:
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (side, side, 3), dtype=np.uint8)
    mask = rng.random((side, side)).astype(np.float32)
    drawn = edge.draw(mask, image, side / 2)
    assert drawn.shape == mask.shape
    assert 0 <= drawn.min() <= drawn.max() <= 1


def test_the_neck_is_kept_with_the_face_and_the_wall_is_not() -> None:
    face = disc(60) * (np.arange(SIDE)[:, None] < 155)
    plain, longer = (edge.draw(face, portrait(), 140) for edge in (Edge(), Edge(neck=0.12)))
    assert longer[168, 100] > 0.2 > plain[168, 100] + 0.1
    assert longer[100, 175] == pytest.approx(plain[100, 175], abs=0.02)
    assert (longer >= plain).all()


def test_no_skin_to_go_by_changes_nothing() -> None:
    nothing = np.zeros((50, 50), np.float32)
    np.testing.assert_array_equal(Edge(neck=0.1).draw(nothing, portrait(50), 40), nothing)


def test_the_edge_that_is_chosen_shows_no_more_than_the_first() -> None:
    """Whatever was painted: the neck is another colour in one painting, all is noise in another."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    toned = (0.7 * portrait() + (0, 30, 60)).astype(np.uint8)
    face = disc(60) * (np.arange(SIDE)[:, None] < 155)
    kept = Kept(portrait(), face.astype(np.float32), 140)
    for painted in (noise, toned, portrait()):
        chosen = choose_edge(painted, kept, paint=0.3, feather=1.0)
        scores = []
        for edge in (chosen, EDGES[0]):
            drawn = replace(kept, mask=edge.draw(kept.mask, kept.photo, kept.extent))
            result = melt(painted, drawn, paint=0.3)
            seam = measure_seam(kept.photo, result, drawn.mask, extent=kept.extent)
            assert seam is not None
            scores.append(seam.score)
        assert scores[0] <= scores[1]


def test_the_first_edge_is_taken_where_none_is_better_and_where_there_is_none() -> None:
    same = Kept(portrait(), disc(60), 140)
    assert choose_edge(portrait(), same, paint=0.3, feather=2.0) in [
        replace(edge, feather=2 * edge.feather) for edge in EDGES
    ]
    empty = Kept(portrait(), np.zeros((SIDE, SIDE), np.float32), 140)
    assert choose_edge(portrait(), empty, paint=0.3, feather=1.0) == EDGES[0]


def test_large_faces_are_compared_small_and_choose_alike() -> None:
    painted = (0.7 * portrait() + (0, 30, 60)).astype(np.uint8)
    face = (disc(60) * (np.arange(SIDE)[:, None] < 155)).astype(np.float32)
    small = choose_edge(painted, Kept(portrait(), face, 140), paint=0.3, feather=1.0)
    big = [np.kron(x, np.ones((4, 4, 1), x.dtype)) for x in (painted, portrait())]
    mask = np.kron(face, np.ones((4, 4), np.float32))
    large = choose_edge(big[0], Kept(big[1], mask, 560), paint=0.3, feather=1.0)
    assert large == small
