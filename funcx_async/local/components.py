"""What a running service is made of."""

from __future__ import annotations

from dataclasses import dataclass, field

from funcx_async.local.agents.agents import Agents
from funcx_async.local.broker import EmbeddedBroker
from funcx_async.local.dispatch import Dispatch
from funcx_async.local.http_server import HttpServer
from funcx_async.local.injection import Switches
from funcx_async.local.publisher import Publisher
from funcx_async.local.store import Store
from funcx_async.local.workers.pool import Pool


@dataclass(frozen=True, slots=True)
class Components:
    """The parts of a running service.

    Attributes:
        store: what the service remembers.
        broker: where results go, if it is the embedded one.
        publisher: puts them there.
        pool: runs the tasks of the service's own endpoint.
        dispatch: takes tasks, and has them run.
        agents: run the tasks of other endpoints; None if the service takes none.
        http_server: serves HTTP.
        switches: what is to go wrong.
        endpoint_id: the service's own endpoint.
        token: the bearer token that clients must send.
        status_key: what the status page shows instead of the token.
    """

    store: Store
    broker: EmbeddedBroker | None
    publisher: Publisher
    pool: Pool
    dispatch: Dispatch
    agents: Agents | None
    http_server: HttpServer
    switches: Switches
    endpoint_id: str
    token: str = field(repr=False)
    status_key: str = field(repr=False)
