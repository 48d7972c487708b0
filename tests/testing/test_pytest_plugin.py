"""The fixtures of the package's pytest plugin, in sessions of pytest of their own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytest_plugins = ["pytester"]

INI = """
[pytest]
filterwarnings = error
addopts = -p no:cacheprovider -p no:hypothesispytest --strict-markers
timeout = 120
asyncio_default_fixture_loop_scope = function
"""

WITHOUT_PYTEST_ASYNCIO = INI.replace("asyncio_default_fixture_loop_scope = function", "")

APPLICATION = """
from funcx_async import FuncXExecutor, gather

def cube(x):
    return x**3

async def sweep(numbers):
    async with FuncXExecutor() as executor:
        return await gather(*(executor.submit(cube, number) for number in numbers))
"""

COROUTINES = """
import pytest
from application import cube, sweep
from funcx_async import FuncXExecutor

@pytest.fixture
def anyio_backend():
    return "asyncio"

async def test_an_executor(funcx_executor, funcx_client):
    future = funcx_executor.submit(cube, 3)
    assert await future == 27
    assert (await funcx_client.get_task(future.task_id)).status == "success"

async def test_the_application(funcx_environment):
    assert await sweep([1, 2, 3]) == [1, 8, 27]

async def test_an_executor_of_its_own(funcx_service, funcx_environment):
    async with FuncXExecutor() as executor:
        assert executor.funcx_client.base_url == funcx_service.url
        assert await executor.submit(cube, 2) == 8

async def test_what_goes_wrong(funcx_executor, funcx_faults):
    with funcx_faults.hold_replies("submit") as hold:
        future = funcx_executor.submit(cube, 4)
        await hold.seen()
        await funcx_faults.seen("executed")
        assert not future.done()
    assert await future == 64
    funcx_faults.refuse("submit", retry_after=0)
    assert await funcx_executor.submit(cube, 5) == 125
    assert funcx_faults.count("submit") == 3
    funcx_faults.refuse("submit", status=403)
    funcx_faults.hold_replies("submit")
    funcx_faults.hold_results()

async def test_nothing_is_wrong_any_more(funcx_executor, funcx_faults):
    assert funcx_faults.count("submit") == 0
    assert await funcx_executor.submit(cube, 5) == 125

async def test_a_task_may_be_left_open(funcx_executor, funcx_faults):
    funcx_faults.hold_results()
    await funcx_executor.submit(cube, 6).submitted()
"""

PLAIN = """
import asyncio
import pytest
from application import cube, sweep
from funcx_async import FuncXExecutor, blocking

def test_a_blocking_executor(funcx_blocking_executor):
    assert funcx_blocking_executor.submit(cube, 3).result(20) == 27

def test_the_application(funcx_environment):
    assert asyncio.run(sweep([1, 2, 3])) == [1, 8, 27]

def test_a_blocking_application(funcx_environment):
    with blocking.FuncXExecutor() as executor:
        assert executor.submit(cube, 2).result(20) == 8

def test_an_executor_on_a_loop_of_the_test(funcx_executor):
    async def main():
        return await funcx_executor.submit(cube, 4)
    assert asyncio.run(main()) == 64

def test_what_goes_wrong(funcx_blocking_executor, funcx_faults):
    funcx_faults.refuse("submit", retry_after=0)
    with funcx_faults.hold_results() as hold:
        future = funcx_blocking_executor.submit(cube, 4)
        hold.seen().result(20)
        assert not future.done()
    assert future.result(20) == 64
    assert funcx_faults.count("submit") == 2
"""


@pytest.fixture
def sessions(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """Sessions of pytest that know nothing of the one that runs this."""
    for name in [name for name in os.environ if name.startswith(("PYTEST_", "FUNCX_"))]:
        monkeypatch.delenv(name)
    pytester.makeini(INI)
    pytester.makepyfile(application=APPLICATION)
    return pytester


@pytest.mark.parametrize(
    ("mark", "arguments"),
    [
        pytest.param("anyio", [], id="anyio's plugin, beside pytest-asyncio"),
        pytest.param("asyncio", [], id="pytest-asyncio, strict"),
        pytest.param(
            "",
            ["-o", "asyncio_mode=auto", "-o", "asyncio_default_test_loop_scope=session"],
            id="pytest-asyncio, auto, on one loop for all tests",
        ),
    ],
)
def test_coroutines_find_a_service_an_executor_and_faults(
    sessions: pytest.Pytester, mark: str, arguments: list[str]
):
    marked = f"pytestmark = pytest.mark.{mark}" if mark else ""
    sessions.makepyfile(COROUTINES + marked)
    sessions.runpytest_subprocess(*arguments, timeout=170).assert_outcomes(passed=6)


def test_coroutines_run_by_anyio_alone_on_one_loop_find_them_as_well(sessions: pytest.Pytester):
    sessions.makeini(WITHOUT_PYTEST_ASYNCIO + "anyio_mode = auto")
    wide = """
@pytest.fixture(scope="module")
def anyio_backend():
    return "asyncio"

@pytest.fixture(scope="module", autouse=True)
async def one_loop_for_all_tests():
    yield
"""
    sessions.makepyfile(COROUTINES + wide)
    ended = sessions.runpytest_subprocess("-p", "no:asyncio", timeout=170)
    ended.assert_outcomes(passed=6)


def test_plain_functions_find_them_too(sessions: pytest.Pytester):
    sessions.makepyfile(PLAIN)
    sessions.runpytest_subprocess(timeout=170).assert_outcomes(passed=5)


def test_each_process_of_xdist_has_a_service_of_its_own(sessions: pytest.Pytester):
    marked = "pytestmark = pytest.mark.asyncio"
    sessions.makepyfile(test_coroutines=COROUTINES + marked, test_plain=PLAIN)
    ended = sessions.runpytest_subprocess("-n", "2", "--dist", "loadfile", timeout=170)
    ended.assert_outcomes(passed=11)


def test_all_tests_of_a_session_share_one_service_which_ends_with_it(sessions: pytest.Pytester):
    sessions.makepyfile("""
        from pathlib import Path
        import pytest

        @pytest.fixture(scope="session")
        def funcx_service_options():
            return {"workers": 1, "token": "chosen"}

        @pytest.mark.parametrize("test", [1, 2])
        def test_one(test, funcx_service):
            assert funcx_service.token == "chosen"
            (process_id,) = funcx_service.asynchronous.worker_process_ids
            with Path("seen").open("a") as seen:
                print(funcx_service.url, process_id, file=seen)
    """)
    sessions.runpytest_subprocess(timeout=170).assert_outcomes(passed=2)
    first, second = (sessions.path / "seen").read_text().splitlines()
    assert first == second
    with pytest.raises(ProcessLookupError):
        os.kill(int(first.split()[1]), 0)


def test_a_test_that_fails_harms_no_other(sessions: pytest.Pytester):
    sessions.makepyfile("""
        import pytest
        from application import cube
        pytestmark = pytest.mark.asyncio

        async def test_one(funcx_executor, funcx_faults):
            with funcx_faults.endpoint_offline():
                future = funcx_executor.submit(cube, 2)
                await future.submitted()
                assert future.done()

        async def test_another(funcx_executor):
            assert await funcx_executor.submit(cube, 3) == 27
    """)
    sessions.runpytest_subprocess(timeout=170).assert_outcomes(passed=1, failed=1)


def test_without_the_extra_a_fixture_says_what_to_install_and_all_else_works(
    sessions: pytest.Pytester,
):
    sessions.makeconftest("""
        import sys

        class Absent:
            def find_spec(self, name, path, target=None):
                if name.partition(".")[0] == "starlette":
                    raise ModuleNotFoundError(f"No module named {name!r}", name=name)

        sys.meta_path.insert(0, Absent())
    """)
    sessions.makepyfile("""
        def test_with_a_service(funcx_executor):
            pass

        def test_without():
            pass
    """)
    ended = sessions.runpytest_subprocess(timeout=170)
    ended.assert_outcomes(passed=1, errors=1)
    ended.stdout.fnmatch_lines(["*needs starlette*run: pip install 'funcx-async?local?'*"])
    ended.stdout.no_fnmatch_line("*Traceback*")


def test_a_session_that_uses_no_fixture_imports_nothing_for_the_plugin(sessions: pytest.Pytester):
    sessions.makepyfile("""
        import sys

        def test_it(request):
            assert request.config.pluginmanager.has_plugin("funcx_async")
            assert {name for name in sys.modules if name.startswith("funcx_async")} == {
                "funcx_async", "funcx_async._lazy", "funcx_async.testing",
                "funcx_async.testing.pytest_plugin"
            }
    """)
    sessions.runpytest_subprocess(timeout=170).assert_outcomes(passed=1)


def test_importing_the_plugin_imports_no_library():
    program = """
import sys
import pytest
before = set(sys.modules)
import funcx_async.testing.pytest_plugin
print(*sorted({name.partition(".")[0] for name in set(sys.modules) - before}))
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True
    )
    assert ended.stdout.split() == ["funcx_async"]
