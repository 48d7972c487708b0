"""What may be imported from the package, and who in it imports whom."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
import textwrap
from collections.abc import Callable
from graphlib import TopologicalSorter
from importlib.metadata import version
from pathlib import Path

import pytest

import funcx_async
import funcx_async.blocking

PACKAGE = Path(funcx_async.__file__).parent

PUBLIC = [
    "AllCodeStrategies",
    "AllDataStrategies",
    "AnswerIncomplete",
    "AnswerLost",
    "AnswerNotUnderstood",
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
    "JournalUnusable",
    "NotFound",
    "PickleCode",
    "PureSourceDill",
    "PureSourceTextInspect",
    "RequestRefused",
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

LEVELS = [
    "confined tracebacks",
    "cancellation codes environments errors events interpreter lazy logins models",
    "answers core documents html outcomes proxies refusals serialize versions",
    "batch futures hardware messages registration transports",
    "auth dialects journal observer runtime threads",
    "rest settings telemetry",
    "routes",
    "client",
    "results",
    "contract session",
    "doctor executor",
    "__init__ fastapi local",
    "blocking cli repl",
    "__main__ fixtures",
    "_pyinstaller pytest_plugin",
]
LEVEL_OF = {module: level for level, modules in enumerate(LEVELS) for module in modules.split()}


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
    "make",
    [
        pytest.param(funcx_async.FuncXExecutor, id="async"),
        pytest.param(funcx_async.blocking.FuncXExecutor, id="blocking"),
    ],
)
def test_the_signature_of_an_executor_shows_its_options(make: Callable[..., object]):
    parameters = inspect.signature(make).parameters.values()
    assert [each.name for each in parameters if each.kind is each.KEYWORD_ONLY] == OPTIONS
    assert not [each for each in parameters if each.kind is each.VAR_KEYWORD]
    with pytest.raises(TypeError, match="unexpected keyword argument 'max_inflight'"):
        make(max_inflight=1)


def test_the_version_is_that_of_the_distribution():
    assert funcx_async.__version__ == version("funcx-async")


def test_a_name_that_is_not_public_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Manager'"):
        funcx_async.Manager  # noqa: B018


def top_level(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def named(path: Path) -> set[str]:
    """The modules that a file imports, whatever of it runs when."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            base = node.module or ""
            names |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
    return names


def imported(path: Path) -> set[str]:
    """The modules of this package, by their names at its top level, that a file imports."""
    parts = [name.split(".") for name in named(path)]
    modules = {name[1] for name in parts if name[0] == "funcx_async" and len(name) > 1}
    return {module if module in LEVEL_OF else "__init__" for module in modules}


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, id=str(path.relative_to(PACKAGE))) for path in PACKAGE.rglob("*.py")],
)
def test_a_module_imports_from_lower_levels_only(path: Path):
    own = top_level(path)
    for other in imported(path) - {own}:
        assert LEVEL_OF[other] < LEVEL_OF[own], f"{own} must not import {other}"


def test_no_module_of_a_package_imports_itself_by_way_of_others():
    homes = {
        ".".join(("funcx_async", *path.relative_to(PACKAGE).with_suffix("").parts)): path
        for path in PACKAGE.rglob("*.py")
        if path.name != "__init__.py"
    }
    graph = {home: (named(path) & homes.keys()) - {home} for home, path in homes.items()}
    assert set(TopologicalSorter(graph).static_order()) == set(homes)


def test_every_module_has_a_level():
    modules = {top_level(path) for path in PACKAGE.rglob("*.py")}
    assert modules == set(LEVEL_OF)


def test_the_core_knows_nothing_of_loops_threads_clocks_and_sockets():
    forbidden = {"asyncio", "threading", "time", "socket", "concurrent", "httpx", "random", "anyio"}
    for path in (PACKAGE / "core").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
            assert not {name.split(".")[0] for name in names} & forbidden, path
            assert not isinstance(node, ast.Await | ast.AsyncFunctionDef), path


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
