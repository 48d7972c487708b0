"""Looking at each part of the way between here and a result; the verdicts are made elsewhere."""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from yarl import URL

from funcx_async._net.environments import (
    SERVICE_URL_VARIABLE,
    certificates,
    is_globus,
    is_loopback,
    request_timeout,
    service_url,
)
from funcx_async._net.proxies import Proxy, proxy_for, refusal_of_status
from funcx_async._net.transports import certificate_check, web_proxy
from funcx_async._service.outcomes import outcome_of
from funcx_async._settings.checks import checked_endpoint
from funcx_async.client import FuncXClient
from funcx_async.doctor import permissions, probes, verdicts
from funcx_async.doctor.credentials import credentials_here
from funcx_async.doctor.report import Verdict
from funcx_async.doctor.troubles import trouble_of
from funcx_async.errors import FuncXError
from funcx_async.models import TaskStatus

ONE_TRY = 3.6
"""Seconds to connect, where a check does so once: nearly all that it may take."""

CONNECTING = 1.8
"""Seconds to connect, where a check may do so twice."""

TASK = 25.0
"""Seconds that a task may take."""

PAUSE = 0.5
"""Seconds between two looks whether it has ended."""

SOURCE = "def doctor_product(x, y):\n    return x * y\n"

_PORTS = {"amqp": 5672, "amqps": 5671}

OTHER_PORTS = {"amqp": (5672,), "amqps": (443, 5671)}
"""Where else brokers listen, by how they are spoken to."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be looked at.

    Attributes:
        service: the service's root; None: as the environment says.
        endpoint: an endpoint's id; None: none.
        amqp_port: another port for results than the service's choice.
        task: whether a task is run.
    """

    service: str | None = None
    endpoint: str | None = None
    amqp_port: int | None = None
    task: bool = False


class Looks:
    """One look each, in the order in which they stand here: later ones use what earlier ones saw.

    Args:
        wanted: what is to be looked at.
        task: seconds that a task may take.

    Attributes:
        url: the service's root, once it is known.
        client: asks the service, once there is one.
    """

    def __init__(self, wanted: Wanted, task: float = TASK) -> None:
        self._wanted = wanted
        self._task = task
        self._proxy: Proxy | None = None
        self._context: ssl.SSLContext | None = None
        self._date: tuple[str | None, float] = (None, 0.0)
        self._told: list[Mapping[str, Any]] = []
        self._broker = URL()
        self.url = ""
        self.client: FuncXClient | None = None

    def __repr__(self) -> str:
        return f"<Looks at {self.url or 'a service'}>"

    # The way to the service ---------------------------------------------------------------------

    async def at_settings(self) -> Verdict:
        """Whether what is set can be used."""
        source = f"--service or {SERVICE_URL_VARIABLE}"
        self.url = service_url(self._wanted.service, None, os.environ, source=source)
        request_timeout(None, os.environ)
        verify = certificates(os.environ)
        checked_endpoint(self._wanted.endpoint or None)
        if urlsplit(self.url).scheme == "https":
            self._context = certificate_check(self.url, verify)
        if os.environ.get(SERVICE_URL_VARIABLE, "").rstrip("/") == self.url:
            return Verdict("OK", f"The service is {self.url}, says {SERVICE_URL_VARIABLE}.")
        return Verdict("OK", f"The service is {self.url}.")

    async def at_proxy(self) -> Verdict:
        """Whether the proxy is there, if one is named."""
        self._proxy = proxy = web_proxy(self.url)
        if proxy is None:
            return verdicts.of_proxy(None, None, loopback=is_loopback(self.url))
        trouble = await probes.trouble_reaching(proxy.host, proxy.port, None, ONE_TRY)
        return verdicts.of_proxy(proxy, trouble)

    async def at_name(self) -> Verdict:
        """Whether the service's name has an address."""
        host, _ = self._place()
        if self._proxy is not None:
            return Verdict("SKIP", "Names are looked up by the proxy.")
        with suppress(ValueError):
            return Verdict("OK", f"{ip_address(host)} is an address already.")
        try:
            async with asyncio.timeout(ONE_TRY):
                return verdicts.of_name(host, await probes.addresses_of(host), None)
        except OSError as error:
            return verdicts.of_name(host, 0, trouble_of(error))

    async def at_port(self) -> Verdict:
        """Whether its port takes connections."""
        host, port = self._place()
        if self._context is None and self._proxy is not None:
            return Verdict("SKIP", "The proxy is asked, and asks the service itself.")
        if self._by_socks:
            return Verdict("SKIP", "The SOCKS proxy is asked together with the service.")
        return verdicts.of_port(
            host, port, await probes.trouble_reaching(host, port, self._proxy, ONE_TRY)
        )

    async def at_certificate(self) -> Verdict:
        """Whether its certificate is accepted."""
        host, port = self._place()
        if self._context is None:
            if is_loopback(self.url):
                return Verdict("SKIP", "This very machine needs none.")
            return Verdict(
                "WARN",
                "Nothing is encrypted: whoever is on the way can read tokens and functions.",
                "Use https://, or an SSH tunnel.",
            )
        if self._by_socks:
            return Verdict("SKIP", "It is checked together with the service.")
        trouble, expires_at = await probes.reach(host, port, self._proxy, self._context)
        return verdicts.of_certificate(host, trouble, expires_at, time.time())

    async def at_service(self) -> Verdict:
        """Whether it is a funcX service, and takes what this version says."""
        answer = await probes.ask(
            f"{self.url}/v2/version?service=all", self._proxy, self._context or True
        )
        if isinstance(answer, str):
            return verdicts.of_unanswered(answer, self._proxy)
        if answer.status == 407 and self._proxy is not None:  # nobody else wants such a login
            host, port = self._place()
            refusal = refusal_of_status(self._proxy, f"{host}:{port}", "407")
            return verdicts.of_refusal(refusal)
        self._date = answer.date, answer.came_at
        self.client = FuncXClient(self._wanted.service)
        dialect = self.client.dialect
        return verdicts.of_service(
            answer.status, answer.body, dialect.sdk_name, dialect.sdk_version
        )

    async def at_clock(self) -> Verdict:
        """Whether the clock here agrees with its own."""
        return verdicts.of_clock(*self._date)

    # What the service says ----------------------------------------------------------------------

    async def at_login(self) -> Verdict:
        """Whether it accepts the credentials."""
        credentials = credentials_here(self.url, os.environ, globus=is_globus(self.url))
        try:
            await self._asked().get_endpoints()
        except FuncXError as error:
            return permissions.of_login(error, credentials)
        return permissions.of_login(None, credentials)

    async def at_endpoint(self) -> Verdict:
        """Whether the endpoint is there, and for us."""
        endpoint = self._wanted.endpoint
        if not endpoint:
            return permissions.no_endpoint()
        try:
            status = await self._asked().get_endpoint_status(endpoint)
            self._told.append((await self._asked().get_endpoint_metadata(endpoint)).raw)
        except FuncXError as error:
            return permissions.of_endpoint(endpoint, None, error)
        return permissions.of_endpoint(endpoint, status, None)

    async def at_versions(self) -> Verdict:
        """Whether Python and dill are the same there; after the task, which tells of its worker."""
        versions = permissions.told_versions(self._told)
        return permissions.of_versions(versions)

    # The way back -------------------------------------------------------------------------------

    async def at_address(self) -> Verdict:
        """Whether it tells where results are."""
        address = await self._asked().get_result_queue_address()
        try:
            broker = URL(address.connection_url)
            self._broker = broker.with_port(
                self._wanted.amqp_port or broker.port or _PORTS[broker.scheme]
            )
        except (ValueError, KeyError):
            words = "The service's address of the broker is not understood."
            return Verdict("FAIL", words, permissions.AGAIN)
        return Verdict("OK", f"Results come from {self._broker.host}.")

    async def at_queue_port(self) -> Verdict:
        """Whether their broker's port takes connections; if not, whether others do."""
        host, port, proxy = self._broker.raw_host or "", self._broker.port or 0, self._queue_proxy()
        trouble = await probes.trouble_reaching(host, port, proxy, CONNECTING)
        if trouble is None:
            return permissions.of_queue_port(host, port, None, [], proxy)
        others = [self._broker.with_port(each) for each in OTHER_PORTS[self._broker.scheme]]
        others = [other for other in others if other.port != port]
        tried = await asyncio.gather(
            *(probes.log_in_to_broker(other, proxy, CONNECTING) for other in others)
        )
        working = [other.port for other, failed in zip(others, tried, strict=True) if not failed]
        return permissions.of_queue_port(host, port, trouble, working, proxy)

    async def at_queue_login(self) -> Verdict:
        """Whether the broker lets us in."""
        trouble = await probes.log_in_to_broker(self._broker, self._queue_proxy(), ONE_TRY)
        return permissions.of_queue_login(trouble)

    async def at_task(self) -> Verdict:
        """Whether a task comes back with its result."""
        if not self._wanted.task:
            return Verdict("SKIP", "It was not asked for: --task runs one.")
        client, began = self._asked(), time.monotonic()
        task_id = ""
        try:
            function_id = await client.register_source_code(SOURCE, "doctor_product")
            task_id = await client.run(
                6, 7, endpoint_id=self._wanted.endpoint or "", function_id=function_id
            )
            async with asyncio.timeout(self._task - (time.monotonic() - began)):
                status = await self._ended(task_id)
        except TimeoutError:
            return permissions.of_task(None, None, None)
        except FuncXError as error:
            return permissions.of_task(None, error, 0.0)
        outcome = outcome_of(status)
        self._told.append((outcome and outcome.details) or {})
        try:
            value = await client.get_result(task_id)
        except FuncXError as error:
            return permissions.of_task(None, error, 0.0)
        return permissions.of_task(value, None, time.monotonic() - began)

    async def _ended(self, task_id: str) -> TaskStatus:
        while True:
            status = await self._asked().get_task(task_id)
            if not status.pending:
                return status
            await asyncio.sleep(PAUSE)

    # How it is done -----------------------------------------------------------------------------

    def _asked(self) -> FuncXClient:
        assert self.client is not None  # noqa: S101 - what asks needs the check that makes it
        return self.client

    def _place(self) -> tuple[str, int]:
        url = URL(self.url)
        return url.raw_host or "", url.port or 0

    @property
    def _by_socks(self) -> bool:
        return self._proxy is not None and not self._proxy.tunnels

    def _queue_proxy(self) -> Proxy | None:
        return proxy_for(str(self._broker))
