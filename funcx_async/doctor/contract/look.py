"""Looking at each fact."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

from funcx_async._net.environments import COMPUTE, ENDPOINT_VARIABLE, auth_url
from funcx_async._results.amqp import AmqpSource
from funcx_async._results.source import ResultSource, SourceLost
from funcx_async.auth.credentials import ClientCredentials
from funcx_async.client import FuncXClient
from funcx_async.doctor.contract.arrivals import Arrivals
from funcx_async.doctor.contract.findings import FACTS, Finding, Findings, Verdict
from funcx_async.errors import FuncXError, RequestRefused, TaskPending
from funcx_async.serialize import FuncXSerializer

LIMIT = 300.0
"""Seconds that one fact may take: an endpoint may have to start its workers first."""
PAUSE = 1.0
"""Seconds between two looks whether a task is done."""
TRIES = 10
"""So many submits are watched for a result that comes before their answer."""
TWO_DAYS = 48 * 3600.0
TOLERANCE = 120.0
"""Seconds by which a token's lifetime may differ: tokens are not used to their last moment."""

SOURCE = "def contract_double(x):\n    return 2 * x\n"

Looked = tuple[Verdict, str]


class Look:
    """Looks at a service.

    Args:
        client: asks it, in today's dialect.
        endpoint_id: an endpoint that runs what the client submits.
        credentials: have tokens issued, whose lifetime is looked at; None leaves that open.
        source: brings results; by default over AMQP.
        limit: seconds that one fact may take.

    Example::

        async with FuncXClient() as client:
            print((await Look(client, endpoint_id).at_everything()).to_markdown())
    """

    def __init__(
        self,
        client: FuncXClient,
        endpoint_id: str,
        *,
        credentials: ClientCredentials | None = None,
        source: ResultSource | None = None,
        limit: float = LIMIT,
    ) -> None:
        self._client = client
        self._endpoint_id = endpoint_id
        self._credentials = credentials
        self._source = source or AmqpSource(client.get_result_queue_address)
        self._limit = limit
        self._function_id: str | None = None

    def __repr__(self) -> str:
        return f"<Look at {self._client.base_url}>"

    async def at_everything(self) -> Findings:
        """Look at every fact, one after the other; what fails is unknown, and the next is next."""
        looks: dict[str, Callable[[], Awaitable[Looked]]] = {
            "source is made ready": self.at_source,
            "refusals have names": self.at_codes,
            "bodies are validated": self.at_validation,
            "tokens last two days": self.at_tokens,
            "the service makes the queue": self.at_the_queue,
            "one queue for the group": self.at_the_group,
            "results may be early": self.at_early_results,
        }
        began = time.time()
        findings = [
            Finding(name, fact, *await self._tried(looks[name])) for name, fact in FACTS.items()
        ]
        return Findings(self._client.base_url, self._endpoint_id, began, findings)

    async def _tried(self, look: Callable[[], Awaitable[Looked]]) -> Looked:
        try:
            async with asyncio.timeout(self._limit):
                return await look()
        except TimeoutError:
            return "unknown", f"There was nothing to be seen within {self._limit:g} s."
        except (FuncXError, SourceLost, ValueError, KeyError) as error:
            return "unknown", f"The look failed: {error}"

    async def at_source(self) -> Looked:
        """Whether source runs."""
        function_id = await self._client.register_source_code(SOURCE, "contract_double")
        task_id = await self._client.run(21, endpoint_id=self._endpoint_id, function_id=function_id)
        try:
            value = await self._value(task_id)
        except FuncXError as error:
            return "differs", f"Its task failed: {error}"
        return ("holds" if value == 42 else "differs"), f"Doubling 21 gave {value!r}."

    async def at_codes(self) -> Looked:
        """How refusals name their reason."""
        nobody = str(uuid4())
        asked = {
            "FUNCTION_NOT_FOUND": self._client.get_function,
            "ENDPOINT_NOT_FOUND": self._client.get_endpoint_status,
            "TASK_NOT_FOUND": self._client.get_task,
            "TASK_GROUP_NOT_FOUND": self._client.get_task_group,
        }
        named = {name: await _code_of(ask(nobody)) for name, ask in asked.items()}
        found = ", ".join(f"{name}: {code}" for name, code in named.items())
        return ("holds" if all(name == code for name, code in named.items()) else "differs"), found

    async def at_validation(self) -> Looked:
        """How a body is refused that is not as it should be."""
        wrong: Any = "not an object"
        tasks = {await self._echo(): [_payload(0)]}
        try:
            await self._client.submit(self._endpoint_id, tasks, resource_specification=wrong)
        except RequestRefused as error:
            listed = error.status == 422 and error.reason.startswith("body")
            found = f"{error.status} {error.code or 'without a code'}: {error.reason}"
            return ("holds" if listed else "differs"), found
        return "differs", "The service took a resource specification that is a text."

    async def at_tokens(self) -> Looked:
        """How long a token is good for."""
        if self._credentials is None:
            return "unknown", "There are no client credentials that a token could be issued to."
        token = await self._credentials.fetch(None)
        lifetime = token.expires_at - time.time()
        near = abs(TWO_DAYS - lifetime) < TOLERANCE
        return ("holds" if near else "differs"), f"A token is good for {lifetime / 3600:.1f} hours."

    async def at_the_queue(self) -> Looked:
        """Whether the queue of a new group can be consumed."""
        group, task_id = await self._submit(1)
        try:
            async with self._consumed(group) as arrivals:
                await arrivals.of(task_id)
        except SourceLost as error:
            missing = re.search(r"not.?found|no queue", str(error), re.IGNORECASE)
            return "differs" if missing else "unknown", f"It could not be consumed: {error}"
        return "holds", "The result of the first task of a new group came by its queue."

    async def at_the_group(self) -> Looked:
        """Whether tasks of before and of elsewhere come by the group's queue."""
        group, before = await self._submit(1)
        async with self._consumed(group) as arrivals:
            await arrivals.of(before)
            _, meanwhile = await self._submit(2, group)
            await arrivals.of(meanwhile)
        return "holds", "A task from before there was a consumer and one from after it both came."

    async def at_early_results(self) -> Looked:
        """Whether a result came before the answer to its submit."""
        clock = asyncio.get_running_loop()
        group, first = await self._submit(0)
        early = 0
        async with self._consumed(group) as arrivals:
            await arrivals.of(first)
            for number in range(TRIES):
                _, task_id = await self._submit(number, group)
                answered = clock.time()
                early += await arrivals.of(task_id) < answered
        if early:
            return "holds", f"{early} of {TRIES} results came before the answer."
        return "unknown", f"{TRIES} results came after the answer, which does not refute it."

    # How it is done -----------------------------------------------------------------------------

    async def _echo(self) -> str:
        if self._function_id is None:
            source = "def contract_echo(x):\n    return x\n"
            self._function_id = await self._client.register_source_code(source, "contract_echo")
        return self._function_id

    async def _submit(self, value: int, group: str | None = None) -> tuple[str, str]:
        """Submit a task that gives ``value`` back; its group and its id."""
        function_id = await self._echo()
        receipt = await self._client.submit(
            self._endpoint_id, {function_id: [_payload(value)]}, task_group_id=group
        )
        return receipt.task_group_id, receipt.tasks[function_id][0]

    async def _value(self, task_id: str) -> Any:
        while True:
            try:
                return await self._client.get_result(task_id)
            except TaskPending:
                await asyncio.sleep(PAUSE)

    @asynccontextmanager
    async def _consumed(self, group: str) -> AsyncIterator[Arrivals]:
        arrivals = Arrivals()
        async with self._source.open(group) as deliveries:
            reading = asyncio.create_task(arrivals.read(deliveries), name="funcx:contract")
            try:
                yield arrivals
            finally:
                reading.cancel()
                await asyncio.wait([reading])


async def look_from_here(endpoint_id: str | None, variables: Mapping[str, str]) -> Findings:
    """Look at the service that the environment names, as whoever it or the login says.

    Args:
        endpoint_id: an endpoint; None: ``FUNCX_ASYNC_ENDPOINT_ID`` of the environment.
        variables: the process's environment.

    Raises:
        ValueError: if there is no endpoint, or it is no id.
        FuncXError: if the service cannot be asked.
    """
    named = endpoint_id or variables.get(ENDPOINT_VARIABLE)
    if not named:
        raise ValueError(f"name an endpoint by --endpoint or {ENDPOINT_VARIABLE}.")
    try:
        endpoint = str(UUID(named))
    except ValueError:
        raise ValueError(f"{named!r} is not the id of an endpoint: a UUID is.") from None
    client_id, secret = (variables.get(f"GLOBUS_COMPUTE_CLIENT_{n}") for n in ("ID", "SECRET"))
    place = auth_url(variables.get(COMPUTE.variable) or "production", variables)
    # Not those of the environment as they are: a stored token would be part of the way to its end.
    credentials = (
        ClientCredentials(client_id, secret, auth_url=place) if client_id and secret else None
    )
    async with FuncXClient() as client:
        await client.get_endpoint_status(endpoint)  # who may not ask this need not look further
        return await Look(client, endpoint, credentials=credentials).at_everything()


def _payload(value: int) -> str:
    return FuncXSerializer().serialize_arguments((value,), {})


async def _code_of(asking: Awaitable[Any]) -> str:
    try:
        await asking
    except RequestRefused as error:
        return error.code or f"no code, status {error.status}"
    return "no refusal"
