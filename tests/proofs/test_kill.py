"""kill -9 at any instant loses no task whose receipt was in the journal, and runs none twice."""

from __future__ import annotations

import asyncio
import multiprocessing
import random
import signal
from collections import Counter
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from funcx_async.local import LocalService
from tests.proofs import killed
from tests.proofs.killed import Account, Place

pytestmark = [pytest.mark.proof, pytest.mark.timeout(280)]

KILLS = 200
LONGEST_LIFE = 0.8
"""Seconds that the application runs at most before it is killed."""
LAST_LIFE = 60
"""Seconds in which it ends if it is not killed."""

processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload([killed.__name__])


def started(target: Any, *args: Any, **kwargs: Any) -> BaseProcess:
    process = processes.Process(target=target, args=args, kwargs=kwargs)
    process.start()
    return process


async def lived(process: BaseProcess, seconds: float) -> int | None:
    """Let a process live so long, and give how it ended, or None."""
    await asyncio.to_thread(process.join, seconds)
    return process.exitcode


async def kill(process: BaseProcess) -> None:
    process.kill()
    assert await lived(process, LAST_LIFE) == -signal.SIGKILL


def runs(folder: Path) -> Counter[str]:
    file = folder / "runs"
    return Counter(file.read_text().splitlines() if file.exists() else ())


def check(folder: Path) -> Account:
    """Every key has one result, its own, or is uncertain; no task was run twice."""
    account, ran = Account(folder), runs(folder)
    assert len(set(account.about_to_submit)) == len(account.about_to_submit)
    assert set(account.about_to_submit) == account.dealt_with
    assert not account.uncertain & account.results.keys()
    for key, results in account.results.items():
        assert results == {f"worked-on-{key}"}
        assert ran[key] == 1
    assert all(ran[key] <= 1 for key in account.uncertain)
    return account


def place_of(service: LocalService, folder: Path) -> Place:
    return Place(str(folder), service.url, service.token, service.endpoint_id)


async def test_of_200_random_kills_none_loses_a_task_or_runs_one_twice(tmp_path: Path):
    chance = random.Random(8)
    lives = Counter[str]()
    async with LocalService(workers=2) as service:
        place = place_of(service, tmp_path)
        for _ in range(KILLS):
            before = len(runs(tmp_path))
            hears, tells = processes.Pipe(duplex=False)
            process = started(killed.run, place, None, tells)
            assert await asyncio.to_thread(hears.poll, LAST_LIFE)
            assert await lived(process, chance.uniform(0, LONGEST_LIFE)) is None, "it died"
            await kill(process)
            lives["with work done" if len(runs(tmp_path)) > before else "without"] += 1
        assert await lived(started(killed.run, place, 0), LAST_LIFE) == 0
    account = check(tmp_path)
    print(  # for the log of CI
        f"{KILLS} kills: {len(account.results)} results, {len(account.uncertain)} uncertain of "
        f"which {sum(runs(tmp_path)[key] for key in account.uncertain)} ran; lives: {dict(lives)}"
    )
    assert lives["with work done"] > 0
    assert len(account.results) > KILLS
    assert len(account.uncertain) < len(account.results)


@pytest.mark.parametrize(
    "after", [pytest.param(False, id="before"), pytest.param(True, id="after")]
)
async def test_a_kill_before_or_after_each_commit_loses_nothing(tmp_path: Path, after: bool):
    tasks, number, uncertain = 3, 0, 0
    async with LocalService(workers=2) as service:
        while True:
            number += 1
            folder = tmp_path / str(number)
            folder.mkdir()
            place = place_of(service, folder)
            process = started(killed.run_until_commit, place, tasks, number, after=after)
            ended = await lived(process, LAST_LIFE)
            if ended == 0:
                break
            assert ended == -signal.SIGKILL
            assert await lived(started(killed.run, place, 0), LAST_LIFE) == 0
            uncertain += len(check(folder).uncertain)
    assert number > 3, "at least an intent, a receipt, and results with their confirmations"
    assert 0 < uncertain <= 2 * tasks, "those between intent and receipt, and no others"
