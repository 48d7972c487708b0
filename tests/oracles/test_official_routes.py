"""Our requests are those of the official SDK's Client, route by route, with equal bodies."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from funcx_async import FuncXClient
from tests.service.answering import ENDPOINT, FUNCTION, GROUP

pytestmark = [pytest.mark.oracle, pytest.mark.timeout(120)]

PROGRAM = Path(__file__).parent / "official_routes.py"
SOURCE = "def plain(a, b):\n    return a + b\n"
ANSWER = {
    "uuid": ENDPOINT,
    "endpoint_id": ENDPOINT,
    "function_uuid": FUNCTION,
    "task_group_id": GROUP,
    "tasks": {FUNCTION: ["t"]},
    "results": {},
    "status": "online",
    "min_sdk_version": "1",
    "min_ep_version": "1",
}
Asked = tuple[str, str, Any]


@contextmanager
def recording() -> Iterator[tuple[str, list[Asked]]]:
    """A service, or a proxy, that gives one answer to everything and keeps what it is asked."""
    asked: list[Asked] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            parts = urlsplit(self.path)
            path = parts.path + (f"?{parts.query}" if parts.query else "")
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            asked.append((self.command, path, json.loads(body) if body else None))
            answer = json.dumps([] if parts.path == "/v2/endpoints" else ANSWER).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815 - names of http.server

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def ask_all(client: FuncXClient) -> None:
    """The routes of the official program, in its order."""
    await client.version_check()
    await client.register_source_code(SOURCE, "plain", "adds", public=True)
    await client.get_function(FUNCTION)
    await client.delete_function(FUNCTION)
    await client.get_allowed_functions(ENDPOINT)
    await client.get_endpoints()
    await client.get_endpoints(role="any")
    await client.get_endpoint_metadata(ENDPOINT)
    await client.get_endpoint_status(ENDPOINT)
    for name, endpoint_id, options in (
        ("new", None, {"metadata": {"a": 1}, "multi_user": True, "public": False}),
        ("old", ENDPOINT, {"admins": [FUNCTION], "auth_policy": FUNCTION}),
    ):
        await client.version_check()  # the official client does so before each registration
        await client.register_endpoint(name, endpoint_id, **options)  # type: ignore[arg-type]
    await client.stop_endpoint(ENDPOINT)
    await client.delete_endpoint(ENDPOINT)
    await client.get_batch_status([FUNCTION])
    await client.run(1, b=2, endpoint_id=ENDPOINT, function_id=FUNCTION)


def without_versions_of_python(asked: list[Asked]) -> list[Asked]:
    """The same, whichever Python each side runs on."""
    for _, _, body in asked:
        if isinstance(body, dict) and "meta" in body:
            body["meta"].pop("python_version")
        if isinstance(body, dict) and "user_runtime" in body:
            runtime = body["user_runtime"]
            assert set(runtime.pop("python")) >= {"version", "version_tuple"}
            runtime.pop("python_version")
            runtime["platform"].pop("platform")  # names the C library of the interpreter
            runtime["platform"].pop("processor")  # ours starts no program to learn it
    return asked


async def test_every_route_is_asked_as_the_official_client_asks_it(
    official_python: str, tmp_path: Path
):
    with recording() as (proxy, theirs):
        await asyncio.to_thread(
            subprocess.run,
            [official_python, str(PROGRAM)],
            check=True,
            timeout=60,
            env={
                "HTTP_PROXY": proxy,
                "HOME": str(tmp_path),
                "LOCAL_TOKEN": "t",
                "PATH": os.environ["PATH"],
            },
        )
    with recording() as (url, ours):
        async with FuncXClient(url, auth="t") as client:
            await ask_all(client)
    assert len(theirs) == 17
    assert without_versions_of_python(ours) == without_versions_of_python(theirs)
