"""A small AMQP 0-9-1 broker that lives in the process, and behaves like RabbitMQ.

From the bottom up: what can go wrong (``errors``), messages and frames (``messages``, ``framing``),
what holds them (``volume``, ``arguments``, ``queues``, ``exchanges``, ``topology``), what a client
does with them (``outbox``, ``channel``, ``publishing``, ``consuming``, ``declaring``, ``dispatch``,
``channels``), how it got there (``login``, ``heartbeat``, ``premises``, ``connection``), what
listens for it (``server``), and the public face (``embedded``).
"""

from funcx_async.local.broker.embedded import EmbeddedBroker, QueueCounts

__all__ = ["EmbeddedBroker", "QueueCounts"]
