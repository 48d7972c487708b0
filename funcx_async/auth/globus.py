"""Logins of people, by ``globus_sdk``: blocking, so in threads; and nobody is prompted."""

from __future__ import annotations

import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeGuard

from anyio import to_thread

from funcx_async.auth.renewing import RenewingAuth
from funcx_async.auth.tokens import RESOURCE_SERVER, SCOPE, Token
from funcx_async.errors import AuthenticationFailed, FuncXError, ServiceUnavailable
from funcx_async.errors.logins import LOGIN_COMMAND

if TYPE_CHECKING:
    import globus_sdk

_RENEWED = 55.0
"""Seconds before the end of a token: ``globus_sdk`` replaces it when fewer than 60 are left."""

_UNUSABLE = 5.0
"""Seconds before the end of a token from which on it is not sent any more."""


class GlobusAppAuth(RenewingAuth):
    """Sends the tokens of a ``globus_sdk.GlobusApp``, which renews them.

    Args:
        app: the app; a scope for this service is added to those that it requires.
        clock: gives the time in Unix seconds.
    """

    def __init__(self, app: globus_sdk.GlobusApp, clock: Callable[[], float] = time.time) -> None:
        super().__init__(clock)
        self._app = app
        if RESOURCE_SERVER not in app.scope_requirements:
            app.add_scope_requirements({RESOURCE_SERVER: [SCOPE]})

    async def fetch(self, refused: str | None) -> Token:
        """Ask the app, in a thread."""
        return await to_thread.run_sync(token_of_app, self._app, refused)


def is_globus_app(value: object) -> TypeGuard[globus_sdk.GlobusApp]:
    """Whether ``value`` is an app; who never imported ``globus_sdk`` has none."""
    sdk = sys.modules.get("globus_sdk")
    return sdk is not None and isinstance(value, sdk.GlobusApp)


def token_of_app(app: globus_sdk.GlobusApp, refused: str | None) -> Token:
    """Get a good token from ``app``, without asking anybody; blocking.

    Args:
        app: is used by nobody else meanwhile: it is not safe for threads.
        refused: a token that the service does not take.

    Raises:
        AuthenticationFailed: if somebody has to log in.
        ServiceUnavailable: if Globus Auth cannot be asked now.
    """
    with errors_of_globus():
        _require_login(app)
        authorizer = app.get_authorizer(RESOURCE_SERVER)
        header = authorizer.get_authorization_header()
        if header == f"Bearer {refused}" and authorizer.handle_missing_authorization():
            header = authorizer.get_authorization_header()
        ends = app.token_storage.get_token_data(RESOURCE_SERVER).expires_at_seconds
    return renewed_token(header or "", ends)


def renewed_token(header: str, expires_at: float) -> Token:
    """Make a token of a header; it is due when ``globus_sdk`` would renew it, not earlier."""
    text = header.removeprefix("Bearer ")
    return Token(text, expires_at - _RENEWED, expires_at - _UNUSABLE)


def _require_login(app: globus_sdk.GlobusApp) -> None:
    """Raise where the app would prompt: what it does about a token that is missing or unfit."""
    import globus_sdk

    if isinstance(app, globus_sdk.ClientApp):
        app.login()  # asks the service, if need be, and nobody else
        return
    stored = app.token_storage.get_token_data(RESOURCE_SERVER)
    if stored.refresh_token is None and stored.expires_at_seconds - time.time() < _UNUSABLE:
        raise AuthenticationFailed(
            "The GlobusApp's login has ended, and it has no refresh token. Log in by its login(), "
            "and make it with GlobusAppConfig(request_refresh_tokens=True)."
        )


@contextmanager
def errors_of_globus(who: str = "") -> Iterator[None]:
    """Raise errors of this package instead of those of ``globus_sdk``.

    Args:
        who: whose login it is, and what to do about it.
    """
    import globus_sdk
    from globus_sdk.token_storage import TokenValidationError

    what = who or f"Log in by the GlobusApp's login(), or with `{LOGIN_COMMAND}`."
    try:
        yield
    except FuncXError:
        raise
    except TokenValidationError as error:
        raise AuthenticationFailed(
            f"There is no valid login for Globus Compute ({type(error).__name__}). {what}"
        ) from error
    except globus_sdk.NetworkError as error:
        raise ServiceUnavailable(
            f"Globus Auth cannot be reached to renew the login ({type(error).__name__}). Check "
            "the network and the proxy."
        ) from error
    except globus_sdk.GlobusAPIError as error:
        told = f"{error.http_status} {error.code or ''}".strip()
        if error.http_status == 429 or error.http_status >= 500:
            raise ServiceUnavailable(
                f"Globus Auth cannot renew the login now ({told}). Try again later."
            ) from error
        raise AuthenticationFailed(
            f"Globus Auth does not renew the login ({told}): it was revoked, or has ended. {what}"
        ) from error
    except globus_sdk.GlobusError as error:
        raise AuthenticationFailed(
            f"The login cannot be used ({type(error).__name__}). {what}"
        ) from error
    except sqlite3.ProgrammingError as error:
        raise AuthenticationFailed(
            "The GlobusApp's token storage works in the thread alone that made it: make it with "
            "SQLiteTokenStorage(..., connect_params={'check_same_thread': False})."
        ) from error
    except (sqlite3.Error, OSError) as error:
        raise AuthenticationFailed(
            f"The stored login cannot be read ({type(error).__name__}). {what}"
        ) from error
    except Exception as error:  # globus_sdk lets KeyErrors and errors of pyjwt through
        raise AuthenticationFailed(
            f"An answer of Globus Auth is not understood ({type(error).__name__}). {what}"
        ) from error
