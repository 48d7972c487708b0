"""Calls that would hold the loop for long, made in a thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from funcx_async._futures.awaiting import AwaitableFuture

T = TypeVar("T")


async def in_thread(work: Callable[[], T]) -> T:
    """Call ``work`` in a thread of its own, which no program waits for at its end.

    So a pickle that is read there, which is any code, may take as long as it likes. If this is
    cancelled meanwhile, the thread goes on, and nobody learns of what it does.
    """
    done: AwaitableFuture[T] = AwaitableFuture()

    def call() -> None:
        try:
            done.set_result(work())
        except BaseException as error:  # for whoever awaits it
            done.set_exception(error)

    try:
        threading.Thread(target=call, name="funcx:aside", daemon=True).start()
    except RuntimeError:  # there are no more threads to be had: late is better than never
        call()
    return await done
