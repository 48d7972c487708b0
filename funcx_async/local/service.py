"""The local service: REST, AMQP and worker processes behind one object."""

from __future__ import annotations

import ipaddress
import logging
import os
import secrets
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from funcx_async._process import CONNECTIONS, confined, end_sessions
from funcx_async.client import FuncXClient
from funcx_async.executor.executor import FuncXExecutor
from funcx_async.local.agents.login import variables_for_agents
from funcx_async.local.assembly import Plan, assemble
from funcx_async.local.database import IN_MEMORY
from funcx_async.local.faults import Faults
from funcx_async.local.parts import Parts
from funcx_async.local.switches import Switches

logger = logging.getLogger(__name__)


@confined(CONNECTIONS)
class LocalService:
    """A funcX web service in this process, with worker processes that run the tasks.

    It runs code for whoever may talk to it, so it listens on the loopback interface, and asks for
    a bearer token and a broker password.

    Args:
        workers: how many worker processes; None is one for each CPU.
        amqp_url: a RabbitMQ to send results through; None is an embedded broker.
        agents: whether official endpoint agents may register and be sent tasks; they need
            ``amqp_url``, which they are told, too. See docs/endpoints.md.
        host: the address that REST and the embedded broker listen on. Another than a loopback
            address is warned about: tokens and tasks cross the network as they are.
        port: the port of the REST service; 0 is any that is free.
        token: the bearer token of its clients; None is a random one, kept in the database.
        database: a file for what the service remembers, to be found again by the next one,
            however this one ends; ``":memory:"`` forgets it. Tasks that were not finished then
            begin again. Whoever can write to the file can have code run by the service.

    Raises:
        ValueError: the number of workers is not positive, or there is no ``amqp_url`` for agents.

    Example:
        >>> import asyncio
        >>> async def main():
        ...     async with LocalService(workers=1) as service, service.executor() as executor:
        ...         print(await executor.submit(pow, 2, 5))
        >>> asyncio.run(main())
        32
    """

    def __init__(
        self,
        *,
        workers: int | None = None,
        amqp_url: str | None = None,
        agents: bool = False,
        host: str = "127.0.0.1",
        port: int = 0,
        token: str | None = None,
        database: str | Path = ":memory:",
    ) -> None:
        if workers is None:
            workers = os.cpu_count() or 1
        if workers < 1:
            msg = f"a service needs at least one worker, not {workers}"
            raise ValueError(msg)
        if agents and amqp_url is None:
            msg = (
                "endpoint agents need a RabbitMQ, the embedded broker does not do for them; give "
                "its amqp_url"
            )
            raise ValueError(msg)
        if not token and str(database) == IN_MEMORY:
            token = secrets.token_urlsafe(32)
        self._plan = Plan(workers, amqp_url, host, port, token, database, agents)
        self._switches = Switches()
        self._parts: Parts | None = None
        self._stack = AsyncExitStack()
        self.faults = Faults(self._switches, self._running)

    def __repr__(self) -> str:
        if self._parts is None:
            return "<LocalService, not running>"
        running, queued = len(self._parts.pool.running), self._parts.pool.queued
        return f"<LocalService {self.url} {self._plan.workers} workers, {running + queued} open>"

    def _repr_html_(self) -> str:
        from funcx_async._html import Tone, card

        if self._parts is None:
            return card("LocalService", "not running", Tone.RESTING, {})
        running, queued = len(self._parts.pool.running), self._parts.pool.queued
        rows = {
            "address": self.url,
            "endpoint": self.endpoint_id,
            "workers": self._plan.workers,
            "tasks": f"{running} running, {queued} queued",
        }
        return card("LocalService", "running", Tone.GOOD, rows)

    def _running(self) -> Parts:
        if self._parts is None:
            msg = "the local service is not running; open it with 'async with' or start() first"
            raise RuntimeError(msg)
        return self._parts

    @property
    def url(self) -> str:
        """The service's root, such as ``http://127.0.0.1:34567``.

        Raises:
            RuntimeError: the service is not running.
        """
        host = f"[{self._plan.host}]" if ":" in self._plan.host else self._plan.host
        return f"http://{host}:{self._running().listener.port}"

    @property
    def token(self) -> str:
        """The bearer token that clients must send.

        Raises:
            RuntimeError: the service is not running, and its token is in its database.
        """
        return self._plan.token or self._running().token

    @property
    def status_url(self) -> str:
        """The page that shows what the service does, to open in a browser on this machine.

        It holds a key, new at each start, with which the page can be read and nothing else be done.

        Raises:
            RuntimeError: the service is not running.
        """
        return f"{self.url}/#{self._running().status_key}"

    @property
    def endpoint_id(self) -> str:
        """The endpoint whose tasks the worker processes run.

        Raises:
            RuntimeError: the service is not running.
        """
        return self._running().endpoint_id

    @property
    def agent_environment(self) -> dict[str, str]:
        """The environment variables that point an official endpoint agent at this service.

        The token is among them. An agent takes ``http://localhost:5000`` for a local service; where
        this one has another port, it is made the agent's HTTP proxy, and answers itself.

        Raises:
            RuntimeError: the service is not running, or takes no agents.

        Example::

            environment = os.environ | service.agent_environment
            subprocess.Popen(["globus-compute-endpoint", "start", "mine"], env=environment)
        """
        parts = self._running()
        if parts.agents is None:
            msg = "the local service takes no agents; start it with agents=True and an amqp_url"
            raise RuntimeError(msg)
        return variables_for_agents(self.url, self.token)

    @property
    def worker_process_ids(self) -> list[int]:
        """The worker processes that are alive.

        Raises:
            RuntimeError: the service is not running.
        """
        return self._running().pool.process_ids

    async def start(self) -> None:
        """Start every part; returns when requests are served and the first worker is ready.

        Raises:
            RuntimeError: it is running already, worker processes do not start, or another service
                uses the database.
            ConnectionError: the RabbitMQ cannot be reached.
            OSError: the port is taken, or the database cannot be read and written.
            ValueError: the database is another program's, of another version of this package, or
                damaged.
        """
        if self._parts is not None:
            msg = "the local service is running already"
            raise RuntimeError(msg)
        warn_of_others(self._plan.host)
        async with AsyncExitStack() as stack:
            self._parts = await assemble(self._plan, self._switches, stack)
            self._stack = stack.pop_all()

    async def aclose(self) -> None:
        """Close its clients, its sockets and its processes; tasks that run are ended.

        Executors that use one of its clients end as well, and what is open in them fails with
        :class:`funcx_async.ExecutorClosed`.

        A second call does nothing. Afterwards it may be started again, with a new port unless one
        was given, and with what its database holds.
        """
        try:
            await self._stack.aclose()
        finally:
            self._parts = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    def client(self, **options: Any) -> FuncXClient:
        """A client of this service, which closes it and ends the executors that use it.

        Args:
            options: as :class:`~funcx_async.FuncXClient` takes them.
        """
        client = FuncXClient(self.url, auth=self.token, **options)
        self._stack.push_async_callback(client.aclose)
        self._stack.push_async_callback(end_sessions, client)  # while there still is a broker
        return client

    def executor(self, **options: Any) -> FuncXExecutor:
        """An executor on this service's endpoint, with a client of its own.

        It ends with the service, if it has not ended before.

        Args:
            options: as :class:`~funcx_async.FuncXExecutor` takes them.
        """
        client = self.client(serializer=options.get("serializer"))
        chosen: dict[str, Any] = {"endpoint_id": self.endpoint_id, "funcx_client": client}
        return FuncXExecutor(**(chosen | options))


def warn_of_others(host: str) -> None:
    """Log a warning unless only this machine can reach the address."""
    try:
        local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = host == "localhost"
    if not local:
        logger.warning(
            "The local service listens on %s, where others can reach it: whoever reads its token "
            "off the network, where it is not encrypted, can run code here. Prefer an SSH tunnel",
            host,
        )
