"""How an executor is bound to an event loop: at first use, to one, in one process."""

from __future__ import annotations

import asyncio
import weakref

from funcx_async.client import FuncXClient
from funcx_async.errors import ExecutorClosed
from funcx_async.futures.awaiting import running_loop
from funcx_async.interpreter import current_pid
from funcx_async.session.observed import ObservedSession
from funcx_async.session.session import Session
from funcx_async.session.task_groups import TaskGroups
from funcx_async.settings.settings import Settings


class Binding:
    """See the module; made with the client that was given, or None.

    Once the loop is closed it may be bound anew.
    """

    _settings: Settings

    def __init__(self, client: FuncXClient | None) -> None:
        self._client = client
        self._groups = TaskGroups(None if client is None else client.task_group_id)
        self._closes_client = client is None
        self._session: Session | None = None
        self._forgotten: weakref.finalize[..., Binding] | None = None
        self._closed = False

    @property
    def funcx_client(self) -> FuncXClient:
        """The client that asks the service: one of its own unless one was given."""
        if self._client is None:
            self._client = FuncXClient(serializer=self._settings.serializer)
        return self._client

    def _close(self, *, cancel_futures: bool) -> Session | None:
        """Take no more tasks; gives the session that is still to end, if there is one."""
        self._closed = True
        session = self._session
        if session is None:
            return None
        if session.ended:
            session.clear_away()
            return None
        session.close(cancel_futures=cancel_futures)
        return session

    def _bound(self, *, wait: bool = True) -> Session:
        """Give the session of the running loop, making it at first use.

        Args:
            wait: whether this thread waits until the journal of a new session is open.
        """
        if self._closed:
            raise ExecutorClosed("This executor was shut down: make a new one.")
        session, loop = self._session, running_loop()
        if session is not None and session.loop is loop and not session.ended:
            return session
        if session is not None and session.pid != current_pid():
            raise RuntimeError(
                "This executor belongs to the process that forked this one: make a new one here."
            )
        if session is not None and session.ended:
            session.clear_away()
            session = None
        if session is None:
            session = self._bind(loop)
            if wait:
                session.wait_until_open()
        elif loop is not None and loop is not session.loop:
            raise RuntimeError(
                "This executor belongs to another event loop that is still open: make one "
                "executor for each loop."
            )
        return session

    def _bind(self, loop: asyncio.AbstractEventLoop | None) -> Session:
        if loop is None:
            raise RuntimeError(
                "FuncXExecutor binds to the event loop of its first use, and none runs in this "
                "thread: use it in a coroutine first, or take funcx_async.blocking."
            )
        settings, client, closes = self._settings, self.funcx_client, self._closes_client
        self._groups = groups = TaskGroups(self._groups.created_id)
        session = (
            Session(settings, client, groups, closes_client=closes)
            if settings.telemetry is None
            else ObservedSession(settings, client, groups, settings.telemetry, closes_client=closes)
        )
        if self._forgotten is not None:
            self._forgotten.detach()
        self._forgotten = weakref.finalize(self, session.close_from_anywhere)
        self._forgotten.atexit = False
        self._session = session
        return session
