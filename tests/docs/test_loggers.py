"""The loggers and fields that the page of telemetry names are those of the package."""

from __future__ import annotations

import asyncio
import importlib
import logging
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from funcx_async import TaskExecutionFailed
from funcx_async.local import LocalService
from tests.docs.docstrings import modules
from tests.docs.pages import ROOT, blocks, kept
from tests.executor.tasks import add, fail
from tests.telemetry.test_log_records import FIELDS

LIMIT = 30
PAGE = (ROOT / "docs/telemetry.md").read_text()


def test_the_page_names_every_logger_of_the_package():
    for module in modules():
        importlib.import_module(module)
    told = set(re.findall(r"^\| `(funcx_async\.\w+)` \|", PAGE, re.MULTILINE))
    used = [name for name in logging.root.manager.loggerDict if name.startswith("funcx_async.")]
    assert told == {".".join(name.split(".")[:2]) for name in used}


def test_the_fields_of_records_are_told():
    (table,) = re.findall(r"^\| field \|.*?\n\n", PAGE, re.MULTILINE | re.DOTALL)
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == set(FIELDS)


def told_of(logger: str, level: str) -> str:
    """What the page says that this logger tells of at this level."""
    (row,) = re.findall(rf"^\| `{logger}` \| (.*) \|$", PAGE, re.MULTILINE)
    parts = re.split(r", and |(?<=\)),", row)
    return "; ".join(part for part in parts if f"(`{level}`)" in part)


@pytest.mark.parametrize(
    ("options", "fault", "record", "words"),
    [
        ({}, None, "The service took 1 task", "that the service took"),
        ({}, "refuse", "are sent again", "are sent again"),
        ({}, "lose_replies", "some may run twice", "may run twice"),
        ({"retries": 1, "retry_on": TaskExecutionFailed}, None, "it is submitted again", "single"),
    ],
    ids=["taken", "sent again", "in doubt", "tried again"],
)
async def test_what_the_page_says_of_a_logger_is_what_it_tells_of(
    options: Any, fault: str | None, record: str, words: str, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.DEBUG, "funcx_async")
    async with LocalService(workers=1) as service:
        async with service.executor() as before:  # of a group of one's own nothing is in doubt
            await asyncio.wait_for(before.submit(add, 1), LIMIT)
            group = before.task_group_id
        if fault is not None:
            getattr(service.faults, fault)("submit")
        async with service.executor(on_uncertain="resubmit", task_group_id=group) as executor:
            if options:
                future = executor.options(**options).submit(fail, "no")
                with pytest.raises(TaskExecutionFailed):
                    await asyncio.wait_for(future, LIMIT)
            else:
                await asyncio.wait_for(executor.submit(add, 2), LIMIT)
    found = {(each.name, each.levelname) for each in caplog.records if record in each.getMessage()}
    ((logger, level),) = found
    assert words in told_of(logger, level)


def test_the_records_that_the_page_shows_are_those_of_its_program(
    tmp_path: Path, environment: dict[str, str]
):
    (program,) = [block for block in blocks(ROOT / "docs/telemetry.md") if "AsJSON" in block.text]
    (shown,) = [block for block in blocks(ROOT / "docs/telemetry.md") if block.language == "text"]
    ended = subprocess.run(
        [sys.executable, kept(program, tmp_path, environment)],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert ended.stdout == "27\n"
    assert without_chance(ended.stderr) == without_chance(shown.text)


def without_chance(text: str) -> str:
    """A text without what is another each time: ids and seconds."""
    return re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[\d.]+ s\b", "...", text)
