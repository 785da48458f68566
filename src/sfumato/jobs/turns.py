"""Decide whose job is next: in turn between addresses, between the pages of each, then by age; pure."""

from collections.abc import Mapping, Sequence

from sfumato.jobs.job import Client, Job

Turns = Mapping[Client | str, int]
"""When each address (by its text) and each client was last served, as a number that grows with every turn."""

REMEMBERED = 500
"""Turns after which a client is as good as new."""

PATIENCE = 8
"""How often a job that does not fit into memory is passed by before all wait for it."""


def next_in_turn(waiting: Sequence[Job], turns: Turns) -> Job:
    """Return the job of whoever was served longest ago; `waiting` is in order of age and not empty."""
    return min(
        waiting, key=lambda job: (turns.get(job.client.address, -1), turns.get(job.client, -1), job.created)
    )


def take_turn(turns: Turns, client: Client) -> Turns:
    """Return the turns after a client was served; those of long ago are forgotten."""
    now = max(turns.values(), default=-1) + 1
    taken = {**turns, client.address: now, client: now}
    return {key: turn for key, turn in taken.items() if turn > now - REMEMBERED}


def in_turn(waiting: Sequence[Job], turns: Turns) -> list[Job]:
    """Return the jobs in the order in which they will be served if no other comes."""
    left, ordered = list(waiting), []
    while left:
        job = next_in_turn(left, turns)
        left.remove(job)
        ordered.append(job)
        turns = take_turn(turns, job.client)
    return ordered


def choose_next(waiting: Sequence[Job], turns: Turns, free: int, passed: Mapping[str, int]) -> Job | None:
    """Return the first job in turn that fits into the free memory, or None.

    A job that was passed by `PATIENCE` times is waited for, so that small ones cannot keep a large one out for ever.

    Args:
        free: bytes.
        passed: how often each job, by its id, was passed by.
    """
    for job in in_turn(waiting, turns):
        if job.need <= free:
            return job
        if passed.get(job.id, 0) >= PATIENCE:
            return None
    return None
