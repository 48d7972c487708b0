"""Exchanges: who gets a message, by its routing key."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from funcx_async.local.broker.queues import Queue

DIRECT, FANOUT, TOPIC = "direct", "fanout", "topic"
KINDS = (DIRECT, FANOUT, TOPIC)


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
        """Undo a binding; whether there was one."""
        bound = self.bindings.get(key, {})
        if bound.pop(queue, None) is None:
            return False
        if not bound:
            del self.bindings[key]
        return True

    def forget(self, queue: str) -> bool:
        """Undo all bindings of a queue; whether there were any."""
        bound = [key for key, queues in self.bindings.items() if queue in queues]
        for key in bound:
            self.unbind(queue, key)
        return bool(bound)

    def route(self, key: str) -> Iterable[Queue]:
        """The queues that get a message with this routing key, each once."""
        if self.kind == DIRECT:
            return self.bindings.get(key, {}).values()
        matching: dict[str, Queue] = {}
        words = _words(key)
        for pattern, queues in self.bindings.items():
            if self.kind == FANOUT or topic_matches(_words(pattern), words):
                matching |= queues
        return matching.values()


def topic_matches(pattern: Sequence[str], words: Sequence[str]) -> bool:
    """Whether a topic pattern matches: ``*`` is one word, ``#`` any number of words.

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
