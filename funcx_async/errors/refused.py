"""The service said no: mend what is asked, or what asks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from funcx_async.errors.base import FuncXError


class RequestRefused(FuncXError):
    """The service understood the request and refused it.

    Attributes:
        status: the HTTP status.
        code: the service's name for the reason, such as ``ENDPOINT_NOT_FOUND``, or None.
        reason: the service's sentence for people.
        version_mismatch: what is too old for the service, where that is known: it may be why.

    Example:
        >>> error = RequestRefused("refused", status=422, code="INVALID", reason="args is no text")
        >>> print(f"{error.status} {error.code}: {error.reason}")
        422 INVALID: args is no text
    """

    version_mismatch: VersionMismatch | None = None

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        code: str | None = None,
        reason: str = "",
        task_id: str | None = None,
        function_id: str | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message, task_id=task_id, function_id=function_id, request_id=request_id)
        self.status = status
        self.code = code
        self.reason = reason


class AuthenticationFailed(RequestRefused):
    """There are no credentials, or the service does not accept them.

    Attributes:
        authorization_parameters: what a further login has to bring, in the words of the service
            (such as ``session_required_mfa``); empty if none was asked for.

    Example:
        >>> parameters = {"session_required_mfa": True}
        >>> error = AuthenticationFailed("log in", authorization_parameters=parameters)
        >>> error.authorization_parameters
        {'session_required_mfa': True}
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 401,
        code: str | None = None,
        reason: str = "",
        authorization_parameters: Mapping[str, Any] | None = None,
        task_id: str | None = None,
        function_id: str | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(
            message,
            status=status,
            code=code,
            reason=reason,
            task_id=task_id,
            function_id=function_id,
            request_id=request_id,
        )
        self.authorization_parameters = dict(authorization_parameters or {})


class Forbidden(RequestRefused):
    """The credentials are good, but not for this.

    Example:
        >>> Forbidden("not yours", status=403, code="FUNCTION_NOT_PERMITTED").code
        'FUNCTION_NOT_PERMITTED'
    """


class NotFound(RequestRefused):
    """The service knows nothing under this id.

    Example:
        >>> NotFound("no such task", status=404, task_id="4b116d3c").task_id
        '4b116d3c'
    """


class TooLarge(RequestRefused):
    """The request, the function or one task's arguments exceed the service's limit.

    Example:
        >>> TooLarge("12 MB are too much", status=413, code="TASK_PAYLOAD_TOO_LARGE").status
        413
    """


class VersionMismatch(FuncXError):
    """The service no longer takes what this version says.

    Attributes:
        version: the version that is too old.
        minimum: the oldest that the service takes.

    Example:
        >>> error = VersionMismatch("too old", version="0.1.0", minimum="0.2.0")
        >>> print(f"{error.version} is older than {error.minimum}")
        0.1.0 is older than 0.2.0
    """

    def __init__(self, message: str, *, version: str = "", minimum: str = "") -> None:
        super().__init__(message)
        self.version = version
        self.minimum = minimum
