"""A small AMQP 0-9-1 broker that lives in the process, and behaves like RabbitMQ.

From the bottom up: errors, messages and frames (``protocol``); what holds messages (``queues``,
``topology``); what a client does with them (``outbox``, ``channel``, ``methods``); how it got there
(``login``, ``connection``); and the public face (``embedded``).
"""

from funcx_async.local.broker.embedded import EmbeddedBroker, QueueCounts

__all__ = ["EmbeddedBroker", "QueueCounts"]
