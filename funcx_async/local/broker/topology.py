"""The virtual host "/": its queues and exchanges, and who may do what to them."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable, Mapping
from typing import Any

from funcx_async.local.broker.protocol import SoftError
from funcx_async.local.broker.queues import Queue, Volume, check_equivalent

DIRECT_EXCHANGE = "amq.direct"  # the only one with a name
RESERVED = "amq."


class Topology:
    """All queues, the default exchange and ``amq.direct``.

    ``owner`` is the connection on whose behalf something is done; None is the process itself,
    which may touch every queue.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, volume: Volume) -> None:
        self.queues: dict[str, Queue] = {}
        self._bound: dict[str, dict[str, Queue]] = {}  # to amq.direct, by key and queue
        self._loop = loop
        self.volume = volume

    # queues

    def queue(self, name: str, owner: object | None = None) -> Queue:
        """Return the queue of this name.

        Raises:
            SoftError: 404, there is none; 405, it is exclusive to another connection.
        """
        queue = self.queues.get(name)
        if queue is None:
            raise SoftError(404, f"no queue '{name}' in vhost '/'")
        if owner is not None and queue.owner not in (None, owner):
            raise _locked(name)
        return queue

    def declare_queue(
        self,
        name: str,
        *,
        durable: bool = False,
        exclusive: bool = False,
        auto_delete: bool = False,
        arguments: Mapping[str, Any] | None = None,
        owner: object | None = None,
    ) -> Queue:
        """Make a queue, or check that it is already there as described; "" makes up a name.

        Raises:
            SoftError: 403, the name is reserved; 405, it is another connection's; 406, it differs.
        """
        arguments = arguments or {}
        if (queue := self.queues.get(name)) is not None:
            self.queue(name, owner)
            if exclusive != (queue.owner is not None):
                raise _locked(name)
            _check_flag("queue", name, "durable", durable, queue.durable)
            _check_flag("queue", name, "auto_delete", auto_delete, queue.auto_delete)
            check_equivalent(name, arguments, queue.arguments)
            queue.touch()
            return queue
        _check_reserved("queue", name)
        queue = Queue(
            name or f"{RESERVED}gen-{secrets.token_urlsafe(16)}",
            loop=self._loop,
            volume=self.volume,
            on_unused=self._remove,
            durable=durable,
            auto_delete=auto_delete,
            owner=owner if exclusive else None,
            arguments=arguments,
        )
        self.queues[queue.name] = queue
        return queue

    def delete_queue(
        self,
        name: str,
        *,
        if_unused: bool = False,
        if_empty: bool = False,
        owner: object | None = None,
    ) -> int:
        """Delete a queue if there is one; how many messages it had.

        Raises:
            SoftError: 405, it is another connection's; 406, it is in use or not empty.
        """
        if name not in self.queues:
            return 0
        queue = self.queue(name, owner)
        if if_unused and queue.consumers:
            raise SoftError(406, f"queue '{name}' in vhost '/' in use")
        if if_empty and queue.ready:
            raise SoftError(406, f"queue '{name}' in vhost '/' not empty")
        return self._remove(queue)

    def delete_owned(self, owner: object) -> None:
        """Delete the queues that are exclusive to a connection that is gone."""
        for queue in [queue for queue in self.queues.values() if queue.owner is owner]:
            self._remove(queue)

    def delete_all(self) -> None:
        """Delete every queue; the broker closes."""
        for queue in list(self.queues.values()):
            self._remove(queue)

    def _remove(self, queue: Queue) -> int:
        # A queue whose last consumer goes while the queue is being deleted comes here twice.
        if self.queues.pop(queue.name, None) is None:
            return 0
        for key in [key for key, queues in self._bound.items() if queue.name in queues]:
            del self._bound[key][queue.name]
            if not self._bound[key]:
                del self._bound[key]
        return queue.delete()

    # exchanges

    def check_exchange(self, name: str) -> None:
        """Check that there is an exchange of this name.

        Raises:
            SoftError: 403, it is the default exchange; 404, there is none.
        """
        if name == "":
            raise SoftError(403, "operation not permitted on the default exchange")
        if name != DIRECT_EXCHANGE:
            raise SoftError(404, f"no exchange '{name}' in vhost '/'")

    def bind(self, queue: str, exchange: str, key: str, owner: object | None = None) -> None:
        """Bind a queue to an exchange; a second time is as good as once.

        Raises:
            SoftError: 403, to the default exchange; 404, one is missing; 405, another's queue.
        """
        self.check_exchange(exchange)
        found = self.queue(queue, owner)
        self._bound.setdefault(key, {})[queue] = found

    def route(self, exchange: str, key: str) -> Iterable[Queue]:
        """Return the queues that get what a client publishes.

        Raises:
            SoftError: 404, there is no such exchange.
        """
        if exchange == "":  # the default exchange binds every queue by its name
            return [self.queues[key]] if key in self.queues else []
        self.check_exchange(exchange)
        return self._bound.get(key, {}).values()


def _check_reserved(sort: str, name: str) -> None:
    if name.startswith(RESERVED):
        raise SoftError(403, f"{sort} name '{name}' contains reserved prefix '{RESERVED}*'")


def _check_flag(sort: str, name: str, flag: str, received: bool, current: bool) -> None:
    if received != current:
        raise _inequivalent(sort, name, flag, str(received).lower(), str(current).lower())


def _inequivalent(sort: str, name: str, arg: str, received: str, current: str) -> SoftError:
    return SoftError(
        406,
        f"inequivalent arg '{arg}' for {sort} '{name}' in vhost '/': "
        f"received '{received}' but current is '{current}'",
    )


def _locked(name: str) -> SoftError:
    return SoftError(
        405,
        f"cannot obtain exclusive access to locked queue '{name}' in vhost '/'. It could be "
        "originally declared on another connection or the exclusive property value does not "
        "match that of the original declaration.",
    )
