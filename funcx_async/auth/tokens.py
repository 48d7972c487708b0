"""Tokens, their times, and the answer of a token endpoint. Pure: the time is an argument."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from funcx_async._process import CREDENTIALS, confined

RESOURCE_SERVER = "funcx_service"
"""The name under which Globus Auth issues this service's tokens, in both generations."""

SCOPE = "https://auth.globus.org/scopes/facd7ccc-c5f4-42aa-916b-a0e270e2c2a9/all"
"""What a token of this service may do: everything that the service offers."""

_SILENT_LIFETIME = 600.0
"""Seconds that a token is taken to be good for whose issuer does not say."""


@confined(CREDENTIALS)
@dataclass(frozen=True, slots=True)
class Token:
    """A token and when to use it; all times in Unix seconds.

    Attributes:
        text: the token itself, which is not in the ``repr``.
        due_at: from then on it should be replaced; it is still good.
        expires_at: from then on it must not be used.
    """

    text: str = field(repr=False)
    due_at: float
    expires_at: float

    @classmethod
    def issued(cls, text: str, issued_at: float, expires_at: float, chance: float) -> Token:
        """Make a token that is due ahead of its end.

        Args:
            text: the token itself.
            issued_at: when it was asked for.
            expires_at: when its issuer stops taking it.
            chance: a random number in 0..1, so that many processes do not refresh at once.

        Example:
            >>> Token.issued("secret", 0, 172_800, chance=0.5)
            Token(due_at=172350.0, expires_at=172790.0)
        """
        lifetime = max(expires_at - issued_at, 0.0)
        ahead = min(600.0, 0.2 * lifetime) * (0.5 + chance / 2)
        return cls(text, expires_at - ahead, expires_at - min(10.0, 0.05 * lifetime))

    def is_due(self, now: float) -> bool:
        """Whether it should be replaced."""
        return now >= self.due_at

    def is_expired(self, now: float) -> bool:
        """Whether it must not be used any more."""
        return now >= self.expires_at


@confined(CREDENTIALS)
class Issued(msgspec.Struct):
    """One token of an answer, and in the first one the others."""

    access_token: str
    expires_in: float | None = None
    scope: str | None = None
    resource_server: str | None = None
    token_type: str | None = None
    other_tokens: list[Issued] | None = None


def issued_token(answer: bytes, scope: str, now: float) -> tuple[str, float]:
    """Find the token for ``scope`` in the answer of a token endpoint, and when it ends.

    Args:
        answer: the body.
        scope: what was asked for.
        now: when it was asked for, in Unix seconds.

    Raises:
        ValueError: if there is none; the message does not quote the answer.

    Example:
        >>> issued_token(b'{"access_token": "abc", "expires_in": 60}', SCOPE, now=1000)
        ('abc', 1060.0)
    """
    try:
        first = msgspec.json.decode(answer, type=Issued, strict=False)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ValueError("it is not the answer of an OAuth 2 token endpoint") from None
    issued = _for_scope([first, *(first.other_tokens or ())], scope)
    if issued is None:
        raise ValueError("it holds no token for the scope that was asked for")
    if not is_token(issued.access_token) or (issued.token_type or "bearer").lower() != "bearer":
        raise ValueError("what it holds is not a bearer token")
    lifetime = _SILENT_LIFETIME if issued.expires_in is None else issued.expires_in
    return issued.access_token, now + lifetime


def _for_scope(tokens: list[Issued], scope: str) -> Issued | None:
    """The token with that scope, else the service's, else the only one if it names nothing."""
    wanted = set(scope.split())
    for issued in tokens:
        if wanted <= set((issued.scope or "").split()):
            return issued
    for issued in tokens:
        if issued.resource_server == RESOURCE_SERVER and not issued.scope:
            return issued
    only = tokens[0]
    return only if len(tokens) == 1 and not only.scope and not only.resource_server else None


def is_token(token: object) -> bool:
    """Whether ``token`` can stand in a header.

    Example:
        >>> is_token("abc.def"), is_token("two words"), is_token(None)
        (True, False, False)
    """
    return (
        isinstance(token, str)
        and all("!" <= character <= "~" for character in token)
        and token != ""
    )
