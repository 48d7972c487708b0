"""What may be imported from the package, and who in it imports whom."""

from __future__ import annotations

import inspect
import subprocess
import sys
import textwrap
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest

import funcx_async
import funcx_async.blocking

PACKAGE = Path(funcx_async.__file__).parent

PUBLIC = [
    "AllCodeStrategies",
    "AllDataStrategies",
    "AuthenticationFailed",
    "CombinedCode",
    "DeserializationError",
    "DillCode",
    "DillCodeSource",
    "DillCodeTextInspect",
    "DillDataBase64",
    "EventKind",
    "ExecutorClosed",
    "ExecutorEvent",
    "Explanation",
    "Forbidden",
    "FuncXClient",
    "FuncXError",
    "FuncXExecutor",
    "FuncXFuture",
    "FuncXSerializer",
    "FuncxTaskExecutionFailed",
    "JSONData",
    "JournalError",
    "NotFound",
    "PickleCode",
    "PureSourceDill",
    "PureSourceTextInspect",
    "RequestRefused",
    "ResponseIncomplete",
    "ResponseLost",
    "ResponseNotUnderstood",
    "ResultExpired",
    "SerializationError",
    "ServiceUnavailable",
    "SubmitUncertain",
    "TaskExecutionFailed",
    "TaskPending",
    "TaskTimedOut",
    "TooLarge",
    "TooManyOpenTasks",
    "VersionMismatch",
    "as_completed",
    "explain",
    "gather",
    "send_by_reference",
    "send_by_value",
]


def test_the_public_names_are_these():
    assert sorted(funcx_async.__all__) == PUBLIC
    assert sorted(dir(funcx_async)) == PUBLIC
    for name in PUBLIC:
        assert getattr(funcx_async, name).__name__ == (
            "TaskExecutionFailed" if name == "FuncxTaskExecutionFailed" else name
        )


EXECUTOR = {
    "amap",
    "amqp_port",
    "batch_size",
    "confirm",
    "container_id",
    "endpoint_id",
    "events",
    "funcx_client",
    "get_worker_hardware_details",
    "label",
    "map",
    "options",
    "register_function",
    "register_source_code",
    "reload_tasks",
    "resource_specification",
    "result_serializers",
    "resume",
    "serializer",
    "shutdown",
    "stats",
    "submit",
    "submit_to_registered_function",
    "task_group_id",
    "user_endpoint_config",
}
VIEW = {"amap", "map", "options", "submit", "submit_to_registered_function"}


def test_executors_show_only_what_users_are_to_call():
    executor, blocking = funcx_async.FuncXExecutor(), funcx_async.blocking.FuncXExecutor()
    assert shown(executor) == shown(blocking.asynchronous) == EXECUTOR
    assert shown(blocking) == EXECUTOR - {"events"} | {"asynchronous"}
    assert shown(executor.options()) == shown(blocking.options()) == VIEW


def shown(obj: object) -> set[str]:
    return {name for name in dir(obj) if not name.startswith("_")}


OPTIONS = [
    "client",
    "batch_interval",
    "batch_enabled",
    "resource_specification",
    "user_endpoint_config",
    "result_serializers",
    "serializer",
    "amqp_port",
    "max_in_flight",
    "retry_deadline",
    "on_uncertain",
    "reconcile_interval",
    "result_transport",
    "journal",
    "telemetry",
]


@pytest.mark.parametrize(
    ("make", "options"),
    [
        pytest.param(funcx_async.FuncXExecutor, OPTIONS, id="async"),
        pytest.param(funcx_async.blocking.FuncXExecutor, [*OPTIONS, "wait_at_exit"], id="blocking"),
    ],
)
def test_the_signature_of_an_executor_shows_its_options(
    make: Callable[..., object], options: list[str]
):
    parameters = inspect.signature(make).parameters.values()
    assert [each.name for each in parameters if each.kind is each.KEYWORD_ONLY] == options
    assert not [each for each in parameters if each.kind is each.VAR_KEYWORD]
    with pytest.raises(TypeError, match="unexpected keyword argument 'max_inflight'"):
        make(max_inflight=1)


def test_the_version_is_that_of_the_distribution():
    assert funcx_async.__version__ == version("funcx-async")


def test_a_name_that_is_not_public_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Manager'"):
        funcx_async.Manager  # noqa: B018


def test_importing_starts_nothing_and_needs_no_extra():
    program = textwrap.dedent("""
        import sys, threading
        for extra in ("starlette", "uvicorn", "tqdm", "fastapi", "globus_sdk", "opentelemetry"):
            sys.modules[extra] = None
        import funcx_async
        assert "httpx" not in sys.modules
        funcx_async.FuncXExecutor()
        assert threading.active_count() == 1
    """)
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)


@pytest.mark.parametrize(
    ("name", "missing", "told"),
    [
        pytest.param(
            "local.LocalService",
            "uvicorn",
            "the local service needs uvicorn, which is not installed; "
            "run: pip install 'funcx-async[local]'",
            id="local",
        ),
        pytest.param(
            "fastapi.task_router",
            "fastapi",
            "funcx_async.fastapi needs fastapi, which is not installed; "
            "run: pip install 'funcx-async[fastapi]'",
            id="fastapi",
        ),
        pytest.param(
            "telemetry.Telemetry",
            "opentelemetry",
            "telemetry needs opentelemetry-api, which is not installed; "
            "run: pip install 'funcx-async[otel]'",
            id="otel",
        ),
    ],
)
def test_what_an_extra_is_for_says_how_to_install_it(name: str, missing: str, told: str):
    module, _, own = name.partition(".")
    program = textwrap.dedent(f"""
        import sys
        sys.modules[{missing!r}] = None
        import funcx_async.{module} as asked
        try:
            asked.{own}
        except ImportError as error:
            print(error)
    """)
    ended = subprocess.run(
        [sys.executable, "-c", program], check=True, timeout=30, capture_output=True, text=True
    )
    assert ended.stdout == f"{told}\n"
