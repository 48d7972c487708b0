"""Options that several commands have, and the client that they make."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import typer

from funcx_async._net.environments import (
    ENDPOINT_VARIABLE,
    SERVICE_URL_VARIABLE,
    is_globus,
    service_url,
)
from funcx_async.client import FuncXClient
from funcx_async.doctor.credentials import credentials_here
from funcx_async.errors import AuthenticationFailed

Service = Annotated[
    str | None,
    typer.Option(
        "--service",
        metavar="URL",
        envvar=SERVICE_URL_VARIABLE,
        help="Root of the service, if it is not the hosted one.",
    ),
]
"""Which service is meant."""

Endpoint = Annotated[
    str | None,
    typer.Option(
        "--endpoint",
        metavar="ID",
        envvar=ENDPOINT_VARIABLE,
        help="The endpoint.",
    ),
]
"""Which endpoint is meant."""

AmqpPort = Annotated[
    int | None,
    typer.Option(metavar="PORT", min=1, max=65_535, help="Another port for results."),
]
"""Which port of the broker results come from, if not the service's choice."""

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
"""Whether programs are to read what is printed."""


@asynccontextmanager
async def client_of(service: str | None) -> AsyncIterator[FuncXClient]:
    """Have a client of the service, as whoever the environment or the login says.

    Raises:
        ValueError: for what is not the root of a web service.
        AuthenticationFailed: if the service refuses the credentials; it says where they came from
            and how to get others.
    """
    url = service_root(service)
    async with FuncXClient(url) as client:
        try:
            yield client
        except AuthenticationFailed as error:
            told = ": ".join(word for word in (error.code, error.reason) if word)
            if not told or error.authorization_parameters:  # these words name the remedy already
                raise
            words, renewal = credentials_here(url, os.environ, globus=is_globus(url))
            raise AuthenticationFailed(
                f"The service refuses {words}: missing, wrong or expired ({told}). {renewal}"
            ) from error


def service_root(service: str | None) -> str:
    """Give the root of the service that is meant.

    Raises:
        ValueError: for what is not the root of a web service; it names option and variable.
    """
    return service_url(service, None, os.environ, source=f"--service or {SERVICE_URL_VARIABLE}")
