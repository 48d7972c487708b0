"""The thread that reads and writes the journal's file, so that no event loop waits for a disk.

It alone has the file open: SQLite forbids to use, or even to close, a connection in a forked
process, and what only another thread's stack refers to is neither used nor closed there.
"""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from funcx_async._core.book import Book, Outcome, Write
from funcx_async.errors import JournalError

if TYPE_CHECKING:
    from funcx_async._journal.store import Store

AT_ONCE: Final = 10_000
"""How many orders go in one commit at most."""

Report: TypeAlias = Callable[[int, JournalError | None], None]
"""Called in the writer's thread with how many orders are done, and the error if they failed."""

_log = logging.getLogger("funcx_async.journal")


@dataclass(frozen=True, slots=True, eq=False)
class _Question:
    """Asks for outcomes that are written already, or are about to be."""

    numbers: Sequence[int]
    answer: Future[list[Outcome | None]]


_Order: TypeAlias = Sequence[Write] | _Question | None


class Writer:
    """Opens the file in its thread, and then does what is ordered, in that order.

    Args:
        path: the file.
        service_url: the root of the service whose tasks it keeps.
        api: the dialect that this service is spoken to in.
        report: is called after each commit.

    Attributes:
        opened: done when the file is open, with what it holds; fails with JournalError if it
            cannot be used, with ValueError if it keeps tasks of another service.
        ended: done when it is closed.
    """

    def __init__(self, path: Path, service_url: str, api: str, report: Report) -> None:
        self._orders: SimpleQueue[_Order] = SimpleQueue()
        self.opened: Future[Book[Any]] = Future()
        self.ended: Future[None] = Future()
        for future in (self.opened, self.ended):
            future.set_running_or_notify_cancel()  # so that nobody who waits can cancel it
        threading.Thread(
            target=_work,
            args=((path, service_url, api), self._orders, report, self.opened, self.ended),
            name="funcx_async journal",
            daemon=True,
        ).start()

    def write(self, writes: Sequence[Write]) -> None:
        """Write ``writes``, in one piece."""
        self._orders.put(writes)

    def outcomes(self, numbers: Sequence[int]) -> Future[list[Outcome | None]]:
        """Read outcomes, those of the first of these tasks."""
        question = _Question(numbers, Future())
        self._orders.put(question)
        return question.answer

    def stop(self) -> None:
        """Close the file once everything is written; from any thread."""
        self._orders.put(None)


def _work(
    place: tuple[Path, str, str],
    orders: SimpleQueue[_Order],
    report: Report,
    opened: Future[Book[Any]],
    ended: Future[None],
) -> None:
    try:
        from funcx_async._journal.store import Store  # SQLite is only for those who keep a journal

        with closing(Store(*place)) as store:
            opened.set_result(Book(store.entries()))
            _serve(store, orders, report)
    except BaseException as error:  # the end of a thread is reported nowhere else
        if opened.done():
            _log.exception("the journal's thread")
        else:
            opened.set_exception(error)
    finally:
        ended.set_result(None)


def _serve(store: Store, orders: SimpleQueue[_Order], report: Report) -> None:
    """Do what is ordered; after a write that failed, all others fail as well.

    What is on disk is then a beginning of what should be there, as after a crash.
    """
    done, failure = 0, None
    while True:
        taken = _take(orders)
        pieces = [order for order in taken if isinstance(order, Sequence)]
        if pieces:
            if failure is None:
                failure = _commit(store, list(itertools.chain.from_iterable(pieces)))
            done += len(pieces)
            report(done, failure)
        for question in taken:
            if isinstance(question, _Question):
                _answer(store, question)
        if None in taken:
            return


def _take(orders: SimpleQueue[_Order]) -> list[_Order]:
    """Wait for orders, and give all that are there; a question or the end is the last of them."""
    taken = [orders.get()]
    try:
        while isinstance(taken[-1], Sequence) and len(taken) < AT_ONCE:
            taken.append(orders.get_nowait())
    except Empty:
        pass
    return taken


def _commit(store: Store, writes: Sequence[Write]) -> JournalError | None:
    try:
        store.commit(writes)
    except JournalError as error:
        return error
    except Exception as error:  # no caller must wait forever
        failure = JournalError(f"Writing the journal failed in an unforeseen way: {error!r}")
        failure.__cause__ = error
        return failure
    return None


def _answer(store: Store, question: _Question) -> None:
    try:
        question.answer.set_result(store.outcomes(question.numbers))
    except Exception as error:  # for the caller
        question.answer.set_exception(error)
