"""The queue: bounds of number and memory, waiting, cancelling and closing, with real threads."""

import threading

import pytest

from sfumato.errors import BusyError, CancelledJobError, StoppingError
from sfumato.jobs.queue import JobQueue, Load
from tests.unit.test_job_turns import job


def filled(*needs: int, length: int = 8, budget: int = 10) -> JobQueue:
    queue = JobQueue(length, budget)
    for k, need in enumerate(needs):
        with queue.place():
            queue.add(job(k, f"address {k}", need=need))
    return queue


def taken(queue: JobQueue) -> str:
    found = queue.take()
    assert found is not None
    return found.id


def test_a_full_queue_says_when_to_come_again() -> None:
    queue = filled(1, 1, length=2)
    with pytest.raises(
        BusyError, match=r"the queue is full \(2 jobs are waiting\); try again later"
    ) as caught:
        queue.place().__enter__()
    assert caught.value.retry_after >= 1
    taken(queue)
    with queue.place():
        pass


def test_a_place_that_is_held_counts_as_long_as_it_is_held() -> None:
    queue = JobQueue(1, 10)
    with queue.place(), pytest.raises(BusyError):
        queue.place().__enter__()
    with queue.place():
        pass


def test_running_jobs_stay_within_the_memory() -> None:
    queue = filled(6, 6, 4)
    first, second = taken(queue), taken(queue)
    assert (first, second) == (job(0).id, job(2).id)
    assert queue.load() == Load(waiting=1, running=2, memory=10)
    queue.finish(first, 1.0)
    assert taken(queue) == job(1).id


def test_a_job_over_the_budget_runs_alone() -> None:
    queue = filled(50, 1)
    assert taken(queue) == job(0).id
    found: list[str] = []
    thread = threading.Thread(target=lambda: found.append(taken(queue)))
    thread.start()
    thread.join(0.1)
    assert not found
    queue.finish(job(0).id, 1.0)
    thread.join()
    assert found == [job(1).id]


def test_positions_count_from_the_next_one() -> None:
    queue = filled(1, 1, 1)
    assert [queue.position(job(k).id) for k in range(3)] == [1, 2, 3]
    taken(queue)
    assert [queue.position(job(k).id) for k in range(3)] == [None, 1, 2]


def test_a_waiting_job_is_cancelled_at_once_and_a_running_one_at_its_next_check() -> None:
    queue = filled(1, 1)
    running = taken(queue)
    cancelled = queue.cancel(job(1).id)
    assert cancelled is not None
    assert cancelled.id == job(1).id
    queue.check(running)
    assert queue.cancel(running) is None
    with pytest.raises(CancelledJobError):
        queue.check(running)
    queue.finish(running, 1.0)
    queue.check(running)


def test_cancelling_what_is_not_there_does_nothing() -> None:
    assert filled(1).cancel("none") is None


def test_a_closed_queue_hands_out_nothing_and_ends_what_runs() -> None:
    queue = filled(1, 1)
    running = taken(queue)
    waiting = threading.Thread(target=queue.take)
    queue.take()
    waiting.start()
    queue.close()
    waiting.join(5)
    assert not waiting.is_alive()
    assert queue.take() is None
    with pytest.raises(StoppingError):
        queue.check(running)


def test_a_queue_that_refuses_new_jobs_still_hands_out_old_ones() -> None:
    queue = filled(1)
    queue.refuse_new()
    with pytest.raises(StoppingError, match="the server is stopping; try again in a minute"):
        queue.place().__enter__()
    assert not queue.is_accepting
    assert not queue.wait_until_empty(0)
    queue.finish(taken(queue), 1.0)
    assert queue.wait_until_empty(0)


def test_the_wait_follows_how_long_jobs_took() -> None:
    queue = filled(1, length=1)
    for _ in range(50):
        queue.finish("any", 30.0)
    with pytest.raises(BusyError) as caught:
        queue.place().__enter__()
    assert caught.value.retry_after == pytest.approx(30, abs=1)
