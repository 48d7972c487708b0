"""The blocking executor: what goes in, what comes out, and what is refused at once."""

from __future__ import annotations

import asyncio
import concurrent.futures
import inspect
import threading
from uuid import uuid4

import pytest

import funcx_async
from funcx_async import (
    ExecutorClosed,
    FuncXFuture,
    FuncXSerializer,
    SerializationError,
    TaskExecutionFailed,
)
from funcx_async.blocking import FuncXClient, FuncXExecutor, LocalService
from funcx_async.serialize import JSONData
from tests.executor.tasks import add, collect, fail, later

TIMEOUT = 60


def test_it_is_an_executor_of_the_standard_library(executor: FuncXExecutor):
    assert isinstance(executor, concurrent.futures.Executor)
    future = executor.submit(add, 40, 2)
    assert isinstance(future, FuncXFuture)
    assert future.result(TIMEOUT) == 42
    assert future.task_id is not None


def test_keyword_arguments_may_have_any_name(executor: FuncXExecutor):
    given = {"self": 1, "fn": 2, "args": 3, "kwargs": 4}
    assert executor.submit(collect, 0, **given).result(TIMEOUT) == ((0,), given)


def test_an_async_function_runs_to_its_end(executor: FuncXExecutor):
    assert executor.submit(later, 7).result(TIMEOUT) == 7


def test_a_remote_error_is_raised_by_result(executor: FuncXExecutor):
    future = executor.submit(fail, "too bad")
    with pytest.raises(TaskExecutionFailed, match="ValueError: too bad"):
        future.result(TIMEOUT)
    assert isinstance(future.exception(), TaskExecutionFailed)


def test_wait_and_as_completed_take_its_futures(executor: FuncXExecutor):
    futures = [executor.submit(add, number) for number in range(10)]
    done, open_ones = concurrent.futures.wait(futures, TIMEOUT)
    assert done == set(futures)
    assert not open_ones
    completed = concurrent.futures.as_completed(futures, TIMEOUT)
    assert sorted(future.result() for future in completed) == list(range(1, 11))


def test_a_registered_function_runs_by_its_id(executor: FuncXExecutor):
    function_id = executor.register_function(collect)
    future = executor.submit_to_registered_function(function_id, (1,), {"a": 2})
    assert future.result(TIMEOUT) == ((1,), {"a": 2})


def test_registering_twice_is_a_value_error_and_the_executor_lives_on(executor: FuncXExecutor):
    function_id = executor.register_function(add)
    with pytest.raises(ValueError, match=function_id):
        executor.register_function(add)
    assert executor.submit(add, 1).result(TIMEOUT) == 2


def test_a_function_is_serialized_in_the_thread_that_registers_it(executor: FuncXExecutor):
    seen: list[threading.Thread] = []

    class Telling:
        def __reduce__(self) -> tuple[type, tuple[int]]:
            seen.append(threading.current_thread())
            return int, (5,)

    telling = Telling()
    executor.register_function(lambda: telling)
    assert seen
    assert set(seen) == {threading.current_thread()}


def test_the_tasks_of_an_earlier_executor_are_awaited_again(service: LocalService):
    with service.executor() as first:
        for number in range(5):
            first.submit(add, number)
    with service.executor() as second:
        second.task_group_id = first.task_group_id
        futures = second.reload_tasks()
        assert sorted(future.result(TIMEOUT) for future in futures) == [1, 2, 3, 4, 5]


def test_without_a_group_there_is_nothing_to_reload(executor: FuncXExecutor):
    with pytest.raises(ValueError, match="task group"):
        executor.reload_tasks()


def test_map_is_not_implemented_as_in_the_original(executor: FuncXExecutor):
    with pytest.raises(NotImplementedError, match="submit"):
        executor.map(add, [1], timeout=1, chunksize=1)


# What it can be told ------------------------------------------------------------------------------


def test_what_was_given_can_be_read_and_set(service: LocalService):
    executor = FuncXExecutor(service.endpoint_id, label="mine", batch_size=0)
    assert executor.endpoint_id == service.endpoint_id
    assert (executor.label, executor.batch_size, executor.container_id) == ("mine", 1, None)
    group = str(uuid4())
    executor.task_group_id = group
    executor.batch_size = 5
    executor.label = "yours"
    executor.resource_specification = {"num_nodes": 2}
    executor.user_endpoint_config = {"partition": "debug"}
    executor.result_serializers = ["globus_compute_sdk.serialize.JSONData"]
    assert (executor.task_group_id, executor.batch_size, executor.label) == (group, 5, "yours")
    assert executor.resource_specification == {"num_nodes": 2}
    assert executor.user_endpoint_config == {"partition": "debug"}
    assert executor.result_serializers == ["globus_compute_sdk.serialize.JSONData"]
    with pytest.raises(ValueError, match="endpoint"):
        executor.endpoint_id = "laptop"


def test_everything_public_of_the_async_executor_is_here():
    ours, theirs = set(dir(FuncXExecutor)), set(dir(funcx_async.FuncXExecutor))
    missing = {name for name in theirs - ours if not name.startswith("_")}
    assert missing == {"events"}, "these need a loop"
    assert "label" in ours


def test_its_arguments_are_those_of_the_async_executor():
    ours = inspect.signature(FuncXExecutor).parameters
    theirs = inspect.signature(funcx_async.FuncXExecutor).parameters
    assert list(ours) == [*theirs, "wait_at_exit"]
    assert [ours[name].default for name in theirs] == [p.default for p in theirs.values()]


@pytest.mark.parametrize("name", ["batch_interval", "batch_enabled"])
def test_deprecated_options_warn_in_the_users_own_line(name: str):
    with pytest.warns(DeprecationWarning, match=name) as caught:
        FuncXExecutor(**{name: 1.0})
    assert caught[0].filename == __file__


def test_a_client_that_needs_a_loop_is_refused():
    with pytest.raises(TypeError, match=r"funcx_async\.blocking\.FuncXClient"):
        FuncXExecutor(funcx_client=funcx_async.FuncXClient("http://127.0.0.1:1", auth="x"))


def test_bad_input_is_refused_at_once_and_hurts_nothing_else(executor: FuncXExecutor):
    good = executor.submit(add, 1)
    with pytest.raises(TypeError, match="int"):
        executor.submit(42)
    with pytest.raises(SerializationError, match=r"args\[0\]"):
        executor.submit(collect, (row for row in ()))
    with pytest.raises(ValueError, match="function id"):
        executor.submit_to_registered_function("hello")
    assert good.result(TIMEOUT) == 2


def test_without_an_endpoint_submit_says_so(service: LocalService, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("FUNCX_ASYNC_ENDPOINT_ID", raising=False)
    executor = FuncXExecutor(funcx_client=service.client())
    with pytest.raises(ValueError, match="endpoint"):
        executor.submit(add, 1)
    executor.endpoint_id = service.endpoint_id
    assert executor.submit(add, 1).result(TIMEOUT) == 2
    executor.shutdown()


def test_a_view_has_options_of_its_own(executor: FuncXExecutor):
    elsewhere = executor.options(endpoint_id=str(uuid4()))
    with pytest.raises(Exception, match="ENDPOINT_NOT_FOUND"):
        elsewhere.submit(add, 1).result(TIMEOUT)
    assert executor.submit(add, 1).result(TIMEOUT) == 2


def test_the_repr_is_a_dashboard_and_stats_count(executor: FuncXExecutor):
    assert repr(FuncXExecutor()) == "<FuncXExecutor 0 queued, 0 batches in flight, 0 open>"
    assert executor.stats.done == 0
    executor.submit(add, 1).result(TIMEOUT)
    assert executor.stats.done == 1


def test_executors_share_a_client(service: LocalService):
    with FuncXClient(service.url, auth=service.token) as client:
        with (
            FuncXExecutor(service.endpoint_id, funcx_client=client) as first,
            FuncXExecutor(service.endpoint_id, funcx_client=client) as second,
        ):
            futures = [first.submit(add, 1), second.submit(add, 2)]
        assert [future.result() for future in futures] == [2, 3]
        assert "api" in client.get_version(), "the client that was given is not closed"


# Threads ------------------------------------------------------------------------------------------


def test_many_threads_may_be_the_first_user(executor: FuncXExecutor):
    together = threading.Barrier(8)

    def submit(number: int) -> list[FuncXFuture[int]]:
        together.wait(TIMEOUT)
        return [executor.submit(add, number) for _ in range(10)]

    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        futures = list(threads.map(submit, range(8)))
    for number, of_one in enumerate(futures):
        assert [future.result(TIMEOUT) for future in of_one] == [number + 1] * 10
    assert executor.stats.done == 80, "all went through one session"


def test_each_future_settles_when_threads_submit_during_a_shutdown(service: LocalService):
    executor = service.executor()
    enough = threading.Semaphore(0)

    def submit_until_closed(number: int) -> list[FuncXFuture[int]]:
        futures: list[FuncXFuture[int]] = []
        while True:
            try:
                futures.append(executor.submit(add, number))
            except ExecutorClosed:
                return futures
            enough.release()

    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        submitting = [threads.submit(submit_until_closed, number) for number in range(4)]
        for _ in range(100):
            assert enough.acquire(timeout=TIMEOUT)
        executor.shutdown()
        for number, futures in enumerate(call.result(TIMEOUT) for call in submitting):
            _, open_ones = concurrent.futures.wait(futures, TIMEOUT)
            assert not open_ones
            for future in futures:
                error = future.exception()
                assert isinstance(error, ExecutorClosed) or future.result() == number + 1


def test_a_callback_may_submit_and_be_the_first_user(service: LocalService):
    with service.executor() as first, service.executor() as second:
        chained: concurrent.futures.Future[FuncXFuture[int]] = concurrent.futures.Future()

        def submit_next(future: FuncXFuture[int]) -> None:
            chained.set_result(second.submit(add, future.result()))

        first.submit(add, 1).add_done_callback(submit_next)
        assert chained.result(TIMEOUT).result(TIMEOUT) == 3


@pytest.mark.parametrize(
    "wait",
    [
        pytest.param(lambda executor, future: future.result(), id="for a result"),
        pytest.param(lambda executor, future: executor.register_function(add), id="for an answer"),
        pytest.param(lambda executor, future: executor.shutdown(), id="for the end"),
    ],
)
def test_a_callback_that_would_wait_for_itself_is_refused(executor: FuncXExecutor, wait):
    refused: concurrent.futures.Future[str] = concurrent.futures.Future()

    def callback(_: object) -> None:
        other = executor.submit(later, 2)
        try:
            wait(executor, other)
        except RuntimeError as error:
            refused.set_result(str(error))
        else:
            refused.set_result("")

    executor.submit(later, 1).add_done_callback(callback)
    assert "thread" in refused.result(TIMEOUT)


def test_a_callback_may_shut_down_without_waiting(service: LocalService):
    executor = service.executor()
    closed = threading.Event()

    def close(_: object) -> None:
        executor.shutdown(wait=False)
        closed.set()

    future = executor.submit(add, 1)
    future.add_done_callback(close)
    assert closed.wait(TIMEOUT)
    with pytest.raises(ExecutorClosed):
        executor.submit(add, 1)
    executor.shutdown()


# In a notebook, whose thread runs an event loop ---------------------------------------------------


def test_where_a_loop_runs_it_blocks_without_deadlock_and_its_futures_can_be_awaited(
    service: LocalService,
):
    async def cell() -> None:
        with service.executor(max_in_flight=3) as executor:
            assert executor.submit(add, 1).result(TIMEOUT) == 2
            assert executor.register_function(later)
            assert await executor.submit(add, 2) == 3
            assert [n async for n in executor.amap(add, range(9))] == list(range(1, 10))
            view = executor.options(resource_specification={"num_nodes": 2})
            assert [n async for n in view.amap(add, range(9))] == list(range(1, 10))

    asyncio.run(asyncio.wait_for(cell(), TIMEOUT))


async def test_run_in_executor_works(executor: FuncXExecutor):
    loop = asyncio.get_running_loop()
    assert await loop.run_in_executor(executor, add, 1, 2) == 3


def test_what_the_official_executor_can_be_told_can_be_told_here(
    service: LocalService, executor: FuncXExecutor
):
    executor.serializer = serializer = FuncXSerializer()
    executor.amqp_port = None
    executor.result_serializers = [JSONData]
    assert (executor.serializer, executor.amqp_port) == (serializer, None)
    assert executor.submit(divmod, 7, 2).result(TIMEOUT) == [3, 1]
    assert "== processors ==" in executor.get_worker_hardware_details()


def test_the_client_is_a_blocking_one(service: LocalService, environment: dict[str, str]):
    client = service.client()
    assert FuncXExecutor(funcx_client=client).funcx_client is client
    assert FuncXExecutor(client=client).funcx_client is client
    with FuncXExecutor() as executor:
        own = executor.funcx_client
        assert executor.funcx_client is own
        assert own.get_endpoint_status(service.endpoint_id).status == "online"
        assert executor.submit(divmod, 7, 2).result(TIMEOUT) == (3, 1)


def test_a_function_may_be_registered_by_its_source(executor: FuncXExecutor):
    function_id = executor.register_source_code("def double(x):\n    return 2 * x\n", "double")
    future = executor.submit_to_registered_function(function_id, (21,))
    assert future.result(TIMEOUT) == 42
