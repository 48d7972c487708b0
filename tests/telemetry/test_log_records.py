"""Records of our loggers carry ids as fields, beside the words for people."""

from __future__ import annotations

import asyncio
import logging
from uuid import uuid4

import pytest

from funcx_async import FuncXExecutor, TaskExecutionFailed
from funcx_async._service.messages import encode_result
from funcx_async.local import LocalService
from funcx_async.models import Result
from tests.executor.tasks import add, fail
from tests.telemetry.conftest import cut_off

TIMEOUT = 60
FIELDS = ("task_id", "task_group_id", "batch", "endpoint_id", "request_id")


@pytest.fixture(autouse=True)
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG, "funcx_async")
    return caplog


def fields_of(log: pytest.LogCaptureFixture, words: str) -> dict[str, object]:
    """The fields of the one record that says this, for whoever is told of it."""
    (record,) = [record for record in log.records if words in record.getMessage()]
    return {name: getattr(record, name) for name in FIELDS if hasattr(record, name)}


async def test_a_batch_is_told_with_its_number_group_endpoint_and_request(
    service: LocalService, log: pytest.LogCaptureFixture
):
    async with service.executor() as executor:
        service.faults.refuse("submit", status=503, retry_after=0)
        assert await asyncio.wait_for(executor.submit(add, 1), TIMEOUT) == 2
    refused, taken = fields_of(log, "are sent again"), fields_of(log, "took 1 task(s)")
    assert refused == {
        "batch": 1,
        "endpoint_id": service.endpoint_id,
        "task_group_id": None,  # there is none yet
        "request_id": None,  # the refusal names none
    }
    assert taken.pop("request_id")
    assert taken == {
        "batch": 2,
        "endpoint_id": service.endpoint_id,
        "task_group_id": executor.task_group_id,
    }


async def test_a_batch_in_doubt_that_is_sent_again_is_told_with_its_ids(
    service: LocalService, log: pytest.LogCaptureFixture
):
    async with service.executor() as first:
        await asyncio.wait_for(first.submit(add, 1), TIMEOUT)
        group = first.task_group_id
    async with service.executor(on_uncertain="resubmit", task_group_id=group) as executor:
        service.faults.lose_replies("submit")
        assert await asyncio.wait_for(executor.submit(add, 1), TIMEOUT) == 2
    fields = fields_of(log, "They are submitted again, as was chosen")
    assert fields["batch"] == 1
    assert fields["endpoint_id"] == service.endpoint_id
    assert fields["task_group_id"] == group


async def test_the_stream_of_results_is_told_with_its_group(
    service: LocalService, log: pytest.LogCaptureFixture
):
    async with service.executor() as executor:
        events = executor.events()
        await asyncio.wait_for(executor.submit(add, 1), TIMEOUT)
        group = executor.task_group_id
        assert group is not None
        service.faults.publish(group, b"nonsense")
        await cut_off(service, executor, events)
        for _ in range(250):
            service.faults.publish(group, encode_result(Result(str(uuid4()), "00\ngARLAS4=\n")))
        await asyncio.wait_for(executor.submit(add, 1), TIMEOUT)
    for words in ("is not a result", "come:", "come again", "another process"):
        assert fields_of(log, words) == {"task_group_id": group}


async def test_a_callback_that_fails_is_told_with_its_task(
    service: LocalService, log: pytest.LogCaptureFixture
):
    def break_down(_: object) -> None:
        raise ValueError("on purpose")

    async with service.executor() as executor:
        future = executor.submit(add, 1)
        await asyncio.to_thread(future.add_done_callback, break_down)
        await asyncio.wait_for(future, TIMEOUT)
    assert fields_of(log, "exception calling callback") == {"task_id": future.task_id}


async def test_a_further_try_is_told_with_the_task_that_failed(
    service: LocalService, log: pytest.LogCaptureFixture
):
    async with service.executor() as executor:
        future = executor.options(retries=1, retry_on=TaskExecutionFailed).submit(fail, "no")
        with pytest.raises(TaskExecutionFailed):
            await asyncio.wait_for(future, TIMEOUT)
    fields = fields_of(log, "it is submitted again")
    assert fields["task_id"] not in (None, future.task_id)


async def test_an_executor_that_is_left_in_error_is_told_with_its_group(
    service: LocalService, log: pytest.LogCaptureFixture
):
    with pytest.raises(RuntimeError, match="on purpose"):
        await leave_in_error(service.executor())
    fields = fields_of(log, "leaving with an error")
    assert fields["task_group_id"]


async def leave_in_error(executor: FuncXExecutor) -> None:
    async with executor:
        await executor.submit(add, 1).submitted()
        executor.submit(add, 2)
        raise RuntimeError("on purpose")


async def test_what_an_endpoint_has_is_told_with_its_id(
    service: LocalService, log: pytest.LogCaptureFixture
):
    service.faults.refuse("endpoint", status=403)
    async with service.executor() as executor:
        await asyncio.wait_for(executor.submit(add, 1), TIMEOUT)
    fields = fields_of(log, "Nothing is known of the endpoint")
    assert fields == {"endpoint_id": service.endpoint_id, "request_id": None}
