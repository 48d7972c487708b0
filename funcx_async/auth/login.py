"""The login that is shared with the official tools: used, made and ended; all of it blocks.

It lives in their SQLite file, which only their own classes read and write here.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anyio import to_thread

from funcx_async._net.environments import AUTH_URL_VARIABLE, checked_auth_url
from funcx_async.auth.globus import errors_of_globus, renewed_token, token_of_app
from funcx_async.auth.renewing import RenewingAuth
from funcx_async.auth.tokens import RESOURCE_SERVER, SCOPE, Token
from funcx_async.errors import AuthenticationFailed
from funcx_async.errors.logins import LOGIN_COMMAND

if TYPE_CHECKING:
    import globus_sdk

NATIVE_CLIENT_ID = "4cf29807-cf21-49ec-9443-ff9a3fb9f81c"
"""The official tools' own client id: for logins of people, without a secret."""

_ADVICE = f"Run `{LOGIN_COMMAND}`, once for this user; nothing is asked in here."

_AUTH = "auth.globus.org"
_SCOPES = {
    RESOURCE_SERVER: [SCOPE],
    # What the official tools ask for too, so that they find nothing missing in our login.
    _AUTH: ["openid", "urn:globus:auth:scope:auth.globus.org:manage_projects"],
}


@dataclass(frozen=True, slots=True)
class SharedLogin:
    """Where the official tools keep the login of a person.

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
    """Find where the official tools keep the login.

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
    """Sends the tokens of the shared login; it is looked up anew whenever one is needed.

    So a login made meanwhile counts at once, and so do tokens that the official tools renewed.
    """

    def __init__(self, place: SharedLogin) -> None:
        super().__init__()
        self._place = place

    async def fetch(self, refused: str | None) -> Token:
        """Read the login, in a thread."""
        return await to_thread.run_sync(token_of_login, self._place, refused)


def token_of_login(place: SharedLogin, refused: str | None = None) -> Token:
    """Get a good token from the login at ``place``, renewed if need be; blocking.

    Raises:
        AuthenticationFailed: if there is no login, or it is no longer accepted.
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
    """Log a person in, who is asked at the terminal for a code; blocking.

    Args:
        place: where the login is stored.
        parameters: the service's ``authorization_parameters``, if it asked for a further login.
        force: log in even though there is a login.

    Raises:
        AuthenticationFailed: if it does not work out.
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
                f"No code was entered, so nobody is logged in. Run `{LOGIN_COMMAND}` in a terminal "
                "and enter the code that the address shows."
            ) from None


def log_out(place: SharedLogin) -> None:
    """End the shared login: its tokens are revoked and removed; blocking.

    Raises:
        AuthenticationFailed: if it does not work out.
        ServiceUnavailable: if Globus Auth cannot be asked.
    """
    _require_globus_sdk()
    if place.file.exists():
        with errors_of_globus("Try again."), _app(place, _SCOPES) as app:
            app.logout()


def who_is(place: SharedLogin) -> str:
    """Ask who is logged in: the name that Globus Auth has for them; blocking.

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
