"""Step-up authentication: what a service asks for, the error says, and the command takes."""

from __future__ import annotations

import shlex
from typing import Any

import httpx
import pytest

from funcx_async import AuthenticationFailed, FuncXClient
from funcx_async.auth.login import LOGIN_COMMAND, login_command, parameters_of
from funcx_async.cli import main

DEMANDS = [
    pytest.param({"session_required_mfa": True}, id="a second factor"),
    pytest.param({"session_required_identities": ["a", "b"]}, id="identities"),
    pytest.param({"session_required_single_domain": ["example.org"]}, id="a domain"),
    pytest.param({"session_required_policies": ["p1", "p2"], "prompt": "login"}, id="policies"),
    pytest.param({"required_scopes": ["https://x/all[https://y/all]", "z"]}, id="scopes"),
    pytest.param(
        {"session_message": 'It\'s "needed"; `do $it`', "prompt": "login"}, id="a message"
    ),
]


@pytest.mark.parametrize("demands", DEMANDS)
async def test_the_error_names_the_command_and_keeps_the_demands(demands: dict[str, Any]):
    def answer(_: httpx.Request) -> httpx.Response:
        document = {"code": "AuthorizationRequired", "authorization_parameters": demands}
        return httpx.Response(403, json=document)

    transport = httpx.MockTransport(answer)
    async with FuncXClient("https://service.test", auth="t", transport=transport) as client:
        with pytest.raises(AuthenticationFailed) as caught:
            await client.get_version()
    assert caught.value.authorization_parameters == demands
    assert f"`{login_command(demands)}`" in str(caught.value)


@pytest.mark.parametrize("demands", DEMANDS)
def test_the_command_takes_what_it_was_named_with(
    demands: dict[str, Any], monkeypatch: pytest.MonkeyPatch
):
    taken: list[Any] = []
    monkeypatch.setattr(
        "funcx_async.cli.account.log_in",
        lambda place, parameters, force: taken.append((parameters, force)),
    )
    words = shlex.split(login_command(demands))
    assert " ".join(words[:4]) == LOGIN_COMMAND
    assert main(words[3:]) == 0
    assert taken == [(demands, False)]


@pytest.mark.parametrize(
    "demands",
    [{}, {"session_required_mfa": "maybe"}, {"session_required_identities": []}, {"new": 1}],
)
def test_what_is_not_understood_is_a_new_login(demands: dict[str, Any]):
    assert login_command(demands) == f"{LOGIN_COMMAND} --force"


def test_no_options_are_no_demands():
    assert parameters_of({"force": True, "session_required_mfa": False, "prompt": None}) == {}
