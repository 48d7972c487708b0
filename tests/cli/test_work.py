"""``run``, ``status``, ``results`` and ``endpoints``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from funcx_async import gather
from funcx_async.cli.run import value_of
from funcx_async.local import LocalService
from tests.cli.conftest import Command

NOBODY = str(uuid4())


@pytest.fixture
def sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A module of the user's own, in the current directory."""
    (tmp_path / "sweep.py").write_text(
        "FACTOR = 10\n"
        "class Scaled:\n"
        "    @staticmethod\n"
        "    def by(x): return x * FACTOR\n"
        "def given(*args, **kwargs): return args, kwargs\n"
        "def both(x): return {1j: x}\n"
        "def fails(): raise RuntimeError('on purpose')\n"
    )
    (tmp_path / "broken.py").write_text("raise OSError('no such instrument')\n")
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    sys.modules.pop("sweep", None)  # nothing else: httpx and others are imported meanwhile


# run --------------------------------------------------------------------------------------------


async def test_a_function_runs_and_its_result_is_printed(told, command: Command):
    assert await command("run", "math:sqrt", "16") == (0, "4.0\n", "")


async def test_a_function_of_a_module_here_travels_with_what_it_uses(told, sweep, command: Command):
    assert await command("run", "sweep:Scaled.by", "4") == (0, "40\n", "")


async def test_arguments_are_json_or_literals_or_texts(told, sweep, command: Command):
    words = ["-1", "null", "(1, 2)", "some text", '"--text"', "--keyword", 'k={"a": [true]}']
    ended = await command("run", "sweep:given", *words)
    expected = ((-1, None, (1, 2), "some text", "--text"), {"k": {"a": [True]}})
    assert (ended.code, ended.out) == (0, f"{expected}\n")


def test_what_is_nearly_json_is_a_text():
    assert [value_of(word) for word in ("[1", "nan()", "0x1F", "'q'")] == ["[1", "nan()", 31, "q"]


async def test_a_result_is_json_for_programs(told, sweep, command: Command):
    ended = await command("run", "--json", "math:sqrt", "16")
    assert ended.document["result"] == 4.0
    ended = await command("run", "--json", "sweep:both", "1")
    assert ended.document["result"] == "{1j: 1}"


async def test_a_failure_shows_the_remote_traceback(told, sweep, command: Command):
    ended = await command("run", "sweep:fails")
    assert (ended.code, ended.out) == (1, "")
    assert "RuntimeError: on purpose" in ended.err
    ended = await command("run", "sweep:fails", "--json")
    assert (ended.code, ended.err) == (1, "")
    assert "RuntimeError: on purpose" in ended.document["error"]


async def test_a_task_that_nobody_waits_for_is_known_by_its_id(told, command: Command):
    seen = told.faults.count("executed")
    ended = await command("run", "--no-wait", "operator:mul", "6", "7")
    assert (ended.code, ended.err) == (0, "")
    await told.faults.seen("executed", seen + 1)
    assert await command("results", ended.out.strip()) == (0, "42\n", "")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        pytest.param(["sqrt"], "'sqrt' does not name a function", id="no module"),
        pytest.param(["maths:sqrt"], "No module named 'maths'", id="unknown module"),
        pytest.param(["broken:it"], "OSError: no such instrument", id="module that fails"),
        pytest.param(["math:root"], "The module 'math' has no 'root'", id="unknown function"),
        pytest.param(["math:pi"], "math:pi is a float, not a function", id="no function"),
        pytest.param(["math:sqrt", "--endpoint", "laptop"], "endpoint", id="no endpoint's id"),
    ],
)
async def test_what_cannot_be_run_is_one_line(told, sweep, command: Command, words, says):
    ended = await command("run", *words)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("run failed: ")
    assert says in ended.err
    assert len(ended.err.splitlines()) == 1


@pytest.mark.parametrize("words", [["--verbos"], ["--keyword", "4"]])
async def test_words_that_are_no_options_are_refused(told, command: Command, words):
    ended = await command("run", "math:sqrt", "4", *words)
    assert (ended.code, ended.out) == (2, "")
    assert words[-1] in ended.err


async def test_without_an_endpoint_it_says_how_to_name_one(command: Command):
    ended = await command("run", "math:sqrt", "4")
    assert (ended.code, ended.out) == (1, "")
    assert "--endpoint or FUNCX_ASYNC_ENDPOINT_ID" in ended.err


# status and results -----------------------------------------------------------------------------


async def submitted(service: LocalService, *numbers: int) -> tuple[str, list[str]]:
    """Run a task for each number, and give their group and their ids."""
    async with service.executor() as executor:
        futures = [executor.submit(divmod, 10, number) for number in numbers]
        await gather(*futures, return_exceptions=True)
        assert executor.task_group_id is not None
        return executor.task_group_id, [str(future.task_id) for future in futures]


async def test_the_status_of_tasks(told, command: Command):
    _, (good, bad) = await submitted(told, 3, 0)
    ended = await command("status", good, bad)
    assert ended.code == 0
    for task_id, word in ((good, "success"), (bad, "failed")):
        (line,) = (line for line in ended.out.splitlines() if task_id in line)
        assert word in line
    ended = await command("status", good, NOBODY, "--json")
    assert ended.code == 1, "one of them is not known"
    assert [each["status"] for each in ended.document] == ["success", "unknown"]
    assert isinstance(ended.document[0]["ended_at"], float)


async def test_the_results_of_a_group_and_of_tasks(told, command: Command):
    group, (good, other) = await submitted(told, 3, 4)
    for ids in ([group], [good, other]):
        ended = await command("results", *ids)
        assert (ended.code, ended.err) == (0, "")
        assert sorted(ended.out.splitlines()) == sorted([f"{good}  (3, 1)", f"{other}  (2, 2)"])
    ended = await command("results", "--json", good)
    assert ended.document == [{"task_id": good, "status": "success", "result": [3, 1]}]


async def test_results_that_are_not_there_are_said_beside(told, command: Command):
    group, (good, bad) = await submitted(told, 3, 0)
    ended = await command("results", group)
    assert (ended.code, ended.out) == (1, f"{good}  (3, 1)\n")
    assert bad in ended.err
    assert "ZeroDivisionError" in ended.err
    ended = await command("results", NOBODY)
    assert ended.code == 1
    assert NOBODY in ended.err


async def test_a_task_that_waits_is_said_to(told, command: Command):
    with told.faults.endpoint_offline():
        task_id = (await command("run", "--no-wait", "math:sqrt", "4")).out.strip()
        ended = await command("results", task_id)
        assert (ended.code, ended.out) == (1, "")
        assert f"Task {task_id} has not finished" in ended.err


# endpoints --------------------------------------------------------------------------------------


async def test_endpoints_are_listed_with_their_status(told, command: Command):
    ended = await command("endpoints")
    assert ended.code == 0
    (line,) = (line for line in ended.out.splitlines() if told.endpoint_id in line)
    assert "online" in line
    with told.faults.endpoint_offline():
        ended = await command("endpoints", "--all", "--json")
    (listed,) = ended.document
    assert (listed["endpoint_id"], listed["status"]) == (told.endpoint_id, "offline")


async def test_an_endpoint_that_may_not_be_asked_is_listed_all_the_same(told, command: Command):
    told.faults.refuse("endpoint_status", status=403)
    ended = await command("endpoints", "--json")
    assert ended.document[0]["status"] == "unknown"
