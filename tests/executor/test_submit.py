"""Submitting: what goes in, what comes out, and what is refused at once."""

from __future__ import annotations

import asyncio
import gc
from uuid import uuid4

import pytest

from funcx_async import (
    FuncXExecutor,
    SerializationError,
    TaskExecutionFailed,
    TooManyOpenTasks,
    gather,
)
from funcx_async._session import submitter
from funcx_async.local import LocalService
from tests.executor.tasks import add, collect, fail, later, size_of

HELLO_WORLD = "b0a5d1a0-2b22-4381-b899-ba73321e41e0"


async def test_a_function_of_a_users_module_runs_and_its_result_is_awaited(executor):
    assert await executor.submit(add, 40, 2) == 42


async def test_keyword_arguments_may_have_any_name(executor):
    given = {"self": 1, "fn": 2, "args": 3, "kwargs": 4, "target": 5}
    assert await executor.submit(collect, 0, **given) == ((0,), given)


async def test_an_async_function_runs_to_its_end(executor):
    assert await executor.submit(later, 7) == 7


async def test_a_remote_error_carries_the_remote_traceback(executor):
    future = executor.submit(fail, "too bad")
    with pytest.raises(TaskExecutionFailed) as caught:
        await future
    error = caught.value
    assert "ValueError: too bad" in error.remote_data
    assert error.task_id == future.task_id
    assert error.completion_t is not None
    assert float(error.completion_t) > 1_700_000_000
    assert "ValueError: too bad" in str(error)


async def test_changing_an_argument_after_submit_changes_nothing(executor):
    numbers = [1, 2]
    future = executor.submit(collect, numbers)
    numbers.append(3)
    assert await future == (([1, 2],), {})


async def test_the_future_has_its_task_id_once_the_service_has_the_task(executor):
    future = executor.submit(add, 1)
    assert future.task_id is None
    assert await future.submitted() == future.task_id
    assert (await future.status()).task_id == future.task_id
    await future


async def test_submissions_of_one_moment_go_in_one_batch(executor):
    futures = [executor.submit(add, number) for number in range(50)]
    assert await gather(*futures) == [number + 1 for number in range(50)]
    assert executor.stats.batches == 1


async def test_very_many_submissions_are_taken_in_a_part_at_a_time(executor, monkeypatch):
    monkeypatch.setattr(submitter, "MAX_TAKEN_IN", 3)
    futures = [executor.submit(add, number) for number in range(10)]
    assert await asyncio.wait_for(gather(*futures), 20) == list(range(1, 11))
    assert executor.stats.batches > 1, "the first part went ahead"


async def test_no_batch_is_larger_than_the_batch_size(service: LocalService):
    async with service.executor(batch_size=10) as executor:
        await gather(*(executor.submit(add, number) for number in range(35)))
        assert 4 <= executor.stats.batches <= 35
        executor.batch_size = 0
        assert executor.batch_size == 1
        before = executor.stats.batches
        await gather(*(executor.submit(add, number) for number in range(3)))
        assert executor.stats.batches == before + 3


async def test_a_function_is_registered_once(service, executor):
    before = service.faults.count("register")
    for number in range(3):
        await executor.submit(add, number)
    assert service.faults.count("register") == before + 1


async def test_a_closure_that_changed_is_another_function(executor):
    count = 0

    def current() -> int:
        return count

    first = executor.submit(current)
    count += 1
    second = executor.submit(current)
    assert await gather(first, second) == [0, 1]


async def test_equal_lambdas_register_once(service, executor):
    before = service.faults.count("register")
    futures = [executor.submit(lambda x: x * 2, number) for number in range(20)]
    assert await gather(*futures) == [2 * number for number in range(20)]
    assert service.faults.count("register") == before + 1


async def test_a_registered_function_runs_by_its_id(executor):
    futures = [executor.submit_to_registered_function(HELLO_WORLD) for _ in range(5)]
    assert await gather(*futures) == ["Hello World!"] * 5


async def test_a_registered_function_takes_arguments(executor):
    function_id = await executor.register_function(collect)
    future = executor.submit_to_registered_function(function_id, (1,), {"a": 2})
    assert await future == ((1,), {"a": 2})


async def test_register_function_twice_is_a_value_error_and_the_executor_lives_on(executor):
    function_id = await executor.register_function(add)
    with pytest.raises(ValueError, match=function_id):
        await executor.register_function(add)
    assert await executor.submit(add, 1) == 2


async def test_submit_uses_what_was_registered(service, executor):
    await executor.register_function(add, description="adds", public=True)
    before = service.faults.count("register")
    assert await executor.submit(add, 1) == 2
    assert service.faults.count("register") == before


async def test_a_known_function_id_saves_the_request(service, executor):
    function_id = await executor.register_function(size_of)
    other = service.executor()
    before = service.faults.count("register")
    assert await other.register_function(size_of, function_id) == function_id
    assert await other.submit(size_of, "four") == 4
    assert service.faults.count("register") == before
    await other.shutdown()


async def test_a_registration_that_failed_can_be_tried_again(service, executor):
    service.faults.refuse("register", status=400, code="REQUEST_MALFORMED")
    with pytest.raises(Exception, match="REQUEST_MALFORMED"):
        await executor.register_function(add)
    await executor.register_function(add)
    assert await executor.submit(add, 1) == 2


# From other threads, and as the stdlib does it ----------------------------------------------------


async def test_other_threads_may_submit_once_the_executor_is_bound(executor):
    await executor.submit(add, 0)
    futures = await asyncio.gather(
        *(asyncio.to_thread(executor.submit, add, number) for number in range(8))
    )
    assert await gather(*futures) == [number + 1 for number in range(8)]


async def test_another_thread_may_wait_for_a_result(executor):
    future = executor.submit(add, 1)
    assert await asyncio.to_thread(future.result, 20) == 2


async def test_run_in_executor_works(executor):
    loop = asyncio.get_running_loop()
    assert await loop.run_in_executor(executor, add, 1, 2) == 3


# amap ---------------------------------------------------------------------------------------------


async def test_map_is_not_implemented_and_names_amap(executor):
    with pytest.raises(NotImplementedError, match="amap"):
        executor.map(add, [1])


async def test_amap_gives_results_in_order(executor):
    results = [result async for result in executor.amap(add, range(30), range(30), limit=7)]
    assert results == [2 * number for number in range(30)]


async def test_amap_unordered_gives_each_result_once(executor):
    results = [result async for result in executor.amap(add, range(30), limit=5, ordered=False)]
    assert sorted(results) == list(range(1, 31))


async def test_amap_draws_its_input_as_it_needs_it(executor):
    drawn = []

    def numbers():
        for number in range(1_000_000):
            drawn.append(number)
            yield number

    results = executor.amap(add, numbers(), limit=4)
    assert [await anext(results) for _ in range(3)] == [1, 2, 3]
    await results.aclose()
    assert len(drawn) < 10


async def test_amap_shows_a_bar_where_one_is_asked_for(executor, capsys):
    pytest.importorskip("tqdm")
    results = [result async for result in executor.amap(add, range(3), progress=True)]
    assert results == [1, 2, 3]
    assert "3/3" in capsys.readouterr().err


async def test_amap_raises_the_first_failure_and_no_other_is_logged(
    service: LocalService, caplog: pytest.LogCaptureFixture
):
    async with service.executor() as executor:
        with pytest.raises(TaskExecutionFailed):
            async for _ in executor.amap(fail, "xyz"):
                pass
    gc.collect()
    assert [record for record in caplog.records if record.name == "funcx_async.futures"] == []


async def test_amap_raises_the_first_failure_or_gives_it(executor):
    with pytest.raises(TaskExecutionFailed, match="x"):
        async for _ in executor.amap(fail, "xyz"):
            pass
    errors = [error async for error in executor.amap(fail, "xyz", return_exceptions=True)]
    assert [type(error) for error in errors] == [TaskExecutionFailed] * 3


@pytest.mark.parametrize("arguments", [((), {}), (([1],), {"limit": 0})])
async def test_amap_without_sense_is_refused(executor, arguments):
    iterables, options = arguments
    with pytest.raises(ValueError, match="amap"):
        await anext(executor.amap(add, *iterables, **options))


# Options ------------------------------------------------------------------------------------------


async def test_a_view_has_options_of_its_own(service, executor):
    elsewhere = executor.options(endpoint_id=str(uuid4()))
    with pytest.raises(Exception, match="ENDPOINT_NOT_FOUND"):
        await elsewhere.submit(add, 1)
    assert await executor.submit(add, 1) == 2
    wants = executor.options(resource_specification={"num_nodes": 2})
    assert await wants.submit(add, 2) == 3
    assert [result async for result in wants.amap(add, [1, 2])] == [2, 3]


async def test_a_task_keeps_what_it_was_submitted_with(service: LocalService):
    executor = service.executor()
    future = executor.submit(add, 1)
    executor.endpoint_id = uuid4()
    assert await future == 2
    executor.endpoint_id = service.endpoint_id
    assert await executor.submit(add, 2) == 3
    await executor.shutdown()


async def test_beyond_max_in_flight_submit_refuses_and_amap_waits(service: LocalService):
    async with service.executor(max_in_flight=2) as executor:
        with service.faults.endpoint_offline():
            futures = [executor.submit(add, number) for number in range(2)]
            with pytest.raises(TooManyOpenTasks, match="max_in_flight"):
                executor.submit(add, 3)
        assert await gather(*futures) == [1, 2]
        assert [n async for n in executor.amap(add, range(9))] == list(range(1, 10))


# Misuse is told at once, and hurts nothing else --------------------------------------------------


async def test_what_is_not_callable_is_a_type_error(executor):
    with pytest.raises(TypeError, match="int"):
        executor.submit(42)
    assert await executor.submit(add, 1) == 2


async def test_an_argument_that_cannot_travel_is_named(executor):
    good = executor.submit(add, 1)
    with pytest.raises(SerializationError, match=r"args\[1\]\['rows'\]"):
        executor.submit(collect, 0, {"rows": (row for row in ())})
    with pytest.raises(SerializationError, match=r"kwargs\['rows'\]"):
        executor.submit(collect, rows=(row for row in ()))
    assert await good == 2
    assert await executor.submit(add, 2) == 3


async def test_a_task_too_large_for_the_service_is_refused_here(executor):
    with pytest.raises(SerializationError, match="10,000,000"):
        executor.submit(size_of, "x" * 11_000_000)
    assert await executor.submit(size_of, "x" * 1_000_000) == 1_000_000


async def test_large_tasks_are_cut_into_batches_that_the_service_takes(executor):
    futures = [executor.submit(size_of, "x" * 3_000_000) for _ in range(4)]
    assert await gather(*futures) == [3_000_000] * 4
    assert executor.stats.batches >= 2


async def test_without_an_endpoint_submit_says_so(service, monkeypatch):
    monkeypatch.delenv("FUNCX_ASYNC_ENDPOINT_ID", raising=False)
    executor = service.executor(endpoint_id=None)
    with pytest.raises(ValueError, match="endpoint"):
        executor.submit(add, 1)
    executor.endpoint_id = service.endpoint_id
    assert await executor.submit(add, 1) == 2
    await executor.shutdown()


async def test_the_endpoint_of_the_environment_is_the_default(service, monkeypatch):
    monkeypatch.setenv("FUNCX_ASYNC_ENDPOINT_ID", service.endpoint_id)
    async with service.executor(endpoint_id=None) as executor:
        assert await executor.submit(add, 1) == 2


@pytest.mark.parametrize("endpoint_id", ["", "laptop", "4b116d3c-1703", 5])
def test_a_malformed_endpoint_id_is_refused_when_it_is_set(endpoint_id):
    with pytest.raises(ValueError, match="endpoint"):
        FuncXExecutor(endpoint_id)
    executor = FuncXExecutor()
    with pytest.raises(ValueError, match="endpoint"):
        executor.endpoint_id = endpoint_id
    assert executor.endpoint_id is None


@pytest.mark.parametrize("batch_size", ["128", 1.5, None, True])
def test_a_batch_size_must_be_an_integer(batch_size):
    with pytest.raises(TypeError, match="batch_size"):
        FuncXExecutor(batch_size=batch_size)
    executor = FuncXExecutor()
    with pytest.raises(TypeError, match="batch_size"):
        executor.batch_size = batch_size


@pytest.mark.parametrize("batch_size", [1, 0, -5])
def test_a_batch_size_below_one_is_one(batch_size):
    assert FuncXExecutor(batch_size=batch_size).batch_size == 1


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        pytest.param({"bach_size": 5}, TypeError, "bach_size", id="unknown"),
        pytest.param({"amqp_port": "443"}, TypeError, "amqp_port", id="port as text"),
        pytest.param({"max_in_flight": 0}, ValueError, "max_in_flight", id="no task at all"),
        pytest.param({"retry_deadline": -1}, ValueError, "retry_deadline", id="negative"),
        pytest.param({"on_uncertain": "hope"}, ValueError, "resubmit", id="choice"),
        pytest.param({"result_transport": "pigeon"}, ValueError, "polling", id="transport"),
        pytest.param({"serializer": "json"}, TypeError, "FuncXSerializer", id="serializer"),
        pytest.param({"task_group_id": 5}, TypeError, "task group", id="group"),
        pytest.param({"container_id": "c"}, ValueError, "containers", id="container"),
    ],
)
def test_options_are_checked_when_they_are_given(options, error, says):
    with pytest.raises(error, match=says):
        FuncXExecutor(**options)


async def test_the_client_may_be_given_by_the_name_of_the_official_sdk(service):
    async with service.client() as client:
        async with FuncXExecutor(service.endpoint_id, client=client) as executor:
            assert executor.funcx_client is client
            assert await asyncio.wait_for(executor.submit(add, 1), 20) == 2
        with pytest.raises(TypeError, match="another name of funcx_client"):
            FuncXExecutor(funcx_client=client, client=client)


async def test_options_cannot_be_changed_behind_the_executors_back():
    given = {"num_nodes": 1}
    executor = FuncXExecutor(resource_specification=given)
    given["num_nodes"] = 4
    assert executor.resource_specification == {"num_nodes": 1}
    with pytest.raises(TypeError):
        executor.resource_specification["num_nodes"] = 4  # type: ignore[index]


@pytest.mark.parametrize("name", ["batch_interval", "batch_enabled"])
@pytest.mark.parametrize("value", [1.0, None, False])
def test_deprecated_options_warn_and_do_nothing(name, value):
    with pytest.warns(DeprecationWarning, match=name):
        FuncXExecutor(**{name: value})


@pytest.mark.parametrize("function_id", ["hello", "", None])
async def test_a_malformed_function_id_is_refused_at_once(executor, function_id):
    with pytest.raises(ValueError, match="function id"):
        executor.submit_to_registered_function(function_id)


def test_the_repr_is_a_dashboard():
    assert repr(FuncXExecutor()) == "<FuncXExecutor 0 queued, 0 batches in flight, 0 open>"
    assert repr(FuncXExecutor(label="mine")).startswith("<FuncXExecutor 'mine' 0 queued")
