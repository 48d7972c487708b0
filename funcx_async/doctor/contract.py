"""Checks of what this package assumes about the hosted service without having observed it.

Most of what the package knows of the service was observed on the wire or is written in the official
clients. A few facts are inferred. With an account you can check each of them and keep the record:
``python -m funcx_async doctor --contract``. This registers two functions and runs a dozen small
tasks.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field
from typing import Any, Literal
from uuid import UUID, uuid4

import msgspec

from funcx_async._core.acks import Ack
from funcx_async._net.environment import COMPUTE, ENDPOINT_VARIABLE, auth_url
from funcx_async._results.amqp import AmqpSource
from funcx_async._results.source import Deliveries, ResultSource, SourceLost
from funcx_async._service.messages import MalformedMessage, decode_result
from funcx_async.auth.credentials import ClientCredentials
from funcx_async.client import FuncXClient
from funcx_async.errors import FuncXError, RequestRefused, TaskPending
from funcx_async.serialize import FuncXSerializer

FACT_TIMEOUT = 300.0
"""Seconds that the check of one fact may take: an endpoint may have to start workers first."""
POLL_INTERVAL = 1.0
"""Seconds between two requests for the result of a task."""
EARLY_RESULT_TRIES = 10
"""How many submits to watch for a result that arrives before the response to the submit."""
TOKEN_LIFETIME = 48 * 3600.0
TOKEN_TOLERANCE = 120.0
"""Seconds by which the lifetime of a token may differ; tokens are renewed before they expire."""

SOURCE = "def contract_double(x):\n    return 2 * x\n"

Verdict = Literal["holds", "differs", "unknown"]

FACTS: Mapping[str, str] = {
    "source is prepared": (
        "The service prepares a function that is registered as plain source for the workers: it "
        "runs."
    ),
    "errors have codes": "An error response names its reason by a code such as FUNCTION_NOT_FOUND.",
    "bodies are validated": (
        "A request of the v3 routes with an invalid body is rejected with status 422 and a list of "
        "what is wrong where."
    ),
    "tokens last two days": "An access token for client credentials is valid for 48 hours.",
    "the service creates the queue": (
        "A submit that asks for a result queue creates it: it can be consumed without being "
        "declared."
    ),
    "one queue for the group": (
        "The queue of a task group delivers the results of all its tasks, also of those that were "
        "submitted earlier or by another process."
    ),
    "results may be early": "A result may arrive before the response to the submit of its task.",
}
"""What the package assumes of the service, by the name of the fact."""


@dataclass(frozen=True)
class FactResult:
    """The result of the check of one fact.

    Attributes:
        name: the name of the fact.
        fact: what the package assumes, as a sentence.
        verdict: ``holds``, ``differs``, or ``unknown`` if the check could not decide.
        found: what the service did.
    """

    name: str
    fact: str
    verdict: Verdict
    found: str


@dataclass(frozen=True)
class ContractReport:
    """The results of the checks of all facts.

    Attributes:
        service: the root URL of the service.
        endpoint_id: the endpoint that ran the tasks.
        checked_at: when, in Unix seconds.
        findings: one result for each fact.
    """

    service: str
    endpoint_id: str
    checked_at: float
    findings: Sequence[FactResult] = field(default_factory=tuple)

    @property
    def differing(self) -> list[FactResult]:
        """The facts that the package assumes wrongly."""
        return [each for each in self.findings if each.verdict == "differs"]

    def to_json(self) -> str:
        """Return the report as JSON."""
        return msgspec.json.format(msgspec.json.encode(asdict(self)), indent=2).decode()

    def to_markdown(self) -> str:
        """Return the report as a table in Markdown."""
        when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(self.checked_at))
        rows = [
            f"| {each.name} | {each.fact} | **{each.verdict}** | {_cell(each.found)} |"
            for each in self.findings
        ]
        return "\n".join(
            [
                f"# API contract of {self.service}",
                "",
                f"Checked on {when}, with the endpoint {self.endpoint_id}.",
                "",
                "| fact | assumed | verdict | found |",
                "|---|---|---|---|",
                *rows,
                "",
            ]
        )


class ApiContract:
    """Checks each fact on a service.

    Args:
        client: a client of the service, in the v3 dialect.
        endpoint_id: an endpoint that runs what the client submits.
        credentials: client credentials to fetch a token for, whose lifetime is then checked; None
            leaves that fact unknown.
        source: delivers results; by default over AMQP.
        fact_timeout: seconds that the check of one fact may take.

    Example::

        async with FuncXClient() as client:
            report = await ApiContract(client, endpoint_id).check()
            print(report.to_markdown())
    """

    def __init__(
        self,
        client: FuncXClient,
        endpoint_id: str,
        *,
        credentials: ClientCredentials | None = None,
        source: ResultSource | None = None,
        fact_timeout: float = FACT_TIMEOUT,
    ) -> None:
        self._client = client
        self._endpoint_id = endpoint_id
        self._credentials = credentials
        self._source = source or AmqpSource(
            client.get_result_queue_address, service_url=client.base_url
        )
        self._fact_timeout = fact_timeout
        self._echo_id: str | None = None

    def __repr__(self) -> str:
        return f"<ApiContract with {self._client.base_url}>"

    async def check(self) -> ContractReport:
        """Check every fact in turn; a check that fails leaves its fact unknown."""
        checks: dict[str, Callable[[], Awaitable[tuple[Verdict, str]]]] = {
            "source is prepared": self.check_source,
            "errors have codes": self.check_error_codes,
            "bodies are validated": self.check_validation,
            "tokens last two days": self.check_token_lifetime,
            "the service creates the queue": self.check_new_queue,
            "one queue for the group": self.check_group_queue,
            "results may be early": self.check_early_results,
        }
        began = time.time()
        results = [
            FactResult(name, fact, *await self._guarded(checks[name]))
            for name, fact in FACTS.items()
        ]
        return ContractReport(self._client.base_url, self._endpoint_id, began, results)

    async def _guarded(
        self, check: Callable[[], Awaitable[tuple[Verdict, str]]]
    ) -> tuple[Verdict, str]:
        try:
            async with asyncio.timeout(self._fact_timeout):
                return await check()
        except TimeoutError:
            return "unknown", f"Nothing was observed within {self._fact_timeout:g} s."
        except (FuncXError, SourceLost, ValueError, KeyError) as error:
            return "unknown", f"The check failed: {error}"

    async def check_source(self) -> tuple[Verdict, str]:
        """Check that a function registered as source runs."""
        function_id = await self._client.register_source_code(SOURCE, "contract_double")
        task_id = await self._client.run(21, endpoint_id=self._endpoint_id, function_id=function_id)
        try:
            value = await self._result(task_id)
        except FuncXError as error:
            return "differs", f"Its task failed: {error}"
        return ("holds" if value == 42 else "differs"), f"Doubling 21 returned {value!r}."

    async def check_error_codes(self) -> tuple[Verdict, str]:
        """Check how error responses name their reason."""
        unknown_id = str(uuid4())
        requests = {
            "FUNCTION_NOT_FOUND": self._client.get_function,
            "ENDPOINT_NOT_FOUND": self._client.get_endpoint_status,
            "TASK_NOT_FOUND": self._client.get_task,
            "TASK_GROUP_NOT_FOUND": self._client.get_task_group,
        }
        codes = {name: await _error_code(send(unknown_id)) for name, send in requests.items()}
        found = ", ".join(f"{name}: {code}" for name, code in codes.items())
        return ("holds" if all(name == code for name, code in codes.items()) else "differs"), found

    async def check_validation(self) -> tuple[Verdict, str]:
        """Check how an invalid body is rejected."""
        wrong: Any = "not an object"
        tasks = {await self._echo(): [_payload(0)]}
        try:
            await self._client.submit(self._endpoint_id, tasks, resource_specification=wrong)
        except RequestRefused as error:
            listed = error.status == 422 and error.reason.startswith("body")
            found = f"{error.status} {error.code or 'without a code'}: {error.reason}"
            return ("holds" if listed else "differs"), found
        return "differs", "The service accepted a string as resource specification."

    async def check_token_lifetime(self) -> tuple[Verdict, str]:
        """Check how long a token is valid."""
        if self._credentials is None:
            return "unknown", "There are no client credentials to fetch a token for."
        token = await self._credentials.fetch(None)
        lifetime = token.expires_at - time.time()
        near = abs(TOKEN_LIFETIME - lifetime) < TOKEN_TOLERANCE
        found = f"A token is valid for {lifetime / 3600:.1f} hours."
        return ("holds" if near else "differs"), found

    async def check_new_queue(self) -> tuple[Verdict, str]:
        """Check that the queue of a new group can be consumed."""
        group, task_id = await self._submit(1)
        try:
            async with self._consumed(group) as arrivals:
                await arrivals.of(task_id)
        except SourceLost as error:
            missing = re.search(r"not.?found|no queue", str(error), re.IGNORECASE)
            return "differs" if missing else "unknown", f"It could not be consumed: {error}"
        return "holds", "The queue of a new group delivered the result of its first task."

    async def check_group_queue(self) -> tuple[Verdict, str]:
        """Check that the queue of a group delivers earlier and later tasks."""
        group, earlier = await self._submit(1)
        async with self._consumed(group) as arrivals:
            await arrivals.of(earlier)
            _, later = await self._submit(2, group)
            await arrivals.of(later)
        return "holds", "Tasks submitted before and after the consumer started were delivered."

    async def check_early_results(self) -> tuple[Verdict, str]:
        """Check whether a result arrives before the response to its submit."""
        clock = asyncio.get_running_loop()
        group, first = await self._submit(0)
        early = 0
        async with self._consumed(group) as arrivals:
            await arrivals.of(first)
            for number in range(EARLY_RESULT_TRIES):
                _, task_id = await self._submit(number, group)
                answered = clock.time()
                early += await arrivals.of(task_id) < answered
        if early:
            return "holds", f"{early} of {EARLY_RESULT_TRIES} results arrived first."
        return "unknown", (
            f"{EARLY_RESULT_TRIES} results arrived after the response, which does not disprove it."
        )

    # Requests -----------------------------------------------------------------------------------

    async def _echo(self) -> str:
        if self._echo_id is None:
            source = "def contract_echo(x):\n    return x\n"
            self._echo_id = await self._client.register_source_code(source, "contract_echo")
        return self._echo_id

    async def _submit(self, value: int, group: str | None = None) -> tuple[str, str]:
        """Submit a task that returns ``value``; return the ids of its group and of the task."""
        function_id = await self._echo()
        receipt = await self._client.submit(
            self._endpoint_id, {function_id: [_payload(value)]}, task_group_id=group
        )
        return receipt.task_group_id, receipt.tasks[function_id][0]

    async def _result(self, task_id: str) -> Any:
        while True:
            try:
                return await self._client.get_result(task_id)
            except TaskPending:
                await asyncio.sleep(POLL_INTERVAL)

    @asynccontextmanager
    async def _consumed(self, group: str) -> AsyncIterator[_Arrivals]:
        arrivals = _Arrivals()
        async with self._source.open(group) as deliveries:
            reader = asyncio.create_task(arrivals.read(deliveries), name="funcx:contract")
            try:
                yield arrivals
            finally:
                reader.cancel()
                await asyncio.wait([reader])


class _Arrivals:
    """The times at which the results of tasks arrived on a queue."""

    def __init__(self) -> None:
        self._times: dict[str, float] = {}
        self._lost: SourceLost | None = None
        self._changed = asyncio.Event()

    async def of(self, task_id: str) -> float:
        """Wait for the result of a task; return its arrival time on the loop's clock.

        Raises:
            SourceLost: if the connection is lost first.
        """
        while task_id not in self._times:
            if self._lost is not None:
                raise self._lost
            self._changed.clear()
            await self._changed.wait()
        return self._times[task_id]

    async def read(self, deliveries: Deliveries) -> None:
        """Read deliveries until the connection is closed or lost."""
        clock = asyncio.get_running_loop()
        try:
            while burst := await deliveries.next_burst():
                for delivery in burst:
                    with suppress(MalformedMessage):
                        result = decode_result(delivery.body)
                        self._times.setdefault(result.task_id, clock.time())
                await deliveries.acknowledge([Ack(burst[-1].tag, multiple=True)])
                self._changed.set()
        except SourceLost as error:
            self._lost = error
            self._changed.set()


async def check_contract(endpoint_id: str | None, variables: Mapping[str, str]) -> ContractReport:
    """Check the service that the environment names, with its credentials or the stored login.

    Args:
        endpoint_id: an endpoint; None takes it from ``FUNCX_ASYNC_ENDPOINT_ID``.
        variables: the environment variables of the process.

    Raises:
        ValueError: if there is no endpoint, or its id is malformed.
        FuncXError: if the service cannot be used.
    """
    named = endpoint_id or variables.get(ENDPOINT_VARIABLE)
    if not named:
        raise ValueError(f"set --endpoint or {ENDPOINT_VARIABLE}.")
    try:
        endpoint = str(UUID(named))
    except ValueError:
        raise ValueError(f"{named!r} is not the id of an endpoint: it must be a UUID.") from None
    client_id, secret = (variables.get(f"GLOBUS_COMPUTE_CLIENT_{n}") for n in ("ID", "SECRET"))
    issuer = auth_url(variables.get(COMPUTE.variable) or "production", variables)
    # A new token is fetched: a stored one has used up part of its lifetime.
    credentials = (
        ClientCredentials(client_id, secret, auth_url=issuer) if client_id and secret else None
    )
    async with FuncXClient() as client:
        await client.get_endpoint_status(endpoint)  # fail early without access to the endpoint
        return await ApiContract(client, endpoint, credentials=credentials).check()


def _payload(value: int) -> str:
    return FuncXSerializer().serialize_arguments((value,), {})


async def _error_code(request: Awaitable[Any]) -> str:
    try:
        await request
    except RequestRefused as error:
        return error.code or f"no code, status {error.status}"
    return "no error"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
