"""``amap`` for programs without an event loop: a lazy, bounded iterator."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from funcx_async import TaskExecutionFailed
from funcx_async.blocking import FuncXExecutor, LocalService
from tests.executor.tasks import add, fail

pytest.importorskip("tqdm")


@pytest.mark.parametrize("ordered", [True, False])
def test_it_yields_each_result_once(executor: FuncXExecutor, ordered: bool):
    results = list(executor.amap(add, range(30), range(30), limit=7, ordered=ordered))
    assert sorted(results) == list(range(0, 60, 2))
    assert not ordered or results == sorted(results)


def test_it_is_an_iterator_that_draws_its_input_as_it_needs_it(executor: FuncXExecutor):
    drawn: list[int] = []

    def numbers() -> Iterator[int]:
        for number in range(100):
            drawn.append(number)
            yield number

    results = executor.amap(add, numbers(), limit=4)
    assert drawn == []
    assert next(results) == 1
    assert len(drawn) == 5
    results.close()
    assert len(drawn) == 5
    with pytest.raises(StopIteration):
        next(results)


def test_it_keeps_to_the_limit_of_the_executor(service: LocalService):
    with service.executor(max_in_flight=3) as executor:
        assert list(executor.amap(add, range(9))) == list(range(1, 10))


def test_it_raises_the_first_failure_or_yields_it(executor: FuncXExecutor):
    with pytest.raises(TaskExecutionFailed, match="x"):
        list(executor.amap(fail, "xyz"))
    errors = list(executor.amap(fail, "xyz", return_exceptions=True))
    assert [type(error) for error in errors] == [TaskExecutionFailed] * 3


def test_a_view_has_it_too_and_views_of_views(executor: FuncXExecutor):
    view = executor.options(timeout=30)
    assert list(view.amap(add, range(3))) == [1, 2, 3]
    assert list(view.options(retries=1).amap(add, range(3))) == [1, 2, 3]


@pytest.mark.parametrize(
    ("iterables", "limit"), [((), 5), (([1],), 0)], ids=["nothing to draw from", "no limit"]
)
def test_one_without_sense_is_refused(executor: FuncXExecutor, iterables, limit: int):
    with pytest.raises(ValueError, match="amap"):
        next(executor.amap(add, *iterables, limit=limit))


@pytest.mark.parametrize(
    ("numbers", "shown"), [(range(3), "3/3"), (iter(range(3)), "3task")], ids=["3 of 3", "3"]
)
def test_a_bar_shows_how_many_are_done(
    executor: FuncXExecutor, capsys: pytest.CaptureFixture[str], numbers, shown: str
):
    assert list(executor.amap(add, numbers, progress=True)) == [1, 2, 3]
    assert shown in capsys.readouterr().err
