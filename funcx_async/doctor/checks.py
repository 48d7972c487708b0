"""The checks, which one requires which, and how long each may take."""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from yarl import URL

from funcx_async._net.environment import (
    SERVICE_URL_VARIABLE,
    certificates,
    is_globus,
    is_loopback,
    request_timeout,
    service_url,
)
from funcx_async._net.http import certificate_check, web_proxy
from funcx_async._net.proxies import Proxy, proxy_for, refusal_of_status
from funcx_async._net.tunnel import BrokerUnreachable, broker_url
from funcx_async._service.outcomes import outcome_of
from funcx_async._settings.checks import checked_endpoint
from funcx_async.client import FuncXClient
from funcx_async.doctor import findings, network
from funcx_async.doctor.credentials import credentials_in_use
from funcx_async.doctor.report import Check, Finding, Report
from funcx_async.errors import FuncXError
from funcx_async.models import TaskStatus

CHECK_TIMEOUT = 4.0
"""Seconds that one check may take."""

TOTAL_TIMEOUT = 14.0
"""Seconds that all checks together may take, without the task."""

TASK_TIMEOUT = 25.0
"""Seconds that the task may take."""

CONNECT_TIMEOUT = 3.6
"""Seconds to connect in a check that does so once: slightly less than :data:`CHECK_TIMEOUT`."""

SHORT_CONNECT_TIMEOUT = 1.8
"""Seconds to connect in a check that may do so twice."""

POLL_INTERVAL = 0.5
"""Seconds between two status requests for the task."""

SOURCE = "def doctor_product(x, y):\n    return x * y\n"

DEFAULT_PORTS = {"amqp": 5672, "amqps": 5671}

OTHER_PORTS = {"amqp": (5672,), "amqps": (443, 5671)}
"""The ports on which brokers usually listen, by scheme."""

_SLOW = "The network or the service is slow, or a firewall silently drops connections. Try again."
_CORRECT = "Correct this setting, then run the doctor again."


@dataclass(frozen=True, slots=True)
class Target:
    """What to check.

    Attributes:
        service: the root URL of the service; None takes it from the environment.
        endpoint: the id of an endpoint; None checks none.
        amqp_port: a port for results in place of the one that the service names.
        task: whether to run a task.
    """

    service: str | None = None
    endpoint: str | None = None
    amqp_port: int | None = None
    task: bool = False


class Diagnosis:
    """Checks everything that a task needs, from the settings to the delivery of its result.

    A diagnosis runs once. Each check uses what the earlier ones found.

    Args:
        target: what to check.
        check_timeout: seconds that one check may take.
        total_timeout: seconds that all checks together may take, without the task.
        task_timeout: seconds that the task may take.

    Attributes:
        url: the root URL of the service, once it is known.

    Example::

        async for check in Diagnosis(Target()).checks():
            print(check.status, check.name, check.found, check.remedy)
    """

    def __init__(
        self,
        target: Target,
        *,
        check_timeout: float = CHECK_TIMEOUT,
        total_timeout: float = TOTAL_TIMEOUT,
        task_timeout: float = TASK_TIMEOUT,
    ) -> None:
        self.url = ""
        self._target = target
        self._check_timeout = check_timeout
        self._total_timeout = total_timeout
        self._task_timeout = task_timeout
        self._failed: dict[str, str] = {}
        self._proxy: Proxy | None = None
        self._tls: ssl.SSLContext | None = None
        self._date: tuple[str | None, float] = (None, 0.0)
        self._descriptions: list[Mapping[str, Any]] = []
        self._broker = URL()
        self._client: FuncXClient | None = None
        steps: dict[str, tuple[Callable[[], Awaitable[Finding]], str]] = {
            "settings": (self.check_settings, ""),
            "proxy": (self.check_proxy, "settings"),
            "dns": (self.check_dns, "proxy"),
            "port": (self.check_port, "dns"),
            "certificate": (self.check_certificate, "port"),
            "service": (self.check_service, "certificate"),
            "clock": (self.check_clock, "service"),
            "login": (self.check_login, "service"),
            "endpoint": (self.check_endpoint, "login"),
            "results address": (self.check_broker_address, "login"),
            "results port": (self.check_broker_port, "results address"),
            "results login": (self.check_broker_login, "results port"),
            "task": (self.check_task, "endpoint"),
            "versions": (self.check_versions, "endpoint"),
        }
        self._steps = steps

    def __repr__(self) -> str:
        return f"<Diagnosis of {self.url or 'a service'}>"

    @property
    def names(self) -> list[str]:
        """The names of the checks, in their order."""
        return list(self._steps)

    async def report(self) -> Report:
        """Make all checks and return their results."""
        checks = [check async for check in self.checks()]
        return Report(self.url, checks)

    async def checks(self) -> AsyncIterator[Check]:
        """Make the checks in order; skip those that require one that failed."""
        end = time.monotonic() + self._total_timeout
        try:
            for name, (check, requires) in self._steps.items():
                began = time.monotonic()
                timeout = min(self._check_timeout, end - began)
                if name == "task":  # the check itself reports a task that is too slow
                    timeout = self._task_timeout + self._check_timeout
                found = await self._run(name, check, requires, timeout)
                took = time.monotonic() - began
                if name == "task":
                    end += took
                yield Check(name, found.status, found.found, found.remedy, found.blocked_by, took)
        finally:
            if self._client is not None:
                await self._client.aclose()

    async def _run(
        self, name: str, check: Callable[[], Awaitable[Finding]], requires: str, timeout: float
    ) -> Finding:
        if failed := self._failed.get(requires):
            self._failed[name] = failed
            return Finding("SKIP", f"Requires {failed!r}, which did not pass.", blocked_by=failed)
        if timeout <= 0:
            finding = Finding("SKIP", "No time was left for it.", blocks=True)
        else:
            finding = await _within(timeout, check)
        if finding.blocks or finding.status == "FAIL":
            self._failed[name] = name
        return finding

    # The connection to the service --------------------------------------------------------------

    async def check_settings(self) -> Finding:
        """Check that the settings can be used."""
        source = f"--service or {SERVICE_URL_VARIABLE}"
        self.url = service_url(self._target.service, None, os.environ, source=source)
        request_timeout(None, os.environ)
        verify = certificates(os.environ)
        checked_endpoint(self._target.endpoint or None)
        if urlsplit(self.url).scheme == "https":
            self._tls = certificate_check(self.url, verify)
        if os.environ.get(SERVICE_URL_VARIABLE, "").rstrip("/") == self.url:
            return Finding("OK", f"Using {self.url} (from {SERVICE_URL_VARIABLE}).")
        return Finding("OK", f"Using {self.url}.")

    async def check_proxy(self) -> Finding:
        """Check that the proxy can be reached, if one is configured."""
        self._proxy = proxy = web_proxy(self.url)
        if proxy is None:
            return findings.of_proxy(None, None, loopback=is_loopback(self.url))
        failure = await network.probe_port(proxy.host, proxy.port, None, CONNECT_TIMEOUT)
        return findings.of_proxy(proxy, failure)

    async def check_dns(self) -> Finding:
        """Check that the name of the service has an address."""
        host, _ = self._host_and_port()
        if self._proxy is not None:
            return Finding("SKIP", "The proxy looks names up.")
        with suppress(ValueError):
            return Finding("OK", f"{ip_address(host)} is an IP address.")
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                return findings.of_dns(host, await network.count_addresses(host), None)
        except OSError as error:
            return findings.of_dns(host, 0, network.classify(error))

    async def check_port(self) -> Finding:
        """Check that the port of the service accepts connections."""
        host, port = self._host_and_port()
        if self._tls is None and self._proxy is not None:
            return Finding("SKIP", "The proxy forwards each request; see the check `service`.")
        if self._through_socks:
            return Finding("SKIP", "A SOCKS proxy is tested by the check `service`.")
        failure = await network.probe_port(host, port, self._proxy, CONNECT_TIMEOUT)
        return findings.of_port(host, port, failure)

    async def check_certificate(self) -> Finding:
        """Check that the certificate of the service is accepted."""
        host, port = self._host_and_port()
        if self._tls is None:
            if is_loopback(self.url):
                return Finding("SKIP", "A service on this machine needs none.")
            return Finding(
                "WARN",
                "The connection is not encrypted: anyone on the network path can read tokens and "
                "functions.",
                "Use https://, or an SSH tunnel.",
            )
        if self._through_socks:
            return Finding("SKIP", "Through a SOCKS proxy it is tested by the check `service`.")
        failure, expires_at = await network.open_and_close(host, port, self._proxy, self._tls)
        return findings.of_certificate(host, failure, expires_at, time.time())

    async def check_service(self) -> Finding:
        """Check that the server is a funcX service that supports this version."""
        url = f"{self.url}/v2/version?service=all"
        response = await network.get(url, self._proxy, self._tls or True)
        if isinstance(response, str):
            return findings.of_no_response(response, self._proxy)
        if response.status == 407 and self._proxy is not None:  # only proxies send this status
            host, port = self._host_and_port()
            refusal = refusal_of_status(self._proxy, f"{host}:{port}", "407")
            return findings.of_refusal(refusal)
        self._date = response.date, response.received_at
        self._client = FuncXClient(self._target.service)
        dialect = self._client.dialect
        return findings.of_service(
            response.status, response.body, dialect.sdk_name, dialect.sdk_version
        )

    async def check_clock(self) -> Finding:
        """Compare the clock of this machine with that of the service."""
        return findings.of_clock(*self._date)

    # What the service answers -------------------------------------------------------------------

    async def check_login(self) -> Finding:
        """Check that the service accepts the credentials."""
        credentials = credentials_in_use(self.url, os.environ, globus=is_globus(self.url))
        try:
            await self._connected().get_endpoints()
        except FuncXError as error:
            return findings.of_login(error, credentials)
        return findings.of_login(None, credentials)

    async def check_endpoint(self) -> Finding:
        """Check that the endpoint exists, is online and may be used."""
        endpoint = self._target.endpoint
        if not endpoint:
            return findings.of_missing_endpoint()
        client = self._connected()
        try:
            status = await client.get_endpoint_status(endpoint)
            self._descriptions.append((await client.get_endpoint_metadata(endpoint)).raw)
        except FuncXError as error:
            return findings.of_endpoint(endpoint, None, error)
        return findings.of_endpoint(endpoint, status, None)

    async def check_task(self) -> Finding:
        """Check that a task returns its result."""
        if not self._target.task:
            return Finding("SKIP", "Add --task to run a task.")
        client, began = self._connected(), time.monotonic()
        try:
            function_id = await client.register_source_code(SOURCE, "doctor_product")
            task_id = await client.run(
                6, 7, endpoint_id=self._target.endpoint or "", function_id=function_id
            )
            async with asyncio.timeout(self._task_timeout - (time.monotonic() - began)):
                status = await _finished(client, task_id)
        except TimeoutError:
            return findings.of_task(None, None, None)
        except FuncXError as error:
            return findings.of_task(None, error, 0.0)
        outcome = outcome_of(status)
        self._descriptions.append((outcome and outcome.details) or {})
        try:
            value = await client.get_result(task_id)
        except FuncXError as error:
            return findings.of_task(None, error, 0.0)
        return findings.of_task(value, None, time.monotonic() - began)

    async def check_versions(self) -> Finding:
        """Compare the versions of Python and dill on both sides.

        It comes after the task, whose worker reports its versions.
        """
        return findings.of_versions(findings.read_versions(self._descriptions))

    # The connection for results -----------------------------------------------------------------

    async def check_broker_address(self) -> Finding:
        """Check that the service names its broker."""
        address = await self._connected().get_result_queue_address()
        try:
            broker = broker_url(address.connection_url, self.url)
        except BrokerUnreachable as error:
            found = f"Results cannot come over AMQP: {error}."
            return Finding("FAIL", found, findings.TRY_AGAIN)
        self._broker = broker.with_port(
            self._target.amqp_port or broker.port or DEFAULT_PORTS[broker.scheme]
        )
        return Finding("OK", f"Results come from {self._broker.host}.")

    async def check_broker_port(self) -> Finding:
        """Check that the port of the broker accepts connections; if not, try the other ports."""
        host, port = self._broker.raw_host or "", self._broker.port or 0
        proxy = proxy_for(str(self._broker))
        failure = await network.probe_port(host, port, proxy, SHORT_CONNECT_TIMEOUT)
        if failure is None:
            return findings.of_broker_port(host, port, None, [], proxy)
        others = [self._broker.with_port(each) for each in OTHER_PORTS[self._broker.scheme]]
        others = [other for other in others if other.port != port]
        tried = await asyncio.gather(
            *(network.log_in_to_broker(other, proxy, SHORT_CONNECT_TIMEOUT) for other in others)
        )
        working = [other.port for other, failed in zip(others, tried, strict=True) if not failed]
        return findings.of_broker_port(host, port, failure, working, proxy)

    async def check_broker_login(self) -> Finding:
        """Check that the broker accepts the login."""
        proxy = proxy_for(str(self._broker))
        failure = await network.log_in_to_broker(self._broker, proxy, CONNECT_TIMEOUT)
        return findings.of_broker_login(failure)

    # Shared -------------------------------------------------------------------------------------

    def _connected(self) -> FuncXClient:
        assert self._client is not None  # noqa: S101 - the check `service` makes it
        return self._client

    def _host_and_port(self) -> tuple[str, int]:
        url = URL(self.url)
        return url.raw_host or "", url.port or 0

    @property
    def _through_socks(self) -> bool:
        return self._proxy is not None and not self._proxy.tunnels


async def _within(timeout: float, check: Callable[[], Awaitable[Finding]]) -> Finding:
    try:
        async with asyncio.timeout(timeout):
            return await check()
    except TimeoutError:
        return Finding("FAIL", f"No answer within {timeout:.0f} s.", _SLOW)
    except ValueError as error:  # a wrong setting, which the message names
        return Finding("FAIL", str(error), _CORRECT)
    except (FuncXError, OSError) as error:
        return Finding("FAIL", str(error), findings.TRY_AGAIN)


async def _finished(client: FuncXClient, task_id: str) -> TaskStatus:
    while True:
        status = await client.get_task(task_id)
        if not status.pending:
            return status
        await asyncio.sleep(POLL_INTERVAL)
