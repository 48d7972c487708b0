"""What programs for the official clients give to a client, in the words of this package.

The clients are those of ``funcx`` 1.0.13 and ``globus-compute-sdk`` 4.19.
"""

from __future__ import annotations

from typing import Any, TypedDict
from uuid import UUID

from funcx_async._service.operations.calls import Batch
from funcx_async.client import FuncXClient
from funcx_async.errors import FuncXError
from funcx_async.serialize import FuncXSerializer


class OfficialArguments(TypedDict, total=False):
    """Keyword arguments of the official clients that are accepted.

    Attributes:
        app: a ``globus_sdk.GlobusApp``, as ``auth``.
        authorizer: an authorizer of ``globus_sdk``, as ``auth``.
        fx_authorizer: the same, of ``funcx``.
        code_serialization_strategy: how functions are written, as the ``serializer``'s.
        data_serialization_strategy: how arguments are written, as the ``serializer``'s.
        do_version_check: True: check at once that the service takes this client's version. By
            default executors do so with their first tasks.
        funcx_service_address: the address of a classic service, as ``base_url`` with ``api="v2"``.
        http_timeout: as ``timeout``.
        local_compute_services: True: the service at ``http://localhost:5000``.
        task_group_id: the group of what the client submits.
    """

    app: Any
    authorizer: Any
    fx_authorizer: Any
    code_serialization_strategy: Any
    data_serialization_strategy: Any
    do_version_check: bool
    funcx_service_address: str | None
    http_timeout: float | None
    local_compute_services: bool
    task_group_id: str | UUID | None


_INSTEAD = {
    "login_manager": "pass auth=, a token or a callable that returns one",
    "asynchronous": "use funcx_async.FuncXClient, whose methods are coroutines",
    "loop": "use funcx_async.FuncXClient, whose methods are coroutines",
    "results_ws_uri": "leave it out: results come over AMQP",
    "warn_about_url_mismatch": "leave it out: results come over AMQP",
    "openid_authorizer": "leave it out: only the service itself is asked",
    "search_authorizer": "leave it out: there is no search any more",
    "funcx_home": "leave it out: a login is found where the official tools keep it",
}
"""What to do about the arguments that are refused."""


def options_of(given: dict[str, Any], official: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments for :class:`funcx_async.FuncXClient`.

    Args:
        given: those that it has itself.
        official: those of the official clients; these are taken out.

    Raises:
        TypeError: for an argument that is refused or unknown; it says what to do.
        ValueError: if two say the same.
    """
    for name in set(official) - set(OfficialArguments.__annotations__):
        if official.pop(name) is None and name in _INSTEAD:
            continue
        remedy = _INSTEAD.get(name, "there is no such argument")
        raise TypeError(f"FuncXClient() does not accept {name!r}: {remedy}.")
    for name in ("app", "authorizer", "fx_authorizer"):
        _put(given, "auth", official.pop(name, None), name)
    _put(given, "timeout", official.pop("http_timeout", None), "http_timeout")
    if official.pop("local_compute_services", False):
        given["environment"] = "local"  # which wins there, too
    if address := official.pop("funcx_service_address", None):
        root = str(address).rstrip("/").removesuffix("/v2")
        _put(given, "base_url", root, "funcx_service_address")
        given["api"] = "v2"
    strategies = {
        f"strategy_{kind}": strategy
        for kind in ("code", "data")
        if (strategy := official.pop(f"{kind}_serialization_strategy", None)) is not None
    }
    if strategies:
        _put(given, "serializer", FuncXSerializer(**strategies), "…_serialization_strategy")
    return given


def _put(given: dict[str, Any], name: str, value: Any, official: str) -> None:
    if value is None:
        return
    if given.get(name) is not None:
        raise ValueError(f"{official} and {name} (or another name of it) exclude each other.")
    given[name] = value


async def run_batch(client: FuncXClient, batch: Batch) -> list[str]:
    """Submit a batch whose tasks name their endpoints; one request for each endpoint.

    Returns:
        The task ids in the order of adding, as ``funcx`` 1.x does.

    Raises:
        ValueError: if the batch is empty, or a task names no endpoint.
        FuncXError: as :meth:`funcx_async.FuncXClient.batch_run`, or why a single task was
            refused; a note names the tasks that were submitted nevertheless.
    """
    if not batch:
        raise ValueError("There is no task in the batch: add some first.")
    endpoints = dict.fromkeys(call.endpoint_id for call in batch.calls)
    if None in endpoints:
        raise ValueError(
            "Not every task in the batch names an endpoint: call batch_run(endpoint_id, batch), or "
            "batch.add(function_id, endpoint_id, args, kwargs)."
        )
    found: dict[tuple[str | None, str], list[str]] = {}
    refusals: dict[str, Exception] = {}
    try:
        for endpoint in endpoints:
            receipt = await client.batch_run(str(endpoint), batch.of_endpoint(endpoint))
            found |= {(endpoint, each): list(ids) for each, ids in receipt.tasks.items()}
            refusals |= receipt.refusals
        if refusals:
            raise next(iter(refusals.values()))
    except FuncXError as error:
        submitted = [each for ids in found.values() for each in ids if each not in refusals]
        if submitted:
            error.add_note(f"These tasks of the batch were submitted: {', '.join(submitted)}")
        raise
    return [found[call.endpoint_id, call.function_id].pop(0) for call in batch.calls]
