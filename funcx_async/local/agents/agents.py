"""Every agent of a service: registering, locking and deleting them, and looking after them."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from funcx_async.local.agents.agent import Agent, Note
from funcx_async.local.agents.ledger import Ledger
from funcx_async.local.agents.link import EmbeddedLink, Link
from funcx_async.local.dispatch import Dispatch
from funcx_async.local.store import Store, TaskOptions
from funcx_async.local.web.answers import Refusal, unknown

LOCKED_FOR: Final = 15.0
"""Seconds that an endpoint cannot register after it was locked."""
LOOK_EVERY: Final = 1.0
"""Seconds between two looks for user endpoints that are to be started."""
DECLARED_WITHIN: Final = 10.0
"""Seconds that a registration waits for the broker."""
FLUSHED_WITHIN: Final = 5.0


class Agents:
    """The agents that are attached to a service, or were.

    Args:
        store: what the service remembers.
        dispatch: gives them tasks, and takes results.
        link: the way to their queues.
        url: the broker's address for the agents.
        forgetful: whether the store forgets them when the service ends.
        note: receives what happens, for tests that wait for it.
    """

    def __init__(
        self,
        store: Store,
        dispatch: Dispatch,
        link: Link,
        *,
        url: str,
        forgetful: bool,
        note: Note,
    ) -> None:
        self._store = store
        self._dispatch = dispatch
        self._url = url
        self._forgetful = forgetful
        self._note = note
        self._ledger = Ledger(store.database)
        self._link = link
        self._agents: dict[str, Agent] = {}
        self._locked: dict[str, float] = {}
        self._looking: asyncio.TimerHandle | None = None
        if isinstance(link, EmbeddedLink):  # what it was sent by an earlier service is lost
            self._ledger.forget_sent()
        for endpoint in store.endpoints():
            if endpoint.registration is not None:
                self._know(endpoint.id)

    async def start(self) -> None:
        """Connect, and attach the agents that an earlier service knew.

        Raises:
            ConnectionError: the RabbitMQ cannot be reached.
        """
        await self._link.start()
        for agent in self._agents.values():
            agent.restore()
        self._look()

    async def aclose(self) -> None:
        """Disconnect; with a store that forgets them, delete their queues first."""
        if self._looking is not None:
            self._looking.cancel()
        if self._forgetful:
            for agent in self._agents.values():
                agent.withdraw()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FLUSHED_WITHIN):
                await self._link.done()
        await self._link.aclose()

    def get(self, endpoint_id: str) -> Agent | None:
        """Return the agent of this endpoint."""
        return self._agents.get(endpoint_id)

    async def register(
        self,
        name: str,
        registration: Mapping[str, Any],
        *,
        endpoint_id: str | None = None,
        allowed_functions: list[str] | None = None,
    ) -> dict[str, Any]:
        """Register an agent, and return the answer to it.

        Args:
            name: what it is called.
            registration: what it reports about itself.
            endpoint_id: the id that it has from an earlier registration. A service that has
                forgotten it takes it up again.
            allowed_functions: the functions that it runs; None is any.

        Raises:
            Refusal: the id is not an agent's, it is locked, or RabbitMQ does not answer.
        """
        if endpoint_id is None:
            endpoint_id = str(uuid.uuid4())
        elif (known := self._store.endpoint(endpoint_id)) and known.registration is None:
            raise not_an_agent(endpoint_id)
        self._check_lock(endpoint_id)
        self._ledger.put(endpoint_id, name, registration)
        self._ledger.allow_only(endpoint_id, allowed_functions or ())
        answer = self._know(endpoint_id).began()
        try:
            async with asyncio.timeout(DECLARED_WITHIN):
                await self._link.done()
        except TimeoutError:
            msg = "the RabbitMQ does not answer; register again"
            raise Refusal("SERVICE_UNAVAILABLE", msg) from None
        return answer

    def lock(self, endpoint_id: str) -> str:
        """Stop an agent and refuse it for a while; return until when, in ISO 8601.

        Raises:
            Refusal: the id is not an agent's.
        """
        agent = self._known(endpoint_id)
        agent.shut_out()
        until = time.time() + LOCKED_FOR
        self._locked[endpoint_id] = until
        return datetime.fromtimestamp(until, UTC).isoformat()

    def delete(self, endpoint_id: str) -> None:
        """Forget an agent; its open tasks fail.

        Raises:
            Refusal: the id is not an agent's.
        """
        agent = self._known(endpoint_id)
        del self._agents[endpoint_id]
        self._dispatch.detach(endpoint_id)
        agent.end("it was deleted")
        self._ledger.remove(endpoint_id)

    def note_runtime(self, endpoint_id: str, options: TaskOptions) -> None:
        """Remember who submits, for the template of the user endpoint that is started for it."""
        if endpoint_id in self._agents:
            self._ledger.keep_runtime(endpoint_id, options.options, options.runtime)

    def _known(self, endpoint_id: str) -> Agent:
        if self._store.endpoint(endpoint_id) is None:
            raise unknown("ENDPOINT", endpoint_id)
        if endpoint_id not in self._agents:
            raise not_an_agent(endpoint_id)
        return self._agents[endpoint_id]

    def _know(self, endpoint_id: str) -> Agent:
        agent = self._agents.get(endpoint_id)
        if agent is None:
            agent = Agent(
                endpoint_id,
                ledger=self._ledger,
                link=self._link,
                url=self._url,
                settle=self._dispatch.settled,
                note=self._note,
            )
            self._agents[endpoint_id] = agent
            self._dispatch.attach(endpoint_id, agent)
        return agent

    def _check_lock(self, endpoint_id: str) -> None:
        until = self._locked.pop(endpoint_id, 0.0)
        seconds = until - time.time()
        if seconds > 0:
            self._locked[endpoint_id] = until
            msg = f"the endpoint {endpoint_id} is locked for another {seconds:.0f} s"
            raise Refusal("RESOURCE_LOCKED", msg, error_args=[endpoint_id])

    def _look(self) -> None:
        for agent in self._agents.values():
            agent.tick()
        self._looking = asyncio.get_running_loop().call_later(LOOK_EVERY, self._look)


def not_an_agent(endpoint_id: str) -> Refusal:
    """Return the refusal to change the service's own endpoint."""
    msg = f"the endpoint {endpoint_id} is the service's own, and no agent's"
    return Refusal("ENDPOINT_ACCESS_FORBIDDEN", msg, error_args=[endpoint_id])
