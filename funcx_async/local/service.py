"""The local service: REST, AMQP and worker processes behind one object."""

from __future__ import annotations

import ipaddress
import logging
import os
import secrets
import shutil
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from funcx_async._process import CONNECTIONS, confined
from funcx_async._session.session import end_sessions
from funcx_async.client import FuncXClient
from funcx_async.executor.executor import FuncXExecutor
from funcx_async.local.agents.agents import Agents
from funcx_async.local.agents.link import EmbeddedLink, Link, RabbitLink
from funcx_async.local.broker import EmbeddedBroker
from funcx_async.local.components import Components
from funcx_async.local.database import IN_MEMORY
from funcx_async.local.dispatch import Dispatch
from funcx_async.local.faults import Faults
from funcx_async.local.http_server import HttpServer
from funcx_async.local.injection import Switches
from funcx_async.local.publisher import EmbeddedPublisher, Publisher, RabbitPublisher
from funcx_async.local.store import Store
from funcx_async.local.web.app import Web
from funcx_async.local.web.login import variables_for_agents
from funcx_async.local.workers.pool import Pool
from funcx_async.serialize import FuncXSerializer

logger = logging.getLogger(__name__)

_ENDED: Final = (
    "The local service was closed before the task was done, and its tasks ended with it: submit it "
    "again to a service that runs."
)

AGENTS_USER: Final = "agents"
"""Whom agents log in as on the embedded broker."""
HELLO_WORLD: Final = "b0a5d1a0-2b22-4381-b899-ba73321e41e0"
"""The public function that every service has."""
HELLO_WORLD_SOURCE: Final = 'def hello_world():\n    return "Hello World!"\n'


@confined(CONNECTIONS)
class LocalService:
    """A funcX web service in this process, with worker processes that run the tasks.

    It runs code for any client with its token, so it listens on the loopback interface, and asks
    for a bearer token and a broker password.

    Args:
        workers: how many worker processes; None is one for each CPU.
        amqp_url: a RabbitMQ to send results through; None is an embedded broker.
        amqp_port: the port of the embedded broker; 0 takes a free one, or with ``agents`` and a
            ``database`` the one that it had before.
        agents: whether official endpoint agents may register and be sent tasks. They connect to
            the broker, too. See docs/endpoints.md.
        host: the address that REST and the embedded broker listen on. Another than a loopback
            address is warned about: tokens and tasks cross the network as they are.
        port: the port of the REST service; 0 is any that is free.
        token: the bearer token of its clients; None is a random one, kept in the database.
        python: the interpreter that runs the tasks: Python 3.11 or later, with funcx-async
            installed. None is the one that runs the service. A frozen application has to name one.
        database: a file for what the service remembers, to be found again by the next one,
            however this one ends; ``":memory:"`` forgets it. Tasks that were not finished then
            begin again. Anyone who can write to the file can run code by the service.

    Raises:
        ValueError: the number of workers is not positive, there is no ``python`` of this name, or
            both ``amqp_url`` and ``amqp_port`` are given.

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
        amqp_port: int = 0,
        agents: bool = False,
        host: str = "127.0.0.1",
        port: int = 0,
        token: str | None = None,
        python: str | Path | None = None,
        database: str | Path = ":memory:",
    ) -> None:
        if workers is None:
            workers = os.cpu_count() or 1
        if workers < 1:
            msg = f"a service needs at least one worker, not {workers}"
            raise ValueError(msg)
        if amqp_url is not None and amqp_port:
            msg = "amqp_port is the embedded broker's; with an amqp_url there is none"
            raise ValueError(msg)
        if python is not None and shutil.which(python) is None:
            msg = f"python={str(python)!r} is not a program; give the path of an interpreter"
            raise ValueError(msg)
        if not token and str(database) == IN_MEMORY:
            token = secrets.token_urlsafe(32)
        self._workers = workers
        self._amqp_url = amqp_url
        self._amqp_port = amqp_port
        self._agents = agents
        self._host = host
        self._port = port
        self._token = token
        self._python = None if python is None else str(python)
        self._database = database
        self._switches = Switches()
        self._components: Components | None = None
        self._stack = AsyncExitStack()
        self.faults = Faults(self._switches, self._running)

    def __repr__(self) -> str:
        if self._components is None:
            return "<LocalService, not running>"
        running, queued = len(self._components.pool.running), self._components.pool.queued
        return f"<LocalService {self.url} {self._workers} workers, {running + queued} open>"

    def _repr_html_(self) -> str:
        from funcx_async._html import Tone, card

        if self._components is None:
            return card("LocalService", "not running", Tone.RESTING, {})
        running, queued = len(self._components.pool.running), self._components.pool.queued
        rows = {
            "address": self.url,
            "endpoint": self.endpoint_id,
            "workers": self._workers,
            "Python": self._running().pool.versions["python_version"],
            "tasks": f"{running} running, {queued} queued",
        }
        return card("LocalService", "running", Tone.GOOD, rows)

    def _running(self) -> Components:
        if self._components is None:
            msg = "the local service is not running; open it with 'async with' or start() first"
            raise RuntimeError(msg)
        return self._components

    @property
    def url(self) -> str:
        """The service's root, such as ``http://127.0.0.1:34567``.

        Raises:
            RuntimeError: the service is not running.
        """
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._running().http_server.port}"

    @property
    def token(self) -> str:
        """The bearer token that clients must send.

        Raises:
            RuntimeError: the service is not running, and its token is in its database.
        """
        return self._token or self._running().token

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
        components = self._running()
        if components.agents is None:
            msg = "the local service takes no agents; start it with agents=True"
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
            RuntimeError: it is running already, worker processes do not start, another service
                uses the database, or this is a frozen application and no ``python`` was named.
            ConnectionError: the RabbitMQ cannot be reached.
            OSError: the port is taken, or the database cannot be read and written.
            ValueError: the database is another program's, of another version of this package, or
                damaged.
        """
        if self._components is not None:
            msg = "the local service is running already"
            raise RuntimeError(msg)
        if getattr(sys, "frozen", False) and self._python is None:
            msg = (
                "worker processes need a Python, and this is a frozen application, which would "
                "start itself instead; name one that has funcx-async installed: "
                "LocalService(python='/path/to/python3')"
            )
            raise RuntimeError(msg)
        warn_of_others(self._host)
        async with AsyncExitStack() as stack:
            self._components = await self._assemble(stack)
            self._stack = stack.pop_all()

    async def _assemble(self, stack: AsyncExitStack) -> Components:
        """Start every component, and leave on the stack how to close it."""
        store = Store(self._database)
        stack.callback(store.close)
        endpoint_id = _own_endpoint(store)
        token = self._token or store.secret("token")
        broker, publisher = await self._start_publisher(store)
        stack.push_async_callback(publisher.aclose)
        dispatch = Dispatch(store, publisher, self._switches)
        stack.callback(dispatch.close)
        pool = Pool(
            self._workers,
            work=store.work,
            settled=dispatch.settled,
            endpoint_id=endpoint_id,
            python=self._python,
        )
        stack.push_async_callback(pool.aclose)
        if self._switches.offline:
            pool.pause()
        self._switches.back_online = pool.resume
        dispatch.attach(endpoint_id, pool)
        agents = self._make_agents(store, dispatch, broker)
        # The open tasks first: results of agents that have lived on come from now on.
        await dispatch.start(pool)
        if agents is not None:
            stack.push_async_callback(agents.aclose)
            await agents.start()
        await pool.start()
        http_server = HttpServer(self._host, self._port)
        stack.push_async_callback(http_server.aclose)
        components = Components(
            store=store,
            broker=broker,
            publisher=publisher,
            pool=pool,
            dispatch=dispatch,
            agents=agents,
            http_server=http_server,
            switches=self._switches,
            endpoint_id=endpoint_id,
            token=token,
            status_key=secrets.token_urlsafe(24),
        )
        await http_server.start(Web(components).app)
        stack.callback(self._switches.release_all)
        return components

    async def _start_publisher(self, store: Store) -> tuple[EmbeddedBroker | None, Publisher]:
        """Start what publishes results, and the broker where it is one of our own."""
        if self._amqp_url is not None:
            publisher = RabbitPublisher(self._amqp_url)
            await publisher.start()
            return None, publisher
        # Agents come back to the address that they know.
        port = int(store.setting("amqp_port") or 0) if self._agents and not self._amqp_port else 0
        broker = EmbeddedBroker(host=self._host, port=port or self._amqp_port)
        try:
            await broker.start()
        except OSError as error:
            if not port:
                raise
            logger.warning("The broker has another port now; restart the agents: %s", error)
            broker = EmbeddedBroker(host=self._host)
            await broker.start()
        store.keep("amqp_port", str(broker.port))
        return broker, EmbeddedPublisher(broker)

    def _make_agents(
        self, store: Store, dispatch: Dispatch, broker: EmbeddedBroker | None
    ) -> Agents | None:
        """Return what looks after agents, if the service takes any."""
        if not self._agents:
            return None
        link: Link
        if broker is None:
            url = self._amqp_url or ""
            link = RabbitLink(url)
        else:
            password = store.secret("agents_password")
            broker.add_user(AGENTS_USER, password)
            url = broker.url(AGENTS_USER, password)
            link = EmbeddedLink(broker)
        return Agents(
            store,
            dispatch,
            link,
            url=url,
            forgetful=str(self._database) == IN_MEMORY,
            note=self._switches.counter.add,
        )

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
            self._components = None

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
        """Return a client of this service, which closes it and ends the executors that use it.

        Args:
            options: as :class:`~funcx_async.FuncXClient` takes them.
        """
        client = FuncXClient(self.url, auth=self.token, **options)
        self._stack.push_async_callback(client.aclose)
        self._stack.push_async_callback(end_sessions, client, _ENDED)  # while there is a broker
        return client

    def executor(self, **options: Any) -> FuncXExecutor:
        """Return an executor on this service's endpoint, with a client of its own.

        It ends with the service, if it has not ended before.

        Args:
            options: as :class:`~funcx_async.FuncXExecutor` takes them.
        """
        client = self.client(serializer=options.get("serializer"))
        chosen: dict[str, Any] = {"endpoint_id": self.endpoint_id, "funcx_client": client}
        return FuncXExecutor(**(chosen | options))


def _own_endpoint(store: Store) -> str:
    """Add what every service has to a new database, and return the id of its endpoint."""
    pack = FuncXSerializer().pack_buffers
    store.add_function(
        "hello_world",
        pack([f"st\nhello_world:{HELLO_WORLD_SOURCE}"]),
        function_id=HELLO_WORLD,
        description="Says hello to the world",
    )
    own = [endpoint.id for endpoint in store.endpoints() if endpoint.registration is None]
    return own[0] if own else store.add_endpoint("local workers")


def warn_of_others(host: str) -> None:
    """Log a warning unless only this machine can reach the address."""
    try:
        local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = host == "localhost"
    if not local:
        logger.warning(
            "The local service listens on %s, where others can reach it: who reads its token "
            "off the network, where it is not encrypted, can run code here. Prefer an SSH tunnel",
            host,
        )
