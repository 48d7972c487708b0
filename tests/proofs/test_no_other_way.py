"""Tasks of a program that has no network at all but for a proxy."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
import trustme

from tests.connect_proxy import ConnectProxy, new_login
from tests.net.test_through_proxy import BROKER, HOST, running

ROOT = Path(__file__).parent.parent.parent
OWN_NETWORK = ("unshare", "--map-root-user", "--net")


def networks_can_be_made() -> bool:
    """Whether this machine lets its users do that; where tests must not be missed, it has to."""
    if os.environ.get("CI"):
        return True
    try:
        return subprocess.run([*OWN_NETWORK, "true"], check=False).returncode == 0
    except OSError:
        return False


@pytest.mark.proof
@pytest.mark.skipif(not networks_can_be_made(), reason="this machine lets nobody make networks")
async def test_with_a_proxy_as_the_only_way_out_tasks_run(tmp_path: Path):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    login = new_login()
    outside, inside = socket.socketpair()
    async with running(authority) as far:
        with outside, inside:
            program = await asyncio.create_subprocess_exec(
                *OWN_NETWORK,
                *(sys.executable, "-W", "error", "-m", "tests.proofs.walled_in"),
                *(str(inside.fileno()), far.service.endpoint_id),
                str(urlsplit(far.service.url).port),
                cwd=ROOT,
                pass_fds=[inside.fileno()],
                stdout=subprocess.PIPE,
                env=os.environ
                | {
                    "LOGIN": ":".join(quote(word, safe="") for word in login),
                    "SSL_CERT_FILE": str(tmp_path / "authority.pem"),
                    "TOKEN": far.service.token,
                },
            )
            inside.close()  # so that the end of the program ends the wait
            _, sockets, _, _ = await asyncio.to_thread(socket.recv_fds, outside, 1, 1)
        listening = socket.socket(fileno=sockets[0])
        async with ConnectProxy(far.places, login=login, listening=listening) as proxy:
            told, _ = await program.communicate()
    assert program.returncode == 0
    assert int(told) == sum(range(1, 201))
    assert set(proxy.asked) == {f"{HOST}:443", f"{BROKER}:5671"}
