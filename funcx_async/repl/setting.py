"""What is there at the prompt: an executor, and what it runs functions on."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

from funcx_async._session.session import end_sessions

if TYPE_CHECKING:
    from funcx_async.executor.executor import FuncXExecutor
    from funcx_async.local import LocalService

OFFERED = ("gather", "as_completed", "explain", "FuncXExecutor", "TaskExecutionFailed")
"""The names of the package that are there at the prompt."""


class Setting:
    """An executor and, without an endpoint, a local service."""

    def __init__(self) -> None:
        self.executor: FuncXExecutor | None = None
        self.service: LocalService | None = None

    async def make(self, endpoint_id: str | None) -> None:
        """Make it.

        Raises:
            ImportError: the extra ``local`` is needed and not installed.
            OSError: the service cannot listen.
            RuntimeError: its workers do not start.
            ValueError: the endpoint's id is malformed.
        """
        from funcx_async.executor.executor import FuncXExecutor

        if endpoint_id is not None:
            self.executor = FuncXExecutor(endpoint_id)
            return
        try:
            from funcx_async.local import LocalService
        except ImportError as error:
            msg = f"{error}\nOr name an endpoint: python -m funcx_async --endpoint ID"
            raise ImportError(msg) from error
        service = LocalService()
        await service.start()
        self.service, self.executor = service, service.executor()

    def names(self) -> dict[str, Any]:
        """Give what is to be there, by name."""
        import funcx_async

        names: dict[str, Any] = {name: getattr(funcx_async, name) for name in OFFERED}
        names |= {"asyncio": asyncio, "funcx_async": funcx_async, "fxe": self.executor}
        if self.executor is not None:
            names["client"] = self.executor.funcx_client
        if self.service is not None:
            names["service"] = self.service
        return names

    def banner(self) -> str:
        """Give the lines that say what is there."""
        place = (
            "a local service (service)"
            if self.service is not None
            else f"the endpoint {self.executor and self.executor.endpoint_id}"
        )
        return (
            f"funcx_async on Python {sys.version.split()[0]}: `await` works here, Ctrl-D leaves.\n"
            f"fxe runs functions on {place}.\n"
            f"Also: client, {', '.join(OFFERED)}\n"
            "Define a function f, then: await fxe.submit(f, ...)"
        )

    async def close(self) -> str:
        """End it; gives what there is to say about what goes on."""
        if self.executor is None:
            return ""
        left, group = self.executor.stats.open, self.executor.task_group_id
        await self.executor.shutdown(wait=False, cancel_futures=True)
        await end_sessions()  # of every executor that was made here: before the service
        if self.service is not None:
            await self.service.aclose()
        elif left and group is not None:
            return f"Tasks go on. To await them: await fxe.reload_tasks({group!r})\n"
        return ""
