"""Tokens that are replaced ahead of their end, by one request however many ask."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from funcx_async.auth.bearer import BearerAuth
from funcx_async.auth.flight import SingleFlight
from funcx_async.auth.tokens import Token
from funcx_async.errors import FuncXError

_log = logging.getLogger("funcx_async.auth")

PAUSE = 15.0
"""Seconds between two attempts to replace a token that is still good."""


class RenewingAuth(BearerAuth):
    """Keeps a token; kinds of credentials differ in how they :meth:`fetch` one.

    A token that is due but good is replaced behind the requests, which go on with it; only one
    that has ended makes them wait. May be shared by clients of several event loops.

    Args:
        clock: gives the time in Unix seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._kept: Token | None = None
        self._refused: str | None = None
        self._next_attempt = 0.0
        self._flight: SingleFlight[Token] = SingleFlight(self._renew)

    async def fetch(self, refused: str | None) -> Token:
        """Get a token, wherever this kind of credentials has it from.

        Args:
            refused: a token that the service does not take, however long it would be good for.
        """
        raise NotImplementedError

    async def token(self, refused: str | None = None) -> str:
        """Give a good token.

        Raises:
            AuthenticationFailed: if the credentials are not accepted.
            ServiceUnavailable: if they cannot be checked now.
        """
        if refused is not None:
            self._refused = refused
        kept, now = self._kept, self._clock()
        if kept is None or kept.text == self._refused or kept.is_expired(now):
            kept = await self._flight.join()
            if kept.text == refused:  # that run had begun before the token was refused
                kept = await self._flight.join()
        elif kept.is_due(now) and now >= self._next_attempt:
            self._next_attempt = now + PAUSE
            self._flight.start()
        return kept.text

    async def _renew(self) -> Token:
        try:
            self._kept = token = await self.fetch(self._refused)
        except FuncXError as error:
            _log.debug("no new token: %s", error)
            raise
        return token
