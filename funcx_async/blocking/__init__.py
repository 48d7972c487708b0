"""The executor and the client for programs without an event loop.

Example::

    with FuncXExecutor(endpoint_id="...") as executor:
        print(executor.submit(add, 40, 2).result())

A program written for the ``funcx`` package only has to import from here instead.
``LocalService``, which needs the extra ``local``, is imported when it is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from funcx_async._futures.future import FuncXFuture
from funcx_async._lazy import attach
from funcx_async.blocking.client import FuncXClient
from funcx_async.blocking.executor import FuncXExecutor

if TYPE_CHECKING:
    from funcx_async.blocking.service import LocalService

__all__ = ["FuncXClient", "FuncXExecutor", "FuncXFuture", "LocalService"]

__getattr__, __dir__ = attach(__name__, __all__, {"LocalService": "service"})
