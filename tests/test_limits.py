"""What hangs is one failure, and the tests beside it pass."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

INI = """
[pytest]
addopts = -p no:cacheprovider -p no:hypothesispytest -p no:asyncio
anyio_mode = auto
timeout = 100
"""

CONFTEST = """
from tests import limits

limits.SHARE = 0.01
pytest_plugins = ["tests.limits"]
"""

SHARED = """
import asyncio
import pytest

@pytest.fixture(scope="module")
def anyio_backend():
    return "asyncio"

@pytest.fixture(scope="module")
async def shared():
    yield 42

async def hang():
    await asyncio.get_running_loop().create_future()
"""


@pytest.fixture
def session(pytester: pytest.Pytester) -> pytest.Pytester:
    """A folder of tests with a time limit, run with the plugin."""
    pytester.makeini(INI)
    pytester.makeconftest(CONFTEST)
    pytester.syspathinsert(Path(__file__).parents[1])
    return pytester


def run(session: pytest.Pytester, tests: str, **outcomes: int) -> pytest.RunResult:
    session.makepyfile(SHARED + tests)
    ended = session.runpytest_subprocess(timeout=150)
    ended.assert_outcomes(**outcomes)
    return ended


def test_a_test_that_hangs_fails_alone_and_says_where_it_waited(session: pytest.Pytester):
    ended = run(
        session,
        """
async def test_that_hangs(shared):
    await hang()

async def test_after_it(shared):
    assert shared == 42

def test_without_coroutines():
    pass
""",
        failed=1,
        passed=2,
    )
    ended.stdout.fnmatch_lines(["*create_future()*"])


def test_a_test_that_blocks_the_loop_fails_alone(session: pytest.Pytester):
    run(
        session,
        """
import time

@pytest.mark.timeout(1)
async def test_that_blocks(shared):
    time.sleep(1000)

async def test_after_it(shared):
    assert shared == 42
""",
        failed=1,
        passed=1,
    )


def test_a_fixture_that_hangs_fails_its_tests_alone(session: pytest.Pytester):
    run(
        session,
        """
@pytest.fixture
async def slow_to_come(shared):
    await hang()

@pytest.fixture
async def slow_to_go(shared):
    yield shared
    await hang()

async def test_of_the_first(slow_to_come):
    pass

async def test_of_the_second(slow_to_go):
    assert slow_to_go == 42

async def test_after_them(shared):
    assert shared == 42
""",
        passed=2,
        errors=2,
    )


def test_what_a_test_has_more_time_for_is_let_run(session: pytest.Pytester):
    run(
        session,
        """
@pytest.mark.timeout(10_000)
async def test_that_takes_its_time(shared):
    await asyncio.sleep(2)
""",
        passed=1,
    )
