"""Runs a program of an official package as it is printed, logged in to a local service.

Run by the interpreter that has the package, with its name and the program's file. The page's reader
has a login at Globus; here the token of the local service takes its place.
"""

from __future__ import annotations

import os
import runpy
import sys


def give(kind, **options):
    """Have a class take other defaults."""
    construct = kind.__init__
    kind.__init__ = lambda self, *args, **own: construct(self, *args, **(options | own))


def log_in_sdk():
    from globus_compute_sdk import Client
    from globus_sdk import AccessTokenAuthorizer

    give(
        Client,
        environment="local",
        authorizer=AccessTokenAuthorizer(os.environ["FUNCX_ASYNC_TOKEN"]),
    )


def log_in_funcx():
    from funcx import FuncXClient
    from funcx.sdk.web_client import FuncxWebClient
    from globus_sdk import AccessTokenAuthorizer

    class Login:
        def ensure_logged_in(self):
            pass

        def get_auth_client(self):
            raise NotImplementedError

        def get_funcx_web_client(self, *, base_url=None):
            return FuncxWebClient(
                base_url=base_url, authorizer=AccessTokenAuthorizer(os.environ["FUNCX_ASYNC_TOKEN"])
            )

    address = os.environ["FUNCX_ASYNC_SERVICE_URL"] + "/v2"
    give(FuncXClient, funcx_service_address=address, login_manager=Login())


if __name__ == "__main__":
    package, file = sys.argv[1:]
    {"sdk": log_in_sdk, "funcx": log_in_funcx}[package]()
    runpy.run_path(file, run_name="__main__")
