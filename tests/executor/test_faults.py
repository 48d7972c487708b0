"""What goes wrong, and that it hurts nothing else: no future hangs, none settles wrongly."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from uuid import uuid4

import httpx
import pytest

from funcx_async import (
    DeserializationError,
    FuncXClient,
    FuncXExecutor,
    RequestRefused,
    ResultExpired,
    ServiceUnavailable,
    SubmitUncertain,
    gather,
)
from funcx_async._service.messages import encode_result
from funcx_async.local import LocalService
from funcx_async.models import Result
from tests.executor.tasks import add, collect

TIMEOUT = 30


@pytest.fixture
async def service() -> AsyncIterator[LocalService]:
    """A service for each test: faults must not wander."""
    async with LocalService(workers=1) as running:
        yield running


async def sums(executor: FuncXExecutor, count: int) -> list[int]:
    async with asyncio.timeout(TIMEOUT):
        return await gather(*(executor.submit(add, number) for number in range(count)))


async def logged(text: str) -> None:
    """Wait until the package logs something."""
    seen = asyncio.Event()
    log = logging.getLogger("funcx_async")

    def note(record: logging.LogRecord) -> bool:
        if text in record.getMessage():
            seen.set()
        return True

    handler = logging.NullHandler()
    handler.handle = note  # type: ignore[method-assign]
    log.addHandler(handler)
    try:
        await seen.wait()
    finally:
        log.removeHandler(handler)


# Requests -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 503])
async def test_a_busy_service_is_asked_again(service, executor, status):
    service.faults.refuse("submit", status=status, times=2)
    service.faults.refuse("register", status=status)
    assert await sums(executor, 3) == [1, 2, 3]
    assert service.faults.count("submit") == 3


async def test_retry_after_is_obeyed(service, executor):
    loop = asyncio.get_running_loop()
    service.faults.refuse("submit", status=429, retry_after=1)
    begin = loop.time()
    assert await sums(executor, 1) == [1]
    assert loop.time() - begin >= 1


async def test_while_a_refused_batch_waits_its_futures_can_be_cancelled_and_more_join(
    service, executor, caplog
):
    caplog.set_level(logging.INFO, "funcx_async")
    service.faults.refuse("submit", status=503, retry_after=1)
    first = [executor.submit(add, number) for number in range(2)]
    await asyncio.wait_for(logged("sent again"), TIMEOUT)
    assert first[0].cancel()
    second = executor.submit(add, 5)
    assert await asyncio.wait_for(second, TIMEOUT) == 6
    assert await first[1] == 2
    assert executor.stats.batches == 1
    assert service.faults.count("accepted") == 2


async def test_after_the_deadline_the_service_is_unavailable(service):
    async with service.executor(retry_deadline=0.1) as executor:
        service.faults.refuse("submit", status=503, times=50)
        with pytest.raises(ServiceUnavailable):
            await asyncio.wait_for(executor.submit(add, 1), TIMEOUT)


async def test_the_deadline_is_that_of_all_who_wait_and_not_of_one_batch_after_the_other(service):
    async with service.executor(retry_deadline=1.0, batch_size=5) as executor:
        service.faults.refuse("submit", status=503, times=1_000)
        futures = [executor.submit(add, number) for number in range(200)]
        outcomes = await asyncio.wait_for(gather(*futures, return_exceptions=True), 10)
        assert {type(outcome) for outcome in outcomes} == {ServiceUnavailable}


async def test_a_function_that_the_service_has_trouble_with_holds_up_no_other(service, executor):
    await sums(executor, 1)
    service.faults.refuse("register", status=500, times=1_000)
    troubled = executor.submit(collect, 1)
    assert await sums(executor, 3) == [1, 2, 3]
    assert not troubled.done()
    assert troubled.cancel()


async def test_a_group_that_the_service_forgot_is_made_anew(service, executor):
    await sums(executor, 1)
    before = executor.task_group_id
    service.faults.refuse("submit", status=404, code="TASK_GROUP_NOT_FOUND")
    assert await sums(executor, 3) == [1, 2, 3]
    assert executor.task_group_id not in (None, before)


async def test_batches_that_were_on_their_way_to_a_forgotten_group_go_to_the_new_one(service):
    async with service.executor(batch_size=2) as executor:
        await sums(executor, 1)
        service.faults.refuse("submit", status=404, code="TASK_GROUP_NOT_FOUND", times=2)
        with service.faults.hold_replies("submit") as hold:
            futures = [executor.submit(add, number) for number in range(4)]
            await asyncio.wait_for(hold.seen(2), TIMEOUT)
        assert await asyncio.wait_for(gather(*futures), TIMEOUT) == [1, 2, 3, 4]
        made = executor.task_group_id
        listed = await executor.funcx_client.get_task_group(made)
        assert len(listed) == 4


async def test_a_refused_batch_fails_alone_and_with_the_services_words(service, executor):
    service.faults.refuse("submit", status=409, code="RESOURCE_CONFLICT", reason="not now")
    first = executor.submit(add, 1)
    with pytest.raises(RequestRefused, match="not now") as caught:
        await first
    assert caught.value.code == "RESOURCE_CONFLICT"
    assert caught.value.function_id is not None
    assert await sums(executor, 3) == [1, 2, 3]


async def test_the_culprit_in_a_batch_fails_and_the_others_run(service, executor):
    unknown = executor.submit_to_registered_function(str(uuid4()), (1,))
    good = [executor.submit(add, number) for number in range(10)]
    with pytest.raises(RequestRefused, match="FUNCTION_NOT_FOUND"):
        await asyncio.wait_for(unknown, TIMEOUT)
    assert await gather(*good) == list(range(1, 11))
    assert service.faults.count("accepted") == 10


async def test_a_batch_that_is_too_large_for_the_service_is_halved(service, executor):
    service.faults.refuse("submit", status=413, code="BATCH_RUN_TOO_LARGE")
    assert await sums(executor, 8) == list(range(1, 9))
    assert executor.stats.batches == 2


async def test_a_hunt_for_a_culprit_ends(service, executor):
    service.faults.refuse("submit", status=400, times=1_000)
    futures = [executor.submit(add, number) for number in range(100)]
    outcomes = await asyncio.wait_for(gather(*futures, return_exceptions=True), TIMEOUT)
    assert all(isinstance(outcome, RequestRefused) for outcome in outcomes)
    assert service.faults.count("submit") < 40


async def test_a_function_that_cannot_be_registered_fails_alone(service, executor):
    await sums(executor, 1)
    service.faults.refuse("register", status=413, code="FUNCTION_TOO_LARGE")
    bad = executor.submit(collect, 1)
    good = executor.submit(add, 1)
    with pytest.raises(RequestRefused, match="FUNCTION_TOO_LARGE"):
        await asyncio.wait_for(bad, TIMEOUT)
    assert await good == 2
    assert await executor.submit(collect, 1) == ((1,), {}), "it is registered anew"


@pytest.mark.parametrize("fault", ["lose_replies", "truncate_replies"])
async def test_a_lost_answer_makes_a_batch_uncertain_and_nothing_is_sent_twice(
    service, executor, fault
):
    await sums(executor, 1)
    getattr(service.faults, fault)("submit")
    futures = [executor.submit(add, number) for number in range(4)]
    outcomes = await asyncio.wait_for(gather(*futures, return_exceptions=True), TIMEOUT)
    assert [type(outcome) for outcome in outcomes] == [SubmitUncertain] * 4
    assert {outcome.task_group_id for outcome in outcomes} == {executor.task_group_id}
    assert service.faults.count("accepted") == 5
    assert await sums(executor, 3) == [1, 2, 3]


async def test_if_the_first_batch_fails_the_next_one_leads(service, executor):
    service.faults.lose_replies("submit")
    first = executor.submit(add, 1)
    with pytest.raises(SubmitUncertain):
        await asyncio.wait_for(first, TIMEOUT)
    assert executor.task_group_id is None
    assert await sums(executor, 3) == [1, 2, 3]
    assert executor.task_group_id is not None


async def test_who_chose_at_least_once_is_served_at_least_once(service):
    async with service.executor(on_uncertain="resubmit") as executor:
        service.faults.lose_replies("submit")
        assert await sums(executor, 2) == [1, 2]
        assert service.faults.count("accepted") == 4


# Results ------------------------------------------------------------------------------------------


async def test_results_may_overtake_the_answer_to_their_submit(service, executor):
    await sums(executor, 1)
    with service.faults.hold_replies("submit") as hold:
        futures = [executor.submit(add, number) for number in range(5)]
        await hold.seen()
        await service.faults.seen("published", 6)
        assert not any(future.done() for future in futures)
    assert await asyncio.wait_for(gather(*futures), TIMEOUT) == [1, 2, 3, 4, 5]
    assert executor.stats.held == 0


async def test_duplicates_are_harmless(service, executor):
    service.faults.duplicate_results(10)
    assert await sums(executor, 10) == list(range(1, 11))
    assert await sums(executor, 3) == [1, 2, 3]
    assert executor.stats.duplicates == 10
    assert executor.stats.done == 13


async def test_the_order_of_results_does_not_matter(service, executor):
    with service.faults.reorder_results(5):
        assert await sums(executor, 10) == list(range(1, 11))


async def test_orphans_and_nonsense_are_dropped_and_counted(service, executor, caplog):
    await sums(executor, 1)
    group = executor.task_group_id
    for body in (b"", b"\x02{}", b"\x01nonsense", b"\x01nonsense too", b"\x01{}", b"\xff" * 50):
        service.faults.publish(group, body)
    for task_id in ("no UUID", str(uuid4())):
        service.faults.publish(group, encode_result(Result(task_id, "00\ngARLAS4=\n")))
    assert await sums(executor, 3) == [1, 2, 3]
    assert executor.stats.malformed == 7
    assert executor.stats.orphans == 1
    told = [record for record in caplog.records if "not a result" in record.message]
    assert 1 <= len(told) < 7, "once a kind"


async def test_a_result_that_cannot_be_read_fails_its_future_with_the_payload(service, executor):
    await sums(executor, 1)
    with service.faults.endpoint_offline():
        future = executor.submit(add, 1)
        task_id = await future.submitted()
        body = encode_result(Result(task_id, "00\nnot base64 at all"))
        service.faults.publish(executor.task_group_id, body)
        with pytest.raises(DeserializationError) as caught:
            await asyncio.wait_for(future, TIMEOUT)
    assert caught.value.payload == "00\nnot base64 at all"
    assert caught.value.task_id == task_id
    assert await sums(executor, 2) == [1, 2]


async def test_a_result_finds_its_future_however_its_task_id_is_spelled(service, executor):
    await sums(executor, 1)
    with service.faults.endpoint_offline():
        future = executor.submit(add, 1)
        task_id = await future.submitted()
        service.faults.publish(
            executor.task_group_id, encode_result(Result(task_id.upper(), "00\ngARLAi4=\n"))
        )
        assert await asyncio.wait_for(future, TIMEOUT) == 2
    assert (executor.stats.orphans, executor.stats.malformed) == (0, 0)


async def test_a_notice_without_a_result_is_fetched_over_rest(service, executor):
    service.faults.high_assurance_results(4)
    assert await sums(executor, 4) == [1, 2, 3, 4]
    assert service.faults.count("batch_status") >= 1


async def test_a_dropped_result_is_found_by_looking(service):
    async with service.executor(reconcile_interval=0.3) as executor:
        service.faults.drop_results(3)
        assert await sums(executor, 5) == [1, 2, 3, 4, 5]


# The broker ---------------------------------------------------------------------------------------


async def test_after_a_disconnect_results_come_again_with_fresh_credentials(service, executor):
    await sums(executor, 1)
    before = service.faults.count("amqp_url")
    with service.faults.endpoint_offline():
        future = executor.submit(add, 1)
        await future.submitted()
        service.faults.disconnect()
    assert await asyncio.wait_for(future, TIMEOUT) == 2
    assert service.faults.count("amqp_url") > before
    assert executor.stats.reconnects == 1


@pytest.mark.parametrize("fault", ["close_channels", "cancel_consumers"])
async def test_a_lost_channel_or_consumer_is_made_again(service, executor, fault):
    await sums(executor, 1)
    with service.faults.endpoint_offline():
        future = executor.submit(add, 1)
        await future.submitted()
        getattr(service.faults, fault)()
    assert await asyncio.wait_for(future, TIMEOUT) == 2
    assert await sums(executor, 3) == [1, 2, 3]


async def test_results_lost_while_disconnected_are_looked_up(service, executor):
    await sums(executor, 1)
    service.faults.drop_results(1)
    with service.faults.endpoint_offline():
        future = executor.submit(add, 1)
        await future.submitted()
        service.faults.disconnect()
    assert await asyncio.wait_for(future, TIMEOUT) == 2


async def test_refused_logins_are_tried_again(service, executor):
    service.faults.refuse_logins(2)
    assert await sums(executor, 3) == [1, 2, 3]


async def test_a_deleted_queue_hangs_no_future(service, executor):
    await sums(executor, 1)
    with service.faults.endpoint_offline():
        future = executor.submit(add, 1)
        await future.submitted()
        await service.faults.delete_queues()
    assert await asyncio.wait_for(future, TIMEOUT) == 2
    assert await sums(executor, 3) == [1, 2, 3]


async def test_without_a_queue_results_are_asked_for(service, executor):
    service.faults.refuse("amqp_url", status=500, times=1_000)
    assert await sums(executor, 5) == [1, 2, 3, 4, 5]


async def test_polling_can_be_chosen(service):
    async with service.executor(result_transport="polling") as executor:
        assert await sums(executor, 5) == [1, 2, 3, 4, 5]
        assert service.faults.count("amqp_url") == 0


async def test_a_task_that_the_service_forgot_fails_with_clear_words(service):
    group, task_id = str(uuid4()), str(uuid4())

    def answer(request: httpx.Request) -> httpx.Response:
        if "taskgroup" in request.url.path:
            return httpx.Response(200, json={"taskgroup_id": group, "tasks": [{"id": task_id}]})
        unknown = {"task_id": task_id, "status": "Failed", "reason": "Unknown task id"}
        assert json.loads(request.content) == {"task_ids": [task_id]}
        return httpx.Response(200, json={"response": "batch", "results": {task_id: unknown}})

    client = FuncXClient(service.url, auth="t", transport=httpx.MockTransport(answer))
    executor = FuncXExecutor(service.endpoint_id, funcx_client=client, result_transport="polling")
    (future,) = await executor.reload_tasks(group)
    with pytest.raises(ResultExpired, match="Unknown task id"):
        await asyncio.wait_for(future, TIMEOUT)
    await executor.shutdown()
    await client.aclose()
