"""The service itself: its version, and whether it still takes what we say."""

from __future__ import annotations

import logging
from typing import Any

from funcx_async._service.routes.shared import Routes
from funcx_async._versions import is_older
from funcx_async.errors import FuncXError, VersionMismatch

_log = logging.getLogger("funcx_async.service")


class ServiceRoutes(Routes):
    """What can be asked about the service."""

    async def get_version(self) -> dict[str, Any]:
        """Ask for the versions of the service, and the oldest of SDK and endpoint that it takes.

        Raises:
            FuncXError: as every request.

        Example::

            print((await client.get_version())["min_sdk_version"])
        """
        return await self._rest.read(
            "GET", "/v2/version?service=all", dict[str, Any], "asking for the version"
        )

    async def version_check(self, endpoint_version: str | None = None) -> None:
        """Ask whether the service still takes requests as this client makes them.

        They equal those of one version of the official client, which the service knows and this
        client names in each of them. If it is too old, refusals that follow say so, too, as their
        ``version_mismatch``. Executors check it by themselves, beside their first tasks, and only
        warn.

        Args:
            endpoint_version: the version of an endpoint's software, to check it, too.

        Raises:
            VersionMismatch: if one of them is older than what the service takes.
            FuncXError: as every request.

        Example::

            await client.version_check()
        """
        told = await self.get_version()
        self._check(self.dialect.sdk_name, self.dialect.sdk_version, told.get("min_sdk_version"))
        if endpoint_version is not None:
            self._check("the endpoint", endpoint_version, told.get("min_ep_version"))

    async def warn_if_outdated(self, share: float) -> None:
        """Check the version once in the client's life; only the log learns of it.

        Args:
            share: the part of the budget that this request may use up.
        """
        if self._version_checked:
            return
        self._version_checked = True
        try:
            await self._rest.within_budget(share)
            await self.version_check()
        except VersionMismatch as error:
            _log.warning("%s", error)
        except FuncXError as error:
            self._version_checked = False
            _log.debug("The service does not tell which versions it takes: %s", error)
        except BaseException:  # cancelled as well: nothing was checked
            self._version_checked = False
            raise

    def _check(self, name: str, version: str, minimum: object) -> None:
        if not isinstance(minimum, str) or not is_older(version, minimum):
            return
        ours = name == self.dialect.sdk_name
        who = f"This client speaks as {name} {version}" if ours else f"Version {version} of {name}"
        verb = ", but the service takes" if ours else " is too old: the service takes"
        error = VersionMismatch(
            f"{who}{verb} {minimum} at least. Requests may be refused: install a newer "
            f"{'funcx-async' if ours else 'globus-compute-endpoint there'}.",
            version=version,
            minimum=minimum,
        )
        if ours:
            self._rest.mismatch = error
        raise error
