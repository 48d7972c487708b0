"""Options that several commands have, and the client that they use."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import typer

from funcx_async._net.environment import (
    ENDPOINT_VARIABLE,
    SERVICE_URL_VARIABLE,
    is_globus,
    service_url,
)
from funcx_async.client import FuncXClient
from funcx_async.doctor.credentials import credentials_in_use
from funcx_async.errors import AuthenticationFailed

Service = Annotated[
    str | None,
    typer.Option(
        "--service",
        metavar="URL",
        envvar=SERVICE_URL_VARIABLE,
        help="Root URL of the service. Default: the hosted service of Globus Compute.",
    ),
]

Endpoint = Annotated[
    str | None,
    typer.Option(
        "--endpoint",
        metavar="ID",
        envvar=ENDPOINT_VARIABLE,
        help="Id of the endpoint.",
    ),
]

AmqpPort = Annotated[
    int | None,
    typer.Option(
        metavar="PORT", min=1, max=65_535, help="Port of the broker that delivers results."
    ),
]

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@asynccontextmanager
async def client_of(service: str | None) -> AsyncIterator[FuncXClient]:
    """Open a client of the service, with the credentials of the environment or the stored login.

    Raises:
        ValueError: if the URL is not the root of a web service.
        AuthenticationFailed: if the service rejects the credentials; the message says which they
            are and how to renew them.
    """
    url = service_root(service)
    async with FuncXClient(url) as client:
        try:
            yield client
        except AuthenticationFailed as error:
            reason = ": ".join(word for word in (error.code, error.reason) if word)
            if not reason or error.authorization_parameters:  # the message has the remedy already
                raise
            name, renewal, _ = credentials_in_use(url, os.environ, globus=is_globus(url))
            raise AuthenticationFailed(
                f"The service rejects {name}: missing, wrong or expired ({reason}). {renewal}"
            ) from error


def service_root(service: str | None) -> str:
    """Return the root URL of the service.

    Raises:
        ValueError: if it is not the root of a web service; the message names option and variable.
    """
    return service_url(service, None, os.environ, source=f"--service or {SERVICE_URL_VARIABLE}")
