"""The virtual host "/": its queues and exchanges, and who may do what to them."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from funcx_async.local.broker.protocol import HardError, SoftError
from funcx_async.local.broker.queues import Queue, Volume, check_equivalent

DIRECT, FANOUT, TOPIC = "direct", "fanout", "topic"
KINDS = (DIRECT, FANOUT, TOPIC)
RESERVED = "amq."


@dataclass(eq=False, slots=True)
class Exchange:
    """A named exchange with its bindings.

    Attributes:
        bindings: for each binding key, the queues bound with it, by name.
    """

    name: str
    kind: str
    durable: bool = False
    auto_delete: bool = False
    internal: bool = False
    bindings: dict[str, dict[str, Queue]] = field(default_factory=dict)

    def bind(self, queue: Queue, key: str) -> None:
        """Send the queue what matches ``key``; a second time is as good as once."""
        self.bindings.setdefault(key, {})[queue.name] = queue

    def unbind(self, queue: str, key: str) -> bool:
        """Remove a binding; return whether there was one."""
        bound = self.bindings.get(key, {})
        if bound.pop(queue, None) is None:
            return False
        if not bound:
            del self.bindings[key]
        return True

    def forget(self, queue: str) -> bool:
        """Remove all bindings of a queue; return whether there were any."""
        bound = [key for key, queues in self.bindings.items() if queue in queues]
        for key in bound:
            self.unbind(queue, key)
        return bool(bound)

    def route(self, key: str) -> Iterable[Queue]:
        """Return the queues that get a message with this routing key, each once."""
        if self.kind == DIRECT:
            return self.bindings.get(key, {}).values()
        matching: dict[str, Queue] = {}
        words = _words(key)
        for pattern, queues in self.bindings.items():
            if self.kind == FANOUT or topic_matches(_words(pattern), words):
                matching |= queues
        return matching.values()


def topic_matches(pattern: Sequence[str], words: Sequence[str]) -> bool:
    """Return whether a topic pattern matches: ``*`` is one word, ``#`` any number of words.

    All ways to match are followed side by side, so no pattern takes more than the product of
    both lengths.

    Example:
        >>> topic_matches(["tasks", "#"], ["tasks", "done", "late"])
        True
        >>> topic_matches(["tasks", "*"], ["tasks"])
        False
    """
    reached = [True] + [False] * len(words)  # reached[i]: the pattern so far takes i words
    for part in pattern:
        if part == "#":
            for i in range(1, len(reached)):
                reached[i] = reached[i] or reached[i - 1]
        else:
            reached = [False] + [reached[i] and part in ("*", word) for i, word in enumerate(words)]
    return reached[-1]


def _words(key: str) -> list[str]:
    return key.split(".") if key else []


class Topology:
    """All queues and exchanges.

    ``owner`` is the connection on whose behalf something is done; None is the process itself,
    which may touch every queue.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, volume: Volume) -> None:
        self.queues: dict[str, Queue] = {}
        self.exchanges = {
            f"{RESERVED}{kind}": Exchange(f"{RESERVED}{kind}", kind, durable=True)
            for kind in (DIRECT, FANOUT, TOPIC)
        }
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
        for exchange in list(self.exchanges.values()):
            if exchange.forget(queue.name):
                self._remove_if_abandoned(exchange)
        return queue.delete()

    # exchanges

    def exchange(self, name: str) -> Exchange:
        """Return the exchange of this name.

        Raises:
            SoftError: 404, there is none.
        """
        exchange = self.exchanges.get(name)
        if exchange is None:
            raise SoftError(404, f"no exchange '{name}' in vhost '/'")
        return exchange

    def declare_exchange(
        self, name: str, kind: str, *, durable: bool, auto_delete: bool, internal: bool
    ) -> None:
        """Make an exchange, or check that it is already there as described.

        Raises:
            HardError: 503, there is no such kind of exchange.
            SoftError: 403, the name is reserved; 406, it differs.
        """
        if kind not in KINDS:
            raise HardError(503, f"unknown exchange type '{kind}'")
        _check_not_default(name)
        exchange = self.exchanges.get(name)
        if exchange is None:
            _check_reserved("exchange", name)
            self.exchanges[name] = Exchange(name, kind, durable, auto_delete, internal)
            return
        if kind != exchange.kind:
            raise _inequivalent("exchange", name, "type", kind, exchange.kind)
        _check_flag("exchange", name, "durable", durable, exchange.durable)
        _check_flag("exchange", name, "auto_delete", auto_delete, exchange.auto_delete)
        _check_flag("exchange", name, "internal", internal, exchange.internal)

    def delete_exchange(self, name: str, *, if_unused: bool = False) -> None:
        """Delete an exchange if there is one.

        Raises:
            SoftError: 403, it is one of the broker's own; 406, it is in use.
        """
        _check_not_default(name)
        if name.startswith(RESERVED):
            sentence = f"deletion of system exchange '{name}' in vhost '/' not allowed"
            raise SoftError(403, sentence)
        if if_unused and name in self.exchanges and self.exchanges[name].bindings:
            raise SoftError(406, f"exchange '{name}' in vhost '/' in use")
        self.exchanges.pop(name, None)

    def bind(self, queue: str, exchange: str, key: str, owner: object | None = None) -> None:
        """Bind a queue to an exchange.

        Raises:
            SoftError: 403, to the default exchange; 404, one is missing; 405, another's queue.
        """
        _check_not_default(exchange)
        self.exchange(exchange).bind(self.queue(queue, owner), key)

    def unbind(self, queue: str, exchange: str, key: str, owner: object | None = None) -> None:
        """Remove a binding, if there is one.

        Raises:
            SoftError: 403, from the default exchange; 405, it is another connection's queue.
        """
        _check_not_default(exchange)
        if queue in self.queues and exchange in self.exchanges:
            self.queue(queue, owner)
            if self.exchanges[exchange].unbind(queue, key):
                self._remove_if_abandoned(self.exchanges[exchange])

    def route(self, exchange: str, key: str) -> Iterable[Queue]:
        """Return the queues that get what a client publishes.

        Raises:
            SoftError: 404, there is no such exchange; 403, clients may not publish to it.
        """
        if exchange == "":  # the default exchange binds every queue by its name
            return [self.queues[key]] if key in self.queues else []
        found = self.exchange(exchange)
        if found.internal:
            raise SoftError(403, f"cannot publish to internal exchange '{exchange}' in vhost '/'")
        return found.route(key)

    def _remove_if_abandoned(self, exchange: Exchange) -> None:
        if exchange.auto_delete and not exchange.bindings:
            self.exchanges.pop(exchange.name, None)


def _check_not_default(exchange: str) -> None:
    if exchange == "":
        raise SoftError(403, "operation not permitted on the default exchange")


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
