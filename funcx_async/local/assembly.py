"""Starting the parts of a service in order, and leaving on a stack how to take them apart."""

from __future__ import annotations

import secrets
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from funcx_async.local.agents.agents import Agents
from funcx_async.local.broker import EmbeddedBroker
from funcx_async.local.database import IN_MEMORY
from funcx_async.local.dispatch import Dispatch
from funcx_async.local.listener import Listener
from funcx_async.local.parts import Parts
from funcx_async.local.publisher import EmbeddedPublisher, Publisher, RabbitPublisher
from funcx_async.local.store import Store
from funcx_async.local.switches import Switches
from funcx_async.local.web import Web
from funcx_async.local.workers import Pool
from funcx_async.serialize import FuncXSerializer

HELLO_WORLD: Final = "b0a5d1a0-2b22-4381-b899-ba73321e41e0"
"""The public function that every service has."""
HELLO_WORLD_SOURCE: Final = 'def hello_world():\n    return "Hello World!"\n'


@dataclass(frozen=True, slots=True)
class Plan:
    """How a service is to be started."""

    workers: int
    amqp_url: str | None
    host: str
    port: int
    token: str | None
    database: str | Path
    agents: bool = False

    def __repr__(self) -> str:
        return f"Plan(workers={self.workers}, host={self.host!r}, port={self.port})"


async def assemble(plan: Plan, switches: Switches, stack: AsyncExitStack) -> Parts:
    """Start every part, and leave on the stack how to close it.

    Raises:
        ConnectionError: the RabbitMQ cannot be reached.
        OSError: the port is taken, or the database cannot be read and written.
        RuntimeError: worker processes do not start, or another service uses the database.
        ValueError: the database is another program's, of another version, or damaged.
    """
    store = Store(plan.database)
    stack.callback(store.close)
    endpoint_id = _prepare(store)
    token = plan.token or store.token()
    broker, publisher = _way_of_results(plan)
    stack.push_async_callback(publisher.aclose)
    await publisher.start()
    dispatch = Dispatch(store, publisher, switches)
    stack.callback(dispatch.close)
    pool = Pool(plan.workers, work=store.work, settled=dispatch.settled, endpoint_id=endpoint_id)
    stack.push_async_callback(pool.aclose)
    await pool.start()
    if switches.offline:
        pool.pause()
    switches.back_online = pool.resume
    dispatch.attach(endpoint_id, pool)
    agents = _agents(plan, store, dispatch, switches)
    if agents is not None:
        stack.push_async_callback(agents.aclose)
        await agents.start()
    await dispatch.start(pool)
    listener = Listener(plan.host, plan.port)
    stack.push_async_callback(listener.aclose)
    parts = Parts(
        store=store,
        broker=broker,
        publisher=publisher,
        pool=pool,
        dispatch=dispatch,
        agents=agents,
        listener=listener,
        switches=switches,
        endpoint_id=endpoint_id,
        token=token,
        status_key=secrets.token_urlsafe(24),
    )
    await listener.start(Web(parts).app)
    stack.callback(switches.release_all)
    return parts


def _way_of_results(plan: Plan) -> tuple[EmbeddedBroker | None, Publisher]:
    """What publishes results, and the broker where it is one of our own."""
    if plan.amqp_url is not None:
        return None, RabbitPublisher(plan.amqp_url)
    broker = EmbeddedBroker(host=plan.host)
    return broker, EmbeddedPublisher(broker)


def _agents(plan: Plan, store: Store, dispatch: Dispatch, switches: Switches) -> Agents | None:
    """What looks after agents, if the service is to take any."""
    if not plan.agents or plan.amqp_url is None:
        return None
    forgetful = str(plan.database) == IN_MEMORY
    note = switches.tally.add
    return Agents(store, dispatch, plan.amqp_url, forgetful=forgetful, note=note)


def _prepare(store: Store) -> str:
    """Put into a new database what every service has; the id of its endpoint."""
    pack = FuncXSerializer().pack_buffers
    store.add_function(
        "hello_world",
        pack([f"st\nhello_world:{HELLO_WORLD_SOURCE}"]),
        function_id=HELLO_WORLD,
        description="Says hello to the world",
    )
    own = [endpoint.id for endpoint in store.endpoints() if endpoint.registration is None]
    return own[0] if own else store.add_endpoint("local workers")
