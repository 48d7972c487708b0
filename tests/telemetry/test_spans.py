"""Spans: one for each task from submit to its settling, one for each request that submits."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.trace import SpanKind, StatusCode

from funcx_async import ExecutorClosed, Forbidden, FuncXExecutor, TaskExecutionFailed, gather
from funcx_async.blocking import FuncXExecutor as BlockingExecutor
from funcx_async.blocking import LocalService as BlockingService
from funcx_async.local import LocalService
from funcx_async.telemetry import Telemetry
from tests.executor.tasks import add, fail
from tests.telemetry.conftest import Seen

TIMEOUT = 60


def attributes_of(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def id_of(span: ReadableSpan) -> int:
    return span.get_span_context().span_id


def linked_from(span: ReadableSpan) -> list[int]:
    return [link.context.span_id for link in span.links]


async def test_a_task_is_a_child_of_the_span_it_was_submitted_in_until_it_is_settled(
    service: LocalService, seen: Seen
):
    async with service.executor(telemetry=seen.telemetry()) as executor:
        with seen.tracer.start_as_current_span("request"):
            future = executor.submit(add, 1, 2)
        with service.faults.hold_results() as hold:
            await asyncio.wait_for(hold.seen(), TIMEOUT)
            assert not seen.spans("run add")
        assert await asyncio.wait_for(future, TIMEOUT) == 3
        (span,), (request,) = seen.spans("run add"), seen.spans("request")
        function_id = await executor.register_function(fail)
        await asyncio.wait_for(
            executor.submit_to_registered_function(function_id, ("no",)).submitted(), TIMEOUT
        )
    assert span.parent is not None
    assert span.parent.span_id == id_of(request)
    assert span.kind is SpanKind.CLIENT
    assert span.status.status_code is StatusCode.UNSET
    attributes = attributes_of(span)
    assert attributes.pop("funcx.function.id")
    assert attributes == {
        "faas.invoked_name": "add",
        "faas.invoked_provider": "funcx",
        "funcx.endpoint.id": service.endpoint_id,
        "funcx.task.id": future.task_id,
        "funcx.task_group.id": executor.task_group_id,
        "funcx.batch": 1,
        "funcx.outcome": "succeeded",
    }
    (by_id,) = seen.spans("run")
    assert attributes_of(by_id)["funcx.function.id"] == function_id


async def test_a_batch_and_its_tasks_are_linked(service: LocalService, seen: Seen):
    async with service.executor(telemetry=seen.telemetry(), batch_size=3) as executor:
        await asyncio.wait_for(gather(*(executor.submit(add, n) for n in range(5))), TIMEOUT)
    batches, tasks = seen.spans("submit batch"), seen.spans("run add")
    assert [attributes_of(batch)["messaging.batch.message_count"] for batch in batches] == [3, 2]
    for number, batch in enumerate(batches, 1):
        own = [task for task in tasks if attributes_of(task)["funcx.batch"] == number]
        assert sorted(linked_from(batch)) == sorted(map(id_of, own))
        assert {tuple(linked_from(task)) for task in own} == {(id_of(batch),)}
        assert batch.parent is None
        attributes = attributes_of(batch)
        assert attributes["funcx.batch"] == number
        assert attributes["messaging.destination.name"] == service.endpoint_id
        assert attributes["funcx.task_group.id"] == executor.task_group_id
        assert service.url == f"http://{attributes['server.address']}:{attributes['server.port']}"
        assert attributes["funcx.request.id"]


async def test_a_failure_is_told_by_its_kind_and_nothing_that_may_be_secret_is(
    service: LocalService, seen: Seen
):
    secret = "the-launch-code"
    async with service.executor(telemetry=seen.telemetry()) as executor:
        with pytest.raises(TaskExecutionFailed, match=secret):
            await asyncio.wait_for(executor.submit(fail, secret), TIMEOUT)
        assert await asyncio.wait_for(executor.submit(str.upper, secret), TIMEOUT)
    (failed,) = seen.spans("run fail")
    assert failed.status.status_code is StatusCode.ERROR
    assert failed.status.description is None
    assert not failed.events
    assert attributes_of(failed)["error.type"] == "TaskExecutionFailed"
    assert attributes_of(failed)["funcx.outcome"] == "failed"
    told = seen.everything().lower()
    assert "taskexecutionfailed" in told
    assert secret not in told
    assert service.token.lower() not in told


async def test_a_refusal_is_told_of_the_request_and_of_its_tasks(service: LocalService, seen: Seen):
    async with service.executor(telemetry=seen.telemetry()) as executor:
        service.faults.refuse("submit", status=403, code="NOT_YOURS")
        with pytest.raises(Forbidden):
            await asyncio.wait_for(executor.submit(add, 1), TIMEOUT)
    for span in seen.spans("submit batch") + seen.spans("run add"):
        assert span.status.status_code is StatusCode.ERROR
        attributes = attributes_of(span)
        assert attributes["error.type"] == "Forbidden"
        assert attributes["http.response.status_code"] == 403
        assert attributes["funcx.error.code"] == "NOT_YOURS"


async def test_a_task_that_is_sent_again_is_linked_to_each_request(
    service: LocalService, seen: Seen
):
    async with service.executor(telemetry=seen.telemetry()) as executor:
        service.faults.refuse("submit", status=503, retry_after=0)
        assert await asyncio.wait_for(executor.submit(add, 1), TIMEOUT) == 2
    refused, taken = seen.spans("submit batch")
    (task,) = seen.spans("run add")
    assert attributes_of(refused)["error.type"] == "ServiceUnavailable"
    assert attributes_of(task)["funcx.batch"] == attributes_of(taken)["funcx.batch"] == 2
    assert linked_from(task) == [id_of(refused), id_of(taken)]


async def test_the_tries_of_a_task_are_one_span_linked_to_each_request(
    service: LocalService, seen: Seen
):
    async with service.executor(telemetry=seen.telemetry()) as executor:
        patient = executor.options(retries=1, retry_on=TaskExecutionFailed)
        with pytest.raises(TaskExecutionFailed):
            await asyncio.wait_for(patient.submit(fail, "no"), TIMEOUT)
    (task,), batches = seen.spans("run fail"), seen.spans("submit batch")
    assert linked_from(task) == [id_of(batch) for batch in batches]
    assert len(batches) == 2
    assert seen.total("funcx.tasks.submitted") == seen.total("funcx.tasks.settled") == 1
    assert seen.total("funcx.tasks.retried") == 1


async def test_what_is_cancelled_or_given_up_ends_its_span(service: LocalService, seen: Seen):
    executor = service.executor(telemetry=seen.telemetry())
    cancelled = executor.submit(add, 1)
    assert cancelled.cancel()
    with service.faults.hold_results() as hold:
        left = executor.submit(add, 2)
        await asyncio.wait_for(hold.seen(), TIMEOUT)
        await executor.shutdown(wait=False)
        left.give_up()
    await asyncio.wait_for(executor.shutdown(), TIMEOUT)
    spans = seen.spans("run add")
    assert [attributes_of(span)["funcx.outcome"] for span in spans] == ["cancelled"] * 2
    assert [span.status.status_code for span in spans] == [StatusCode.UNSET] * 2


def test_the_tasks_of_a_loop_that_ends_are_told_to_have_failed(seen: Seen):
    with BlockingService(workers=1) as service:

        async def leave() -> None:
            client = service.client().asynchronous
            executor = FuncXExecutor(
                service.endpoint_id, funcx_client=client, telemetry=seen.telemetry()
            )
            executor.submit(add, 1)

        asyncio.run(leave())
    (span,) = seen.spans("run add")
    assert attributes_of(span)["error.type"] == ExecutorClosed.__name__


def test_a_blocking_executor_tells_as_well_from_whatever_thread(seen: Seen):
    with BlockingService(workers=1) as service:
        client = service.client()
        with (
            BlockingExecutor(
                service.endpoint_id, funcx_client=client, telemetry=seen.telemetry()
            ) as executor,
            seen.tracer.start_as_current_span("request"),
        ):
            futures = [executor.submit(add, number) for number in range(50)]
            assert [future.result(TIMEOUT) for future in futures] == list(range(1, 51))
    (request,) = seen.spans("request")
    tasks = seen.spans("run add")
    assert len(tasks) == 50
    assert {task.parent.span_id for task in tasks if task.parent} == {id_of(request)}


async def test_a_processor_that_fails_harms_no_task(
    service: LocalService, seen: Seen, caplog: pytest.LogCaptureFixture
):
    class Broken(SpanProcessor):
        def on_start(self, span: object, parent_context: object = None) -> None:
            raise RuntimeError("on purpose")

    seen.tracer_provider.add_span_processor(Broken())
    async with service.executor(telemetry=seen.telemetry()) as executor:
        assert await asyncio.wait_for(executor.submit(add, 1), TIMEOUT) == 2
    assert any("on purpose" in (record.exc_text or "") for record in caplog.records)


def test_what_is_no_observer_is_a_type_error():
    with pytest.raises(TypeError, match="Telemetry"):
        FuncXExecutor(telemetry=True)  # type: ignore[typeddict-item]
    assert FuncXExecutor(telemetry=Telemetry()).stats.open == 0


def test_an_executor_without_telemetry_imports_nothing_of_it():
    program = """
        import sys
        from funcx_async.blocking import LocalService
        with LocalService(workers=1) as service, service.executor() as executor:
            assert executor.submit(pow, 2, 5).result(20) == 32
        loaded = {name for name in sys.modules if "telemetry" in name}
        assert not loaded, loaded
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True, timeout=50)


def test_without_the_extra_the_error_names_what_to_install():
    program = """
        import sys
        sys.modules["opentelemetry"] = None
        import funcx_async.telemetry
        try:
            funcx_async.telemetry.Telemetry
        except ImportError as error:
            print(error)
    """
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        check=True,
        timeout=50,
    )
    assert "pip install 'funcx-async[otel]'" in ended.stdout
