"""Whose job is next: laws of fairness over random crowds, then examples."""

from collections import Counter
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from sfumato.jobs.job import Client, Job, Work
from sfumato.jobs.turns import PATIENCE, REMEMBERED, Turns, choose_next, in_turn, next_in_turn, take_turn
from sfumato.settings import Settings

WORK = Work("stylize", Settings())


def job(number: int, address: str = "a", page: str = "", need: int = 1) -> Job:
    return Job(f"{number:032x}", WORK, Client(address, page), need, float(number))


clients = st.tuples(st.sampled_from("abc"), st.sampled_from("xyz"))
crowds = st.lists(clients, min_size=1, max_size=30).map(
    lambda crowd: [job(k, address, page) for k, (address, page) in enumerate(crowd)]
)


@given(crowds)
def test_every_job_is_served_once(waiting: list[Job]) -> None:
    assert sorted(j.id for j in in_turn(waiting, {})) == [j.id for j in waiting]


@given(crowds)
def test_jobs_of_one_page_keep_their_order(waiting: list[Job]) -> None:
    served = in_turn(waiting, {})
    for client in {j.client for j in waiting}:
        times = [j.created for j in served if j.client == client]
        assert times == sorted(times)


@given(crowds)
def test_no_address_is_served_twice_while_another_waits(waiting: list[Job]) -> None:
    """Between two jobs of one address every other address that still waits is served."""
    served = in_turn(waiting, {})
    for first, second in pairwise(served):
        left = Counter(j.client.address for j in served[served.index(first) + 1 :])
        assert first.client.address != second.client.address or set(left) == {first.client.address}


def test_many_pages_of_one_address_gain_nothing_over_another_address() -> None:
    crowd = [job(k, "greedy", f"page {k}") for k in range(10)] + [job(10, "modest"), job(11, "modest")]
    assert [j.client.address for j in in_turn(crowd, {})[:4]] == ["greedy", "modest", "greedy", "modest"]


def test_pages_of_one_address_take_turns() -> None:
    crowd = [job(0, "a", "x"), job(1, "a", "x"), job(2, "a", "y")]
    assert [j.client.page for j in in_turn(crowd, {})] == ["x", "y", "x"]


def test_who_was_served_last_comes_last() -> None:
    turns = take_turn({}, Client("a"))
    assert next_in_turn([job(0, "a"), job(1, "b")], turns).client.address == "b"


def test_turns_of_long_ago_are_forgotten() -> None:
    turns: Turns = {}
    for k in range(3 * REMEMBERED):
        turns = take_turn(turns, Client(f"address {k}"))
    assert len(turns) <= 2 * REMEMBERED


@given(crowds, st.integers(0, 5))
def test_what_is_chosen_fits_into_memory(waiting: list[Job], free: int) -> None:
    chosen = choose_next(waiting, {}, free, {})
    assert (chosen is None) == (free < 1)


def test_a_small_job_passes_by_a_large_one_but_not_for_ever() -> None:
    large, small = job(0, "a", need=10), job(1, "b", need=1)
    assert choose_next([large, small], {}, 5, {}) == small
    assert choose_next([large, small], {}, 5, {large.id: PATIENCE}) is None
    assert choose_next([large, small], {}, 10, {large.id: PATIENCE}) == large
