"""A submit whose answer is lost: what is unambiguous is adopted, the rest is told of."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from funcx_async import FuncXClient, FuncXExecutor, SubmitUncertain, gather
from funcx_async._session import uncertain
from funcx_async.executor.base import TargetedExecutor
from funcx_async.local import LocalService
from tests.executor.tasks import add

TIMEOUT = 30


@pytest.fixture
async def service() -> AsyncIterator[LocalService]:
    """A service for each test: faults must not wander."""
    async with LocalService(workers=1) as running:
        yield running


@pytest.fixture
async def leading(executor: FuncXExecutor) -> FuncXExecutor:
    """An executor whose task group is made: before that there is nothing to look into."""
    assert await asyncio.wait_for(executor.submit(add, 0), TIMEOUT) == 1
    return executor


@pytest.fixture
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uncertain, "LOOK_DELAYS", (0.0, 0.1))
    monkeypatch.setattr(uncertain, "RETRY_DELAY", 0.1)


async def outcomes(*futures) -> list[object]:
    async with asyncio.timeout(TIMEOUT):
        return await gather(*futures, return_exceptions=True)


@pytest.mark.parametrize("fault", ["lose_replies", "truncate_replies"])
async def test_a_lone_task_is_found_again(service, leading, fault):
    getattr(service.faults, fault)("submit")
    future = leading.submit(add, 41)
    assert await asyncio.wait_for(future, TIMEOUT) == 42
    assert service.faults.count("accepted") == 2
    assert future.task_id in await service.client().get_task_group(str(leading.task_group_id))
    assert leading.stats.orphans == 0


async def test_of_equal_tasks_it_does_not_matter_which_is_whose(service, leading):
    service.faults.lose_replies("submit")
    futures = [leading.submit(add, 41) for _ in range(5)]
    assert await outcomes(*futures) == [42] * 5
    assert len({future.task_id for future in futures}) == 5
    assert service.faults.count("accepted") == 6


async def test_a_result_that_came_meanwhile_is_not_lost(service, leading):
    service.faults.truncate_replies("submit")
    with service.faults.hold_replies("taskgroup") as hold:
        future = leading.submit(add, 41)
        await asyncio.wait_for(hold.seen(), TIMEOUT)
        await service.faults.seen("published", 2)
        assert future.running()
        assert not future.cancel()
    assert await asyncio.wait_for(future, TIMEOUT) == 42


async def test_different_tasks_stay_in_doubt_and_the_error_names_the_candidates(service, leading):
    service.faults.lose_replies("submit")
    told = await outcomes(*(leading.submit(add, number) for number in range(3)))
    assert [type(error) for error in told] == [SubmitUncertain] * 3
    listed = await service.client().get_task_group(str(leading.task_group_id))
    assert {error.candidate_task_ids for error in told} == {tuple(listed[1:])}
    await service.faults.seen("published", 4)
    service.faults.lose_replies("submit")
    assert await outcomes(leading.submit(add, 41)) == [42], "they are accounted for"
    assert leading.stats.orphans == 0


async def test_what_the_service_did_not_take_stays_in_doubt(service, leading, quick_looks):
    service.faults.refuse("submit", status=500)
    (error,) = await outcomes(leading.submit(add, 1))
    assert isinstance(error, SubmitUncertain)
    assert error.candidate_task_ids == ()
    assert error.task_group_id == leading.task_group_id
    assert await outcomes(leading.submit(add, 1)) == [2]


async def test_a_task_that_may_yet_turn_up_is_never_taken_for_another(
    service, leading, quick_looks
):
    service.faults.refuse("submit", status=500)
    await outcomes(leading.submit(add, 1))
    service.faults.lose_replies("submit")
    (error,) = await outcomes(leading.submit(add, 2))
    assert isinstance(error, SubmitUncertain)
    assert len(error.candidate_task_ids) == 1


async def test_where_doubts_cannot_be_cleared_any_more_they_hold_up_nothing(
    service, leading, quick_looks
):
    service.faults.refuse("submit", status=500)
    await outcomes(leading.submit(add, 1))
    service.faults.lose_replies("submit")
    with service.faults.hold_replies("taskgroup") as hold:
        lost = leading.submit(add, 2)
        await asyncio.wait_for(hold.seen(), TIMEOUT)
        full = [leading.submit(add, number) for number in range(leading.batch_size)]
        assert await outcomes(*full) == list(range(1, leading.batch_size + 1))
    (error,) = await outcomes(lost)
    assert isinstance(error, SubmitUncertain)


async def test_in_a_group_that_others_may_use_nothing_is_adopted(service, leading, quick_looks):
    async with service.executor(task_group_id=leading.task_group_id) as other:
        service.faults.lose_replies("submit")
        (error,) = await outcomes(other.submit(add, 1))
    assert isinstance(error, SubmitUncertain)
    assert len(error.candidate_task_ids) == 1


async def test_while_one_batch_is_looked_into_others_wait(service, leading):
    service.faults.truncate_replies("submit")
    with service.faults.hold_replies("taskgroup") as hold:
        lost = leading.submit(add, 1)
        await asyncio.wait_for(hold.seen(), TIMEOUT)
        queued = leading.submit(add, 2)
        assert leading.stats.queued == 1
    assert await outcomes(lost, queued) == [2, 3]


@pytest.fixture
async def elsewhere(service: LocalService, leading: FuncXExecutor) -> TargetedExecutor:
    """The same executor, for another task group."""
    async with service.executor() as other:
        await other.submit(add, 0)
        return leading.options(task_group_id=other.task_group_id)


async def test_while_one_batch_is_looked_into_other_task_groups_go_on(service, leading, elsewhere):
    service.faults.truncate_replies("submit")
    with service.faults.hold_replies("taskgroup") as hold:
        lost = leading.submit(add, 1)
        await asyncio.wait_for(hold.seen(), TIMEOUT)
        assert await outcomes(elsewhere.submit(add, 2)) == [3]
        assert not lost.done()
    assert await outcomes(lost) == [2]


async def test_while_candidates_are_looked_for_other_batches_go(
    service, leading, elsewhere, quick_looks
):
    service.faults.lose_replies("submit")
    with service.faults.hold_replies("taskgroup") as hold:
        lost = elsewhere.submit(add, 1)
        await asyncio.wait_for(hold.seen(), TIMEOUT)
        assert await outcomes(leading.submit(add, 2), elsewhere.submit(add, 3)) == [3, 4]
        assert not lost.done()
    (error,) = await outcomes(lost)
    assert isinstance(error, SubmitUncertain)
    assert len(error.candidate_task_ids) == 2, "nobody here knows the task of the other executor"


async def test_batches_that_were_lost_together_are_looked_into_together(service):
    async with service.executor(batch_size=2) as executor:
        assert await outcomes(executor.submit(add, 0)) == [1]
        service.faults.lose_replies("submit", times=3)
        futures = [executor.submit(add, 41) for _ in range(6)]
        assert await outcomes(*futures) == [42] * 6
        assert service.faults.count("accepted") == 7


async def test_who_chose_at_least_once_is_spared_what_can_be_found(service):
    async with service.executor(on_uncertain="resubmit") as executor:
        assert await outcomes(executor.submit(add, 0)) == [1]
        service.faults.lose_replies("submit")
        assert await outcomes(executor.submit(add, 41)) == [42]
        assert service.faults.count("accepted") == 2
        service.faults.lose_replies("submit")
        assert await outcomes(executor.submit(add, 1), executor.submit(add, 2)) == [2, 3]
        assert service.faults.count("accepted") == 6


async def test_a_service_that_does_not_answer_is_asked_again(service, leading, quick_looks):
    service.faults.truncate_replies("submit")
    service.faults.refuse("taskgroup", status=503, times=2)
    assert await outcomes(leading.submit(add, 41)) == [42]
    assert service.faults.count("taskgroup") == 3


async def test_but_not_without_end(service, quick_looks):
    async with service.executor(retry_deadline=0.3) as executor:
        assert await outcomes(executor.submit(add, 0)) == [1]
        service.faults.lose_replies("submit")
        service.faults.refuse("taskgroup", status=500, times=1_000)
        (error,) = await outcomes(executor.submit(add, 1))
        assert isinstance(error, SubmitUncertain)


async def test_leaving_with_an_error_does_not_wait_for_the_doubts(service):
    executor = service.executor()
    assert await outcomes(executor.submit(add, 0)) == [1]
    service.faults.lose_replies("submit")
    with service.faults.hold_replies("taskgroup") as hold:
        future = executor.submit(add, 1)
        await asyncio.wait_for(hold.seen(), TIMEOUT)
        async with asyncio.timeout(TIMEOUT):
            await executor.shutdown(wait=False, cancel_futures=True)
        assert not future.done(), "it is with the service, or may be"
    assert await outcomes(future) == [2]
    await executor.shutdown()


async def test_the_classic_services_group_is_looked_into_too(service):
    client: FuncXClient = service.client(api="v2")
    async with service.executor(funcx_client=client) as executor:
        assert await outcomes(executor.submit(add, 0)) == [1]
        service.faults.lose_replies("submit")
        assert await outcomes(executor.submit(add, 41)) == [42]
        assert service.faults.count("accepted") == 2
