"""Work is spread in order; a dead or slow worker costs one item and nothing else."""

import os
import time
import warnings

import pytest

from pipelines.storage.workers import Workers


def square(item: int) -> int:
    return item * item


def treacherous(item: int) -> int:
    if item == 7:
        os._exit(11)
    if item == 9:
        raise ValueError("Jane Doe")
    return item


def slow(item: int) -> int:
    if item == 3:
        time.sleep(60)
    return item


def chatty(item: int) -> int:
    warnings.warn("Jane Doe", stacklevel=1)
    print("Jane Doe")
    return item


@pytest.mark.parametrize("processes", [1, 2])
def test_results_come_in_the_items_order(processes: int) -> None:
    results = list(Workers(processes, chunk=3).spread(square, range(20)))
    assert [(r.item, r.value, r.failure) for r in results] == [(i, i * i, None) for i in range(20)]


def test_dead_worker_costs_one_item() -> None:
    results = list(Workers(2, chunk=4).spread(treacherous, range(20)))
    assert [r.item for r in results] == list(range(20))
    assert {r.item: r.failure for r in results if r.failure} == {7: "worker_died", 9: "error_ValueError"}
    assert all(r.value == r.item for r in results if not r.failure)


def test_item_over_its_time_is_given_up() -> None:
    results = list(Workers(2, chunk=2, time_limit=2.5).spread(slow, range(8)))
    assert {r.item: r.failure for r in results if r.failure} == {3: "time_limit"}
    assert [r.item for r in results] == list(range(8))


def test_workers_say_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    assert len(list(Workers(2).spread(chatty, range(4)))) == 4
    out, err = capfd.readouterr()
    assert "Jane" not in out + err
