"""What all connections of a broker share."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Generic, TypeVar

from funcx_async.local.broker.login import Offer, Users
from funcx_async.local.broker.topology import Topology
from funcx_async.local.broker.volume import Volume, Watch

C = TypeVar("C")


@dataclass(frozen=True, slots=True)
class Premises(Generic[C]):
    """What all connections of a broker share, whatever a connection is.

    Attributes:
        handshake_timeout: seconds that a client has to log in.
        close_timeout: seconds that a client has to agree to being closed.
        max_body: the largest message body taken, in bytes.
        connections: those that are open; each adds and removes itself.
    """

    loop: asyncio.AbstractEventLoop
    users: Users
    offer: Offer
    topology: Topology
    volume: Volume
    watch: Watch
    handshake_timeout: float
    close_timeout: float
    max_body: int
    connections: set[C]
