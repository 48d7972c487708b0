"""``python -m funcx_async local --agents``, as another process."""

from __future__ import annotations

import asyncio

import httpx

from tests.local.agents.stand_in import REGISTRATION
from tests.local.commands import command, exports
from tests.local.dialogue import LIMIT


async def test_it_says_what_an_agent_is_to_export(amqp_url):
    arguments = ["local", "--workers", "1", "--agents"]
    if amqp_url is not None:
        arguments += ["--amqp-url", amqp_url]
    async with command(*arguments) as process:
        told = await exports(process)
        url = told["GLOBUS_SDK_SERVICE_URL_AUTH"]
        assert told["GLOBUS_SDK_ENVIRONMENT"] == "local"
        assert "FUNCX_ASYNC_ENDPOINT_ID" not in told, "tasks are for the agent, not the local pool"
        assert told["HTTP_PROXY"] == url == told["FUNCX_ASYNC_SERVICE_URL"]
        token = told["GLOBUS_COMPUTE_CLIENT_SECRET"]
        async with httpx.AsyncClient(base_url=url) as http:
            login = {"grant_type": "client_credentials", "scope": "openid"}
            client = (told["GLOBUS_COMPUTE_CLIENT_ID"], token)
            granted = (await http.post("/v2/oauth2/token", data=login, auth=client)).json()
            bearer = {"Authorization": f"Bearer {granted['access_token']}"}
            registered = await http.post("/v3/endpoints", json=REGISTRATION, headers=bearer)
            assert "command_queue_info" in registered.json()
        process.terminate()
        assert await asyncio.wait_for(process.wait(), LIMIT) == 0
