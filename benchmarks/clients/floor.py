"""The floor: bare httpx sends prepared requests, a bare loop counts deliveries. No futures."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
from pamqp import commands, frame

from benchmarks.clients.measuring import ENDPOINT, Stopwatch, main
from benchmarks.null import amqp

IN_FLIGHT = 4
SUBMIT = f"/v3/endpoints/{ENDPOINT}/submit"
FUNCTION = "6f8ef1b2-0000-4000-8000-000000000000"
PAYLOAD = "24\n00\ngASVBQAAAAAAAABLAYWULg==\n12\n00\ngAR9lC4=\n"
"""The arguments of one task, packed."""
DELIVER = commands.Basic.Deliver.index.to_bytes(4, "big")
METHOD = 1
CHUNK = 1 << 18


def request(tasks: int, group: str | None, *, queue: bool) -> bytes:
    """The body of a submit."""
    document = {"create_queue": queue, "tasks": {FUNCTION: [PAYLOAD] * tasks}}
    return json.dumps(document | ({"task_group_id": group} if group else {})).encode()


async def throughput(url: str, tasks: int, batch_size: int, wait: str) -> dict[str, Any]:
    """Send so many tasks, and count as many results."""
    async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
        first = (await client.post(SUBMIT, content=request(1, None, queue=True))).json()
        group = first["task_group_id"]
        address = (await client.get("/v2/get_amqp_result_connection_url")).json()
        wire = await amqp.connect(address["connection_url"])
        await wire.ask(commands.Basic.Consume(0, address["queue_prefix"] + group))
        await counted(wire, 1)

        batches, rest = divmod(tasks, batch_size)
        sizes = iter([batch_size] * batches + [rest] * bool(rest))
        bodies = {size: request(size, group, queue=True) for size in {batch_size, rest}}

        async def send() -> None:
            for size in sizes:
                await client.post(SUBMIT, content=bodies[size])

        watch = Stopwatch()
        await asyncio.gather(counted(wire, tasks), *(send() for _ in range(IN_FLIGHT)))
        measured = watch.read(tasks)
        wire.writer.close()
        return measured


async def counted(wire: amqp.Wire, tasks: int) -> None:
    """Count so many deliveries; what comes in one read is acknowledged at once."""
    seen, rest = 0, b""
    while seen < tasks:
        chunk = await wire.reader.read(CHUNK)
        if not chunk:
            raise ConnectionError("the broker closed the connection")
        tags, rest = delivered(rest + chunk)
        if tags:
            seen += len(tags)
            ack = commands.Basic.Ack(int.from_bytes(tags[-1], "big"), multiple=True)
            wire.writer.write(frame.marshal(ack, amqp.CHANNEL))


def delivered(stream: bytes) -> tuple[list[bytes], bytes]:
    """The delivery tags among the whole frames of a stream, and what is left of it."""
    tags, at = [], 0
    while at + amqp.FRAME_START <= len(stream):
        payload = at + amqp.FRAME_START
        end = payload + int.from_bytes(stream[at + 3 : payload], "big") + 1
        if end > len(stream):
            break
        if stream[at] == METHOD and stream.startswith(DELIVER, payload):
            tag = payload + len(DELIVER) + 1 + stream[payload + len(DELIVER)]
            tags.append(stream[tag : tag + 8])
        at = end
    return tags, stream[at:]


if __name__ == "__main__":
    main({"throughput": lambda **arguments: asyncio.run(throughput(**arguments))})
