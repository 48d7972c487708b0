from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from funcx_async.auth.tokens import RESOURCE_SERVER, SCOPE, Token, issued_token

OTHER = {"access_token": "other", "expires_in": 9, "scope": "openid", "resource_server": "auth"}
OURS = {
    "access_token": "ours",
    "expires_in": 60,
    "scope": SCOPE,
    "resource_server": RESOURCE_SERVER,
}


def read(document: object) -> tuple[str, float]:
    return issued_token(json.dumps(document).encode(), SCOPE, now=1000.0)


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(OURS, id="alone"),
        pytest.param({**OURS, "other_tokens": []}, id="alone, with an empty list"),
        pytest.param({**OURS, "other_tokens": [OTHER]}, id="first"),
        pytest.param({**OTHER, "other_tokens": [OTHER, OURS]}, id="among the others"),
        pytest.param({**OURS, "scope": f"openid {SCOPE} more"}, id="with further scopes"),
        pytest.param({"access_token": "ours", "expires_in": 60}, id="naming nothing"),
        pytest.param({**OURS, "scope": None, "other_tokens": [OTHER]}, id="naming its server"),
        pytest.param({**OURS, "token_type": "bearer", "expires_in": "60"}, id="spelt otherwise"),
    ],
)
def test_the_token_of_this_service_is_found(document: object):
    assert read(document) == ("ours", 1060.0)


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(OTHER, id="of another service"),
        pytest.param({**OTHER, "other_tokens": [OTHER]}, id="two of others"),
        pytest.param({**OURS, "token_type": "mac"}, id="no bearer token"),
        pytest.param({**OURS, "access_token": "two words"}, id="not a token"),
        pytest.param({**OURS, "access_token": ""}, id="empty"),
        pytest.param(
            {**OURS, "scope": "less", "resource_server": RESOURCE_SERVER}, id="less scope"
        ),
        pytest.param([], id="a list"),
        pytest.param({"error": "no"}, id="an error"),
    ],
)
def test_anything_else_is_refused_without_quoting_it(document: object):
    with pytest.raises(ValueError, match=r"it (is not|holds)") as caught:
        read(document)
    assert "other" not in str(caught.value)


def test_what_does_not_say_how_long_it_lives_lives_ten_minutes():
    assert read({"access_token": "ours"}) == ("ours", 1600.0)


@given(lifetime=st.floats(1, 1e7), chance=st.floats(0, 1), now=st.floats(0, 2e9))
def test_a_token_is_due_before_it_expires_and_good_when_new(
    lifetime: float, chance: float, now: float
):
    token = Token.issued("secret", now, now + lifetime, chance)
    assert now < token.due_at < token.expires_at < now + lifetime
    assert not token.is_due(now)
    assert not token.is_expired(token.due_at)
    assert token.is_expired(now + lifetime)


def test_a_token_is_not_in_its_repr():
    assert "secret" not in repr(Token.issued("secret", 0, 60, 0.5))
