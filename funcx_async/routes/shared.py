"""What the routes of every subject work with."""

from __future__ import annotations

from funcx_async.dialects import Dialect
from funcx_async.rest import Rest
from funcx_async.serialize import FuncXSerializer


class Routes:
    """A part of the client, which gives it all of this.

    Attributes:
        dialect: phrases requests and reads answers.
        task_group_id: the group of what it submits, or None where the service makes the groups.
    """

    dialect: Dialect
    task_group_id: str | None
    _rest: Rest
    _serializer: FuncXSerializer
