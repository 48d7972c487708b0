"""What the executor of today's official SDK can be told and asked, and ours as well."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from funcx_async import ExecutorClosed, Forbidden, FuncXClient, FuncXExecutor, FuncXSerializer
from funcx_async.serialize import AllCodeStrategies, DillCode, DillDataBase64, JSONData, PickleCode
from tests.executor.tasks import add

CONCRETES = "globus_compute_sdk.serialize.concretes."


def pair(a: int, b: int) -> tuple[int, int]:
    return a, b


# Ids ----------------------------------------------------------------------------------------------


async def test_ids_may_be_uuids_and_are_kept_as_text(service):
    group = uuid4()
    executor = FuncXExecutor(UUID(service.endpoint_id), task_group_id=group)
    assert (executor.endpoint_id, executor.task_group_id) == (service.endpoint_id, str(group))
    executor.task_group_id = other = uuid4()
    executor.endpoint_id = other
    assert (executor.endpoint_id, executor.task_group_id) == (str(other), str(other))


async def test_a_group_may_be_reloaded_by_its_uuid(service, executor):
    await executor.submit(add, 1)
    async with service.executor() as other:
        (future,) = await other.reload_tasks(UUID(executor.task_group_id))
        assert await future == 2
        assert other.task_group_id == executor.task_group_id


# Serializers --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "strategies",
    [
        pytest.param([JSONData, DillDataBase64], id="classes"),
        pytest.param((JSONData(), DillDataBase64()), id="instances"),
        pytest.param(iter([CONCRETES + "JSONData", DillDataBase64]), id="anything to draw from"),
    ],
)
def test_result_serializers_may_be_named_in_every_way(strategies):
    executor = FuncXExecutor()
    executor.result_serializers = strategies
    assert executor.result_serializers == [CONCRETES + "JSONData", CONCRETES + "DillDataBase64"]


def test_official_strategies_are_known_by_where_they_come_from():
    official = type("JSONData", (), {"__module__": "globus_compute_sdk.serialize.concretes"})
    for given in (official, official()):
        executor = FuncXExecutor(result_serializers=[given])
        assert executor.result_serializers == [CONCRETES + "JSONData"]


@pytest.mark.parametrize(
    ("strategies", "error", "says"),
    [
        pytest.param(["os.system"], ValueError, "os.system", id="unknown path"),
        pytest.param([dict], ValueError, "dict", id="another class"),
        pytest.param([PickleCode], ValueError, "only reads", id="decode only"),
        pytest.param(CONCRETES + "JSONData", TypeError, "a list", id="one alone"),
    ],
)
def test_result_serializers_that_are_none_are_refused_at_once(strategies, error, says):
    with pytest.raises(error, match=says):
        FuncXExecutor(result_serializers=strategies)
    executor = FuncXExecutor(result_serializers=[JSONData])
    with pytest.raises(error, match=says):
        executor.result_serializers = strategies
    assert executor.result_serializers == [CONCRETES + "JSONData"]


async def test_the_endpoint_writes_results_as_was_asked_for(executor):
    assert await executor.submit(pair, 1, 2) == (1, 2)
    executor.result_serializers = [JSONData]
    assert await executor.submit(pair, 1, 2) == [1, 2]
    executor.result_serializers = None
    assert await executor.submit(pair, 1, 2) == (1, 2)


async def test_another_serializer_counts_from_the_next_submit(service, executor):
    assert await executor.submit(pair, 1, 2) == (1, 2)
    registered = service.faults.count("register")
    executor.serializer = serializer = FuncXSerializer(DillCode, JSONData)
    assert executor.serializer is serializer
    assert await executor.submit(pair, (1,), 2) == ([1], 2), "the arguments went as JSON"
    assert service.faults.count("register") == registered + 1, "as the new serializer writes it"


async def test_what_a_serializer_may_not_read_is_not_asked_for(executor):
    executor.serializer = FuncXSerializer(allowed_deserializers=[JSONData])
    assert executor.result_serializers == [CONCRETES + "JSONData"]
    assert await executor.submit(pair, 1, 2) == [1, 2]
    executor.result_serializers = [DillDataBase64, JSONData]
    assert executor.result_serializers == [CONCRETES + "DillDataBase64", CONCRETES + "JSONData"]
    executor.serializer = FuncXSerializer()
    assert len(executor.result_serializers) == 2, "the user's own choice stays"
    executor.result_serializers = None
    assert executor.result_serializers is None
    executor.serializer = FuncXSerializer(AllCodeStrategies, allowed_deserializers=[JSONData])
    assert executor.result_serializers == [CONCRETES + "JSONData"]


def test_only_a_serializer_is_one():
    executor = FuncXExecutor()
    with pytest.raises(TypeError, match="FuncXSerializer"):
        executor.serializer = "json"
    assert isinstance(executor.serializer, FuncXSerializer)


# Source -------------------------------------------------------------------------------------------

SOURCE = """
FACTOR = 2

def times(x):
    return FACTOR * x
"""


async def test_a_function_may_be_registered_by_its_source(executor):
    function_id = await executor.register_source_code(SOURCE, "times", description="doubles")
    assert await executor.submit_to_registered_function(function_id, (21,)) == 42
    document = await executor.funcx_client.get_function(function_id)
    assert (document.function_name, document.description) == ("times", "doubles")


async def test_source_is_registered_once(executor):
    function_id = await executor.register_source_code(SOURCE, "times")
    with pytest.raises(ValueError, match=f"cache already, as {function_id}"):
        await executor.register_source_code(SOURCE, "times")
    assert await executor.submit(add, 1) == 2


async def test_source_that_was_refused_may_be_registered_anew(service, executor):
    service.faults.refuse("register", status=403)
    with pytest.raises(Forbidden):
        await executor.register_source_code(SOURCE, "times")
    assert await executor.register_source_code(SOURCE, "times")


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        pytest.param((b"def f(): pass", "f"), TypeError, "text", id="bytes"),
        pytest.param((SOURCE, "not a name"), ValueError, "not a name", id="no name"),
    ],
)
async def test_what_is_no_source_is_refused_at_once(executor, given, error, says):
    with pytest.raises(error, match=says):
        await executor.register_source_code(*given)


async def test_no_source_is_registered_after_shutdown(service):
    executor = service.executor()
    await executor.shutdown()
    with pytest.raises(ExecutorClosed):
        await executor.register_source_code(SOURCE, "times")


# The rest -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["resource_specification", "user_endpoint_config"])
@pytest.mark.parametrize("value", [[1], "x", {"a": object()}, {"a": float("nan")}])
def test_what_is_no_json_object_is_refused_when_it_is_set(name, value):
    with pytest.raises(TypeError, match=name):
        FuncXExecutor(**{name: value})
    executor = FuncXExecutor()
    with pytest.raises(TypeError, match=name):
        setattr(executor, name, value)
    assert getattr(executor, name) is None


async def test_the_port_of_result_queues_may_be_set_until_they_are_connected_to(service):
    before = service.faults.count("batch_status")
    async with service.executor(amqp_port=9, result_transport="amqp") as executor:
        assert executor.amqp_port == 9
        executor.amqp_port = None
        assert await executor.submit(add, 1) == 2
        assert executor.stats.reconnects == 0
    assert service.faults.count("batch_status") == before


@pytest.mark.parametrize(
    ("port", "error"), [("443", TypeError), (0, ValueError), (65536, ValueError)]
)
def test_what_is_no_port_is_refused(port, error):
    executor = FuncXExecutor()
    with pytest.raises(error, match="amqp_port"):
        executor.amqp_port = port
    assert executor.amqp_port is None


async def test_the_client_can_be_asked_for(service):
    client = service.client()
    executor = FuncXExecutor(service.endpoint_id, funcx_client=client)
    assert executor.funcx_client is client


async def test_a_client_of_its_own_is_one_and_ends_with_the_executor(service, environment):
    async with FuncXExecutor() as executor:
        client = executor.funcx_client
        assert isinstance(client, FuncXClient)
        assert executor.funcx_client is client
        assert client.base_url == service.url
        assert await executor.submit(add, 1) == 2


async def test_a_worker_tells_of_its_machine(executor):
    report = await executor.get_worker_hardware_details()
    titles = [line for line in report.splitlines() if line.startswith("== ")]
    assert titles == [
        "== python ==",
        "== processors ==",
        "== memory ==",
        "== disks ==",
        "== graphics ==",
    ]
    assert "cores: " in report
