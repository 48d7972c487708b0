"""An application that keeps a journal, and is killed: `test_kill` starts it again and again.

It keeps its own account in a file of lines, each written at once: which keys it is about to
submit, and what became of them.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

from funcx_async import FuncXClient, FuncXExecutor, FuncXFuture, SubmitUncertain
from funcx_async._core.book import Write
from funcx_async._journal.store import Store

WINDOW = 24
"""So many tasks are open at most."""


class Place(NamedTuple):
    """Where the application works, and with which service."""

    folder: str
    url: str
    token: str
    endpoint_id: str


class Account:
    """What the application knows from its own file."""

    def __init__(self, folder: Path) -> None:
        path = folder / "account"
        self._file = os.open(path, os.O_CREAT | os.O_APPEND | os.O_RDWR, 0o600)
        lines = [line.split(" ", 2) for line in path.read_text().splitlines()]
        self.about_to_submit = [key for what, key, _ in lines if what == "submit"]
        self.uncertain = {key for what, key, _ in lines if what == "uncertain"}
        self.results: dict[str, set[str]] = {}
        for what, key, value in lines:
            if what == "result":
                self.results.setdefault(key, set()).add(value)

    @property
    def dealt_with(self) -> set[str]:
        return self.uncertain | self.results.keys()

    def note(self, what: str, key: str, value: str = "-") -> None:
        os.write(self._file, f"{what} {key} {value}\n".encode())


def work(folder: str, key: str) -> str:
    """The task: counts how often it is run, which it must never be twice."""
    import os

    file = os.open(folder + "/runs", os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
    try:
        os.write(file, f"{key}\n".encode())
    finally:
        os.close(file)
    return f"worked-on-{key}"


class Application:
    """Submits tasks, and deals with each once."""

    def __init__(self, place: Place, executor: FuncXExecutor) -> None:
        self._folder = place.folder
        self._executor = executor
        self._account = Account(Path(place.folder))
        self._open: set[asyncio.Task[None]] = set()

    async def run(self, new: int | None) -> None:
        """Take up what is open, then submit what is not sent yet, and new tasks (None: no end)."""
        taken_up = set()
        async for key, future in self._executor.resume():
            taken_up.add(key)
            self._open.add(asyncio.create_task(self._deal_with(key, future)))
        account = self._account
        for key in account.about_to_submit:
            if key not in taken_up and key not in account.dealt_with:
                await self._submit(key)
        number = len(account.about_to_submit)
        while new is None or new > 0:
            key = str(number)
            account.note("submit", key)
            await self._submit(key)
            number += 1
            new = None if new is None else new - 1
        await asyncio.gather(*self._open)

    async def _submit(self, key: str) -> None:
        future = self._executor.options(key=key).submit(work, self._folder, key)
        self._open.add(asyncio.create_task(self._deal_with(key, future)))
        while len(self._open) >= WINDOW:
            done, self._open = await asyncio.wait(self._open, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()

    async def _deal_with(self, key: str, future: FuncXFuture[Any]) -> None:
        try:
            self._account.note("result", key, await future)
        except SubmitUncertain:
            self._account.note("uncertain", key)
        await self._executor.confirm(key)


async def _run(place: Place, new: int | None) -> None:
    async with (
        FuncXClient(place.url, auth=place.token) as client,
        FuncXExecutor(
            place.endpoint_id,
            funcx_client=client,
            journal=Path(place.folder) / "journal",
            batch_size=8,
        ) as executor,
    ):
        await Application(place, executor).run(new)


def run(place: Place, new: int | None, begun: Connection | None = None) -> None:
    """Run the application to its end, if it has one; say when everything is imported."""
    if begun is not None:
        begun.send_bytes(b"begun")
    asyncio.run(_run(place, new))


def run_until_commit(place: Place, new: int, number: int, *, after: bool) -> None:
    """Run the application, and kill it before or after this commit of its journal."""
    commit, commits = Store.commit, 0

    def commit_or_die(self: Store, writes: Iterable[Write]) -> None:
        nonlocal commits
        commits += 1
        if commits == number and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        commit(self, writes)
        if commits == number:
            os.kill(os.getpid(), signal.SIGKILL)

    Store.commit = commit_or_die  # type: ignore[method-assign]
    run(place, new)
