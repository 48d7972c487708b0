"""What the service says to whoever asks, and what it means: plain functions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from funcx_async.doctor.report import Verdict
from funcx_async.doctor.troubles import Trouble
from funcx_async.endpoints import EndpointVersions
from funcx_async.environments import ENDPOINT_VARIABLE, SERVICE_URL_VARIABLE, TOKEN_VARIABLE
from funcx_async.errors import (
    AuthenticationFailed,
    Forbidden,
    FuncXError,
    NotFound,
    TaskExecutionFailed,
)
from funcx_async.logins import LOGIN_COMMAND, login_command
from funcx_async.models import EndpointStatus
from funcx_async.proxies import Proxy

STANDARD_PORTS = (443, 5671, 5672)
"""Where brokers listen for AMQP."""

SCOPE_CODE = "INSUFFICIENT_AUTH_SCOPE"

_RENEWED = (
    f"Log in anew, `{LOGIN_COMMAND} --force`; or give a fresh {TOKEN_VARIABLE}, or client "
    "credentials that are not revoked."
)


def of_login(error: FuncXError | None, credentials: str) -> Verdict:
    """Whether the service accepts the credentials.

    Args:
        error: what came of a request with them.
        credentials: which they are, in words.
    """
    if error is None:
        return Verdict("OK", f"The service accepts {credentials}.")
    if isinstance(error, AuthenticationFailed):
        if error.authorization_parameters:
            command = login_command(error.authorization_parameters)
            return Verdict("FAIL", "The service wants a further login.", f"Run `{command}`.")
        if (error.code or "").upper() == SCOPE_CODE:
            return Verdict(
                "FAIL",
                f"The service refuses {credentials}: made for another scope ({error.code}).",
                f"Log in anew, `{LOGIN_COMMAND} --force`, or get a token whose scope is Globus "
                "Compute's.",
            )
        if error.reason or error.code:
            told = ": ".join(word for word in (error.code, error.reason) if word)
            found = f"The service refuses {credentials}: missing, wrong or expired ({told})."
            return Verdict("FAIL", found, _RENEWED)
        first, _, rest = str(error).partition(". ")
        return Verdict("FAIL", f"{first.rstrip('.')}.", rest or _RENEWED)
    if isinstance(error, Forbidden):
        return Verdict(
            "FAIL",
            f"The service knows {credentials}, but does not let them in ({error.reason}).",
            "Ask whoever runs the service for access.",
        )
    return Verdict("FAIL", str(error), "Try again; if it stays so, ask who runs the service.")


def credentials_in_words(service_url: str, variables: Mapping[str, str], *, globus: bool) -> str:
    """Say which credentials requests carry, in the order in which they are looked for.

    Args:
        service_url: the service's root.
        variables: the process's environment.
        globus: whether the service is one of Globus.

    Example:
        >>> credentials_in_words("http://x", {"FUNCX_ASYNC_SERVICE_URL": "http://x",
        ...     "FUNCX_ASYNC_TOKEN": "secret"}, globus=False)
        'the token of FUNCX_ASYNC_TOKEN'
    """
    meant = variables.get(SERVICE_URL_VARIABLE, "").rstrip("/") == service_url
    if meant and variables.get(TOKEN_VARIABLE):
        return f"the token of {TOKEN_VARIABLE}"
    if globus and variables.get("GLOBUS_COMPUTE_CLIENT_ID"):
        return "the client credentials of GLOBUS_COMPUTE_CLIENT_ID"
    return "the login of the official tools" if globus else "no credentials"


def of_endpoint(
    endpoint_id: str, status: EndpointStatus | None, error: FuncXError | None
) -> Verdict:
    """Whether the endpoint is there, and for us.

    Args:
        endpoint_id: its id.
        status: what the service says of it.
        error: why it says nothing.
    """
    if isinstance(error, NotFound):
        return Verdict(
            "FAIL",
            f"The service does not know the endpoint {endpoint_id}.",
            f"Check --endpoint or {ENDPOINT_VARIABLE}; `funcx-async endpoints --all` lists those "
            "that you may use.",
        )
    if isinstance(error, Forbidden):
        return Verdict(
            "FAIL",
            f"The endpoint {endpoint_id} is not for you to use ({error.reason}).",
            "Ask its owner for access.",
        )
    if status is None:
        return Verdict("FAIL", str(error), "Try again.")
    if status.status.lower() == "offline":
        return Verdict(
            "FAIL",
            f"The endpoint {endpoint_id} is offline; tasks for it wait.",
            "Start it on its machine, `globus-compute-endpoint start NAME`, or ask its owner to.",
        )
    return Verdict("OK", f"The endpoint {endpoint_id} is {status.status.lower()}.")


def of_versions(versions: EndpointVersions) -> Verdict:
    """Whether Python and dill are the same on both sides.

    Args:
        versions: those of the endpoint.
    """
    if differing := versions.mismatch():
        return Verdict(
            "WARN",
            f"The endpoint has {differing}. Functions whose source is complete run there all the "
            "same; others, and objects of your own classes, may fail.",
            "Use the same versions on both sides: an environment with that Python here, or one "
            "with this Python there. `funcx_async.explain(function)` tells what would be sent.",
        )
    if versions.python is None and versions.dill is None:
        return Verdict(
            "SKIP", "The service does not tell the endpoint's versions.", "A task does: --task."
        )
    pairs = (("Python", versions.python), ("dill", versions.dill))
    told = " and ".join(f"{name} {version}" for name, version in pairs if version)
    return Verdict("OK", f"{told} there, and the like here.")


def of_queue_port(
    host: str, port: int, trouble: Trouble | None, open_ports: list[int], proxy: Proxy | None
) -> Verdict:
    """Whether the broker of results can be reached.

    Args:
        host: the broker's.
        port: its port.
        trouble: why there is no connection to it.
        open_ports: other ports at which there is one.
        proxy: through which it was tried.
    """
    if trouble is None:
        way = "" if proxy is None else f", through {proxy}"
        return Verdict("OK", f"Port {port} of {host} takes connections{way}.")
    found = f"Port {port} of {host} cannot be reached ({trouble.words})."
    if open_ports:
        remedy = f"Port {open_ports[0]} is open: FuncXExecutor(amqp_port={open_ports[0]})."
        return Verdict("WARN", found, remedy, blocks=True)
    ports = " or ".join(str(each) for each in dict.fromkeys((port, 443)))
    way = (
        "or set HTTPS_PROXY, if there is a proxy"
        if proxy is None
        else f"or ask whoever runs {proxy} to"
    )
    remedy = f"Have the firewall let connections to port {ports} out, {way}."
    found += " Results are asked for over HTTP instead, which is slower."
    return Verdict("WARN", found, remedy, blocks=True)


def of_queue_login(words: str | None, *, refused: bool) -> Verdict:
    """Whether the broker lets us in.

    Args:
        words: what went wrong, without the password.
        refused: whether it was the password.
    """
    if words is None:
        return Verdict("OK", "The broker of results accepts the login.")
    if refused:
        return Verdict(
            "FAIL",
            f"The broker of results refuses the login that the service gave ({words}).",
            "Try again: the service gives a new one each time. If it stays so, ask who runs it.",
        )
    return Verdict(
        "FAIL",
        f"The broker of results does not answer as one ({words}).",
        "Check --amqp-port; a firewall that opens TLS lets no AMQP pass.",
    )


def of_task(value: Any, error: FuncXError | None, seconds: float | None) -> Verdict:
    """Whether a task makes its way there and back.

    Args:
        value: what it gave; 42 is right.
        error: why it gave nothing.
        seconds: how long it took; None: it has not ended.
    """
    if isinstance(error, TaskExecutionFailed):
        return Verdict(
            "FAIL",
            f"The task failed: {error.remote_data.strip().splitlines()[-1]}",
            "See `versions`, and the endpoint's own log on its machine.",
        )
    if error is not None:
        return Verdict("FAIL", str(error))
    if seconds is None:
        return Verdict(
            "WARN",
            "The task was taken, but did not end in time.",
            "The endpoint may have to start its workers first, or wait for the machine's queue.",
        )
    if value != 42:
        return Verdict("FAIL", f"The task gave {value!r} instead of 42.")
    return Verdict("OK", f"A task went there and back in {seconds:.2f} s.")


def no_endpoint() -> Verdict:
    """There is no endpoint to look at."""
    remedy = f"Name one: --endpoint or {ENDPOINT_VARIABLE}."
    return Verdict("SKIP", "No endpoint is named.", remedy, blocks=True)


def told_versions(documents: list[Mapping[str, Any]]) -> EndpointVersions:
    """Read versions from what an endpoint and its workers tell; the last that tells one counts.

    Example:
        >>> told_versions([{"python_version": "3.11"}, {"dill_version": "0.3.9"}]).dill
        '0.3.9'
    """
    together: dict[str, Any] = {}
    for document in documents:
        metadata = document.get("metadata")
        together |= dict(metadata) if isinstance(metadata, Mapping) else {}
        together |= {name: value for name, value in document.items() if value is not None}
    together.pop("metadata", None)
    return EndpointVersions.told_by(together)
