"""Logins of people: through ``globus_sdk``, whose calls block and so run in threads.

Nothing here prompts except :func:`log_in`. The login of the official tools is in their SQLite file,
which only their own classes read and write.
"""

from __future__ import annotations

import os
import platform
import shlex
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from anyio import to_thread

from funcx_async._net.environment import AUTH_URL_VARIABLE, checked_auth_url
from funcx_async.auth.bearer import BearerAuth, RenewingAuth
from funcx_async.auth.tokens import RESOURCE_SERVER, SCOPE, Token
from funcx_async.errors import AuthenticationFailed, FuncXError, ServiceUnavailable

if TYPE_CHECKING:
    import globus_sdk

LOGIN_COMMAND = "python -m funcx_async login"
"""The command that logs a person in, also for the official tools."""


def _list(value: Any, separator: str) -> str:
    if isinstance(value, list | tuple):
        return separator.join(str(part) for part in value)
    return value if isinstance(value, str) else ""


AUTHORIZATION_PARAMETERS: dict[str, tuple[Callable[[Any], str], str]] = {
    "session_required_mfa": (lambda value: "yes" if value is True else "", "with a second factor"),
    "session_required_identities": (lambda value: _list(value, ","), "ids, separated by commas"),
    "session_required_single_domain": (
        lambda value: _list(value, ","),
        "domains, separated by commas",
    ),
    "session_required_policies": (
        lambda value: _list(value, ","),
        "ids of policies, separated by commas",
    ),
    "required_scopes": (lambda value: _list(value, " "), "further scopes, separated by spaces"),
    "session_message": (lambda value: _list(value, " "), "a sentence to show at the login"),
    "prompt": (lambda value: _list(value, " "), "'login' asks for the password again"),
}
"""The demands of a service on a new login: how each is written on the command line, and help."""


def option_of(name: str) -> str:
    """Return the command's option for an authorization parameter.

    Example:
        >>> option_of("session_required_mfa")
        '--session-required-mfa'
    """
    return "--" + name.replace("_", "-")


def login_command(parameters: Mapping[str, Any]) -> str:
    """Return the login command that meets the demands of a service.

    Args:
        parameters: the service's ``authorization_parameters``; unknown ones are left out.

    Example:
        >>> login_command({"session_required_mfa": True, "session_required_policies": ["p1", "p2"]})
        'python -m funcx_async login --session-required-mfa --session-required-policies p1,p2'
    """
    words = [LOGIN_COMMAND]
    for name, (written, _) in AUTHORIZATION_PARAMETERS.items():
        if value := written(parameters.get(name)):
            words.append(option_of(name))
            if name != "session_required_mfa":
                words.append(shlex.quote(value))
    return " ".join(words) if len(words) > 1 else f"{LOGIN_COMMAND} --force"


def parameters_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the authorization parameters of the options of that command.

    Example:
        >>> parameters_of({"session_required_mfa": True, "session_required_policies": "p1,p2"})
        {'session_required_mfa': True, 'session_required_policies': ['p1', 'p2']}
    """
    found: dict[str, Any] = {}
    for name in AUTHORIZATION_PARAMETERS:
        value = options.get(name)
        if not value:
            continue
        if name == "required_scopes":
            value = value.split()
        elif name.startswith("session_required_") and isinstance(value, str):
            value = value.split(",")
        found[name] = value
    return found


# Logins by globus_sdk

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


class AuthorizerAuth(BearerAuth):
    """Sends the tokens of a ``globus_sdk`` authorizer, which renews them if it can.

    Args:
        authorizer: such as ``globus_sdk.AccessTokenAuthorizer``.
    """

    def __init__(self, authorizer: globus_sdk.authorizers.GlobusAuthorizer) -> None:
        self._authorizer = authorizer
        self._lock = threading.Lock()

    async def token(self, refused: str | None = None) -> str:
        """Return the authorizer's token, asked for in a thread."""
        return await to_thread.run_sync(self._token, refused)

    def _token(self, refused: str | None) -> str:
        with self._lock, errors_of_globus("Make a new authorizer."):
            header = self._authorizer.get_authorization_header()
            if header == f"Bearer {refused}" and self._authorizer.handle_missing_authorization():
                header = self._authorizer.get_authorization_header()
        return (header or "").removeprefix("Bearer ")


def is_globus_authorizer(value: object) -> TypeGuard[globus_sdk.authorizers.GlobusAuthorizer]:
    """Whether ``value`` is an authorizer of ``globus_sdk``."""
    sdk = sys.modules.get("globus_sdk.authorizers")
    return sdk is not None and isinstance(value, sdk.GlobusAuthorizer)


def token_of_app(app: globus_sdk.GlobusApp, refused: str | None) -> Token:
    """Return a valid token of ``app``, without prompting; blocking.

    Args:
        app: must not be used by another thread at the same time.
        refused: a token that the service refuses.

    Raises:
        AuthenticationFailed: if somebody has to log in.
        ServiceUnavailable: if Globus Auth is unreachable.
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
    import sqlite3

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


# The login of the official tools

NATIVE_CLIENT_ID = "4cf29807-cf21-49ec-9443-ff9a3fb9f81c"
"""The official tools' own client id: for logins of people, without a secret."""

_ADVICE = f"Run `{LOGIN_COMMAND}` once for this user; this library never prompts."

_AUTH = "auth.globus.org"
_SCOPES = {
    RESOURCE_SERVER: [SCOPE],
    # What the official tools ask for too, so that they find nothing missing in our login.
    _AUTH: ["openid", "urn:globus:auth:scope:auth.globus.org:manage_projects"],
}


@dataclass(frozen=True, slots=True)
class SharedLogin:
    """The place where the official tools keep the login of a person.

    Attributes:
        directory: Globus Compute's directory.
        environment: the Globus environment that the login is for.
        classic_file: where ``funcx`` 1.x kept it, to be looked into first; None for today's API.
    """

    directory: Path
    environment: str
    classic_file: Path | None = None

    @property
    def file(self) -> Path:
        """Today's storage."""
        return self.directory / "storage.db"

    @property
    def namespace(self) -> str:
        """Under which the login is stored there."""
        return f"user/{self.environment}"


def shared_login(
    environment: str, variables: Mapping[str, str], *, classic: bool = False
) -> SharedLogin:
    """Return where the official tools keep the login.

    Args:
        environment: the Globus environment.
        variables: the process's environment; ``GLOBUS_COMPUTE_USER_DIR`` counts.
        classic: the classic service is meant, so ``~/.funcx`` counts, too.
    """
    given = variables.get("GLOBUS_COMPUTE_USER_DIR")
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 - Path.home raises where there is none
    return SharedLogin(
        Path(given) if given else home / ".globus_compute",
        environment,
        home / ".funcx" / "storage.db" if classic else None,
    )


class SharedLoginAuth(RenewingAuth):
    """Sends the tokens of the shared login, which is read again whenever one is needed.

    So a new login counts at once, and so do tokens that the official tools renewed.
    """

    def __init__(self, place: SharedLogin) -> None:
        super().__init__()
        self._place = place

    async def fetch(self, refused: str | None) -> Token:
        """Read the login, in a thread."""
        return await to_thread.run_sync(token_of_login, self._place, refused)


def token_of_login(place: SharedLogin, refused: str | None = None) -> Token:
    """Return a valid token from the login at ``place``, renewed if necessary; blocking.

    Raises:
        AuthenticationFailed: if there is no login, or it was revoked or has expired.
        ServiceUnavailable: if it cannot be renewed now.
    """
    if not place.file.exists() and not (place.classic_file and place.classic_file.exists()):
        raise AuthenticationFailed(
            "There are no credentials for Globus Compute: neither client credentials in the "
            f"environment nor a login. {_ADVICE}"
        )
    _require_globus_sdk()
    with errors_of_globus(_ADVICE):
        if place.classic_file is not None and place.classic_file.exists():
            token = _classic_token(place.classic_file, place.namespace, refused)
            if token is not None:
                return token
        with _app(place, {RESOURCE_SERVER: [SCOPE]}) as app:
            return token_of_app(app, refused)


def log_in(place: SharedLogin, parameters: Mapping[str, Any], *, force: bool = False) -> None:
    """Log a person in, with a code that is entered at the terminal; blocking.

    Args:
        place: where the login is stored.
        parameters: the service's ``authorization_parameters``, if it asked for a further login.
        force: log in even though there is a login.

    Raises:
        AuthenticationFailed: if it fails.
        ServiceUnavailable: if Globus Auth cannot be asked.
    """
    _require_globus_sdk()
    from globus_sdk.gare import GlobusAuthorizationParameters

    place.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    advice = "If you are somebody else now than before, log out first; else try again."
    with errors_of_globus(advice), _app(place, _SCOPES) as app:
        wanted = GlobusAuthorizationParameters(**parameters) if parameters else None
        try:
            app.login(auth_params=wanted, force=force)
        except EOFError:
            raise AuthenticationFailed(
                f"No code was entered: login aborted. Run `{LOGIN_COMMAND}` in a terminal "
                "and enter the code that the address shows."
            ) from None


def log_out(place: SharedLogin) -> bool:
    """Revoke and delete the tokens of the shared login; blocking.

    Returns:
        Whether there was a login.

    Raises:
        AuthenticationFailed: if it fails.
        ServiceUnavailable: if Globus Auth cannot be asked.
    """
    _require_globus_sdk()
    if not place.file.exists():
        return False
    with errors_of_globus("Try again."), _app(place, _SCOPES) as app:
        stored = bool(app.token_storage.get_token_data_by_resource_server())
        app.logout()
    return stored


def who_is(place: SharedLogin) -> str:
    """Return the user name of the person who is logged in; blocking.

    Raises:
        AuthenticationFailed: if nobody is.
        ServiceUnavailable: if Globus Auth cannot be asked.
    """
    token_of_login(place)
    import globus_sdk
    from globus_sdk.scopes import AuthScopes

    with (
        errors_of_globus(_ADVICE),
        _app(place, _SCOPES) as app,
        closing(globus_sdk.AuthClient(app=app, app_scopes=[AuthScopes.openid])) as client,
    ):
        identity = client.userinfo()["sub"]
        return str(client.get_identities(ids=identity)["identities"][0]["username"])


@contextmanager
def _app(place: SharedLogin, scopes: Mapping[str, list[str]]) -> Iterator[globus_sdk.UserApp]:
    """Open the app of the official tools on their file; it prompts only when told to log in."""
    import globus_sdk
    from globus_sdk.token_storage import SQLiteTokenStorage

    with closing(SQLiteTokenStorage(place.file, namespace=place.namespace)) as storage:
        config = globus_sdk.GlobusAppConfig(
            token_storage=storage,
            request_refresh_tokens=True,
            token_validation_error_handler=None,
            environment=_sdk_environment(place.environment),
        )
        with globus_sdk.UserApp(
            platform.node() or "funcx_async",
            client_id=NATIVE_CLIENT_ID,
            scope_requirements=scopes,
            config=config,
        ) as app:
            yield app


def _classic_token(file: Path, namespace: str, refused: str | None) -> Token | None:
    """Get a token from the login of ``funcx`` 1.x, or None if there is none."""
    import globus_sdk
    from globus_sdk.token_storage.legacy import SQLiteAdapter

    with closing(SQLiteAdapter(str(file), namespace=namespace)) as storage:
        stored = storage.get_token_data(RESOURCE_SERVER)
        if stored is None or not stored.get("refresh_token"):
            return None
        with closing(globus_sdk.NativeAppAuthClient(NATIVE_CLIENT_ID)) as client:
            authorizer = globus_sdk.RefreshTokenAuthorizer(
                stored["refresh_token"],
                client,
                access_token=stored["access_token"],
                expires_at=stored["expires_at_seconds"],
                on_refresh=storage.on_refresh,
            )
            if stored["access_token"] == refused:
                authorizer.handle_missing_authorization()
            header = authorizer.get_authorization_header()
            return renewed_token(header, authorizer.expires_at or 0)


def _sdk_environment(environment: str) -> str:
    """The environment as ``globus_sdk`` knows it: some of ours log in with production."""
    from globus_sdk.config import EnvConfig

    return environment if EnvConfig.get_by_name(environment) is not None else "production"


def _require_globus_sdk() -> None:
    try:
        import globus_sdk  # noqa: F401
    except ImportError as error:
        raise AuthenticationFailed(
            "A person's login needs the extra `globus`: pip install 'funcx-async[globus]'. "
            "Programs use client credentials, which do not."
        ) from error
    if url := os.environ.get(AUTH_URL_VARIABLE):
        try:
            checked_auth_url(url, AUTH_URL_VARIABLE)
        except ValueError as error:
            raise AuthenticationFailed(str(error)) from None
