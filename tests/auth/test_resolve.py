"""Which credentials are taken, and where they go."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from funcx_async import AuthenticationFailed, FuncXClient
from funcx_async.auth import BearerAuth, ClientCredentials, resolve_auth
from funcx_async.auth.login import SharedLoginAuth
from funcx_async.auth.resolve import credentials_of
from tests.auth.issuer import CLIENT_ID, SECRET, Issuer

HOSTED = "https://compute.api.globus.org"
CLASSIC = "https://api2.funcx.org"
BOTH = {"GLOBUS_COMPUTE_CLIENT_ID": CLIENT_ID, "GLOBUS_COMPUTE_CLIENT_SECRET": SECRET}
BOTH_CLASSIC = {"FUNCX_SDK_CLIENT_ID": CLIENT_ID, "FUNCX_SDK_CLIENT_SECRET": SECRET}


async def token_of(auth: httpx.Auth) -> str:
    assert isinstance(auth, BearerAuth)
    return await auth.token()


async def why_not(auth: httpx.Auth) -> str:
    with pytest.raises(AuthenticationFailed) as caught:
        await token_of(auth)
    return str(caught.value)


async def test_the_token_of_the_environment_is_for_its_service_alone():
    variables = {"FUNCX_ASYNC_SERVICE_URL": "http://h:1/", "FUNCX_ASYNC_TOKEN": "t", **BOTH}
    assert await token_of(resolve_auth(None, "http://h:1", variables)) == "t"
    assert "no credentials for http://h:2" in await why_not(
        resolve_auth(None, "http://h:2", variables)
    )
    assert isinstance(resolve_auth(None, HOSTED, variables), ClientCredentials)


@pytest.mark.parametrize("classic", [False, True])
def test_each_dialect_has_variables_of_its_own(classic: bool):
    mine, other = (BOTH_CLASSIC, BOTH) if classic else (BOTH, BOTH_CLASSIC)
    url = CLASSIC if classic else HOSTED
    assert isinstance(resolve_auth(None, url, mine, classic=classic), ClientCredentials)
    assert isinstance(resolve_auth(None, url, other, classic=classic), SharedLoginAuth)
    assert isinstance(resolve_auth(None, url, {}, classic=classic), SharedLoginAuth)


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:5000",
        "http://127.0.0.1:8000",
        "https://compute.example.org",
        "http://compute.api.globus.org",
        "https://compute.api.globus.org.example.org",
    ],
)
async def test_credentials_of_globus_never_go_to_another_address(url: str):
    said = await why_not(resolve_auth(None, url, BOTH))
    assert "only sent to services of Globus" in said
    assert SECRET not in said


async def test_given_explicitly_they_go_where_the_caller_says(issuer: Issuer):
    auth = ClientCredentials(CLIENT_ID, SECRET, auth_url=issuer.url)
    async with FuncXClient(issuer.url, auth=auth) as client:
        assert await client.get_version() == {"api": "1"}


@pytest.mark.parametrize(
    ("classic", "there", "missing"),
    [
        (False, "GLOBUS_COMPUTE_CLIENT_ID", "GLOBUS_COMPUTE_CLIENT_SECRET"),
        (False, "GLOBUS_COMPUTE_CLIENT_SECRET", "GLOBUS_COMPUTE_CLIENT_ID"),
        (True, "FUNCX_SDK_CLIENT_ID", "FUNCX_SDK_CLIENT_SECRET"),
        (True, "FUNCX_SDK_CLIENT_SECRET", "FUNCX_SDK_CLIENT_ID"),
    ],
)
async def test_one_half_of_the_credentials_is_an_error_that_names_the_other(
    classic: bool, there: str, missing: str
):
    url = CLASSIC if classic else HOSTED
    said = await why_not(resolve_auth(None, url, {there: "value"}, classic=classic))
    assert f"{there} is set, but {missing} is not" in said
    assert "value" not in said


async def test_a_place_for_logins_that_is_not_encrypted_is_an_error():
    variables = {**BOTH, "GLOBUS_SDK_SERVICE_URL_AUTH": "http://auth.example.org"}
    assert "must be an https URL" in await why_not(resolve_auth(None, HOSTED, variables))


@pytest.mark.parametrize(
    ("classic", "variables"),
    [
        (False, {**BOTH, "GLOBUS_COMPUTE_SCOPE": "of-its-own"}),
        (True, {**BOTH_CLASSIC, "FUNCX_SCOPE": "of-its-own"}),
    ],
)
async def test_the_scope_of_the_environment_is_asked_for(
    issuer: Issuer, classic: bool, variables: dict[str, str]
):
    variables["GLOBUS_SDK_SERVICE_URL_AUTH"] = issuer.url
    auth = credentials_of("production", variables, classic=classic)
    assert auth is not None
    await auth.token()
    assert issuer.forms == [{"grant_type": "client_credentials", "scope": "of-its-own"}]


async def test_tokens_are_stored_in_a_directory_of_our_own(issuer: Issuer, home: Any):
    variables = {**BOTH, "GLOBUS_SDK_SERVICE_URL_AUTH": issuer.url}
    for directory in ({}, {"FUNCX_ASYNC_USER_DIR": str(home / "other")}):
        auth = credentials_of("production", {**variables, **directory})
        assert auth is not None
        await auth.token()
    assert sorted(str(file.relative_to(home)) for file in home.rglob("*") if file.is_file()) == [
        ".funcx_async/tokens.db",
        "other/tokens.db",
    ]


async def test_what_is_given_wins():
    given = httpx.BasicAuth("a", "b")
    assert resolve_auth(given, HOSTED, BOTH) is given
    assert await token_of(resolve_auth("fixed", HOSTED, BOTH)) == "fixed"
    assert await token_of(resolve_auth(lambda: "called", HOSTED, BOTH)) == "called"


@pytest.mark.parametrize("auth", [5, object(), b"bytes"])
def test_anything_else_is_a_type_error(auth: Any):
    with pytest.raises(TypeError, match="auth must be"):
        resolve_auth(auth, HOSTED, {})
