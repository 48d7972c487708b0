"""A program in a network of its own, with a proxy's listening socket as the only way out.

It makes that socket in its network and hands it to whoever started it, who serves it from outside.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
import struct
import sys

from funcx_async import FuncXExecutor, gather
from tests.executor.tasks import add
from tests.net.test_through_proxy import HOST, FarClient

SET_FLAGS, UP = 0x8914, 0x1


def bring_loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SET_FLAGS, struct.pack("16sH14s", b"lo", UP, b""))


def leaves(place: tuple[str, int]) -> bool:
    try:
        socket.create_connection(place, timeout=5).close()
    except OSError:
        return False
    return True


async def work(endpoint_id: str, token: str) -> int:
    async with (
        FarClient(f"https://{HOST}", auth=token) as client,
        FuncXExecutor(endpoint_id, funcx_client=client, result_transport="amqp") as executor,
    ):
        return sum(await gather(*(executor.submit(add, number) for number in range(200))))


if __name__ == "__main__":
    way_out, endpoint_id, service_port = sys.argv[1:]
    bring_loopback_up()
    listening = socket.create_server(("127.0.0.1", 0))
    with socket.socket(fileno=int(way_out)) as parent:
        socket.send_fds(parent, [b"."], [listening.fileno()])
    port = listening.getsockname()[1]
    os.environ["HTTPS_PROXY"] = f"http://{os.environ['LOGIN']}@127.0.0.1:{port}"
    listening.close()  # whoever has it now serves it
    assert not leaves(("192.0.2.1", 443)), "there is no network"
    assert not leaves(("127.0.0.1", int(service_port))), "its loopback is not the service's"
    print(asyncio.run(work(endpoint_id, os.environ["TOKEN"])))
