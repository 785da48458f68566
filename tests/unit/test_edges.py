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


ALL = np.ones((SIDE, SIDE), np.float32)


def face() -> Kept:
    """Return the portrait with a mask that ends at the jaw."""
    mask = disc(60) * (np.arange(SIDE)[:, None] < 155)
    return Kept(portrait(), np.asarray(mask, dtype=np.float32), 140)


def toned() -> Image:
    """Return the portrait as a painting: darker and bluer."""
    return np.asarray(0.7 * portrait() + (0, 30, 60), dtype=np.uint8)


def score_of(edge: Edge, painted: Image, kept: Kept, beyond: Mask | None) -> float:
    """Return how much the edge shows at full size."""
    drawn = replace(kept, mask=edge.draw(kept, beyond))
    seam = measure_seam(kept.photo, melt(painted, drawn, paint=0.3), drawn.mask, extent=kept.extent)
    assert seam is not None
    return seam.score


@given(seed=st.integers(0, 1000), side=st.integers(40, 120), edge=st.sampled_from(EDGES))
@settings(max_examples=20, deadline=None)
def test_a_drawn_mask_lies_between_zero_and_one(seed: int, side: int, edge: Edge) -> None:
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (side, side, 3), dtype=np.uint8)
    mask, beyond = rng.random((2, side, side)).astype(np.float32)
    before = mask.copy()
    drawn = edge.draw(Kept(image, mask, side / 2), beyond)
    assert drawn.shape == mask.shape
    assert 0 <= drawn.min() <= drawn.max() <= 1
    np.testing.assert_array_equal(mask, before)


def test_the_neck_is_kept_with_the_face_and_the_wall_is_not() -> None:
    plain, longer = (edge.draw(face(), ALL) for edge in (Edge(), Edge(neck=0.12)))
    assert longer[168, 100] > 0.2 > plain[168, 100] + 0.1
    assert longer[100, 175] == pytest.approx(plain[100, 175], abs=0.02)
    assert (longer >= plain).all()


def test_the_neck_is_kept_only_where_it_may_be() -> None:
    """The cheek of a neighbour who was not chosen has the same colour."""
    np.testing.assert_array_equal(Edge(neck=0.12).draw(face(), 0 * ALL), Edge().draw(face()))
    half = ALL.copy()
    half[:, 100:] = 0
    drawn, plain = Edge(neck=0.12).draw(face(), half), Edge().draw(face())
    assert drawn[168, 90] > 0.2
    assert drawn[168, 110] == pytest.approx(plain[168, 110], abs=0.02)


def test_no_skin_to_go_by_changes_nothing() -> None:
    nothing = Kept(portrait(), 0 * ALL, 40)
    np.testing.assert_array_equal(Edge(neck=0.1).draw(nothing, ALL), nothing.mask)


def test_the_edge_that_is_chosen_shows_no_more_than_the_first() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    for painted in (noise, toned(), portrait()):
        chosen = choose_edge(painted, face(), ALL, paint=0.3)
        assert score_of(chosen, painted, face(), ALL) <= score_of(EDGES[0], painted, face(), ALL)


def test_the_first_edge_is_taken_where_there_is_no_seam_and_where_there_is_no_face() -> None:
    assert choose_edge(portrait(), Kept(portrait(), 0 * ALL, 140), ALL, paint=0.3) == EDGES[0]
    soft, softer = Edge(feather=0.03), Edge(feather=0.04)
    same = Kept(portrait(), disc(20), 140)  # inside of the skin: the photo's own steps, whatever the edge
    assert choose_edge(portrait(), same, None, paint=0.0, edges=(softer, soft)) == softer


def test_a_hard_edge_loses_to_one_that_runs_out() -> None:
    """Wherever it stands in the list; all on skin, so that the photo has no step there."""
    cheek = Kept(portrait(), disc(35), 140)
    hard, soft = Edge(feather=0.001), Edge(feather=0.05)
    for edges in ((hard, soft), (soft, hard)):
        assert choose_edge(toned(), cheek, None, paint=0.1, edges=edges) == soft


def test_large_faces_are_compared_small_and_choose_alike() -> None:
    small = choose_edge(toned(), face(), ALL, paint=0.3)
    big = [np.kron(x, np.ones((4, 4, 1), x.dtype)) for x in (toned(), portrait())]
    mask, beyond = (np.kron(x, np.ones((4, 4), np.float32)) for x in (face().mask, ALL))
    assert choose_edge(big[0], Kept(big[1], mask, 560), beyond, paint=0.3) == small
