"""A small AMQP 0-9-1 broker that lives in the process, and behaves like RabbitMQ.

From the bottom up: what can go wrong (``errors``), messages and frames (``messages``, ``framing``),
what holds them (``volume``, ``arguments``, ``queues``, ``exchanges``, ``topology``), what a client
does with them (``outbox``, ``channel``, ``publishing``, ``consuming``, ``declaring``, ``dispatch``,
``channels``), how it got there (``login``, ``heartbeat``, ``connection``), and the public face
(``server``).
"""

from funcx_async.local.broker.server import EmbeddedBroker, QueueCounts

__all__ = ["EmbeddedBroker", "QueueCounts"]
