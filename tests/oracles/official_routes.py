"""Every route that the official SDK's Client has, asked once; run by its own interpreter."""

from __future__ import annotations

import os

from globus_compute_sdk import Client
from globus_sdk import AccessTokenAuthorizer

ENDPOINT = "0068440f-8c5e-5831-9af3-b22e6d4ba9f0"
FUNCTION = "e32abd97-2f29-5b55-8940-bb9a88f9184d"
SOURCE = "def plain(a, b):\n    return a + b\n"


def main():
    authorizer = AccessTokenAuthorizer(os.environ["LOCAL_TOKEN"])
    client = Client(environment="local", authorizer=authorizer, do_version_check=False)
    client.version_check()
    client.register_source_code(SOURCE, "plain", "adds", public=True)
    client.get_function(FUNCTION)
    client.delete_function(FUNCTION)
    client.get_allowed_functions(ENDPOINT)
    client.get_endpoints()
    client.get_endpoints(role="any")
    client.get_endpoint_metadata(ENDPOINT)
    client.get_endpoint_status(ENDPOINT)
    client.register_endpoint("new", None, metadata={"a": 1}, multi_user=True, public=False)
    client.register_endpoint("old", ENDPOINT, admins=[FUNCTION], auth_policy=FUNCTION)
    client.stop_endpoint(ENDPOINT)
    client.delete_endpoint(ENDPOINT)
    client.get_batch_result([FUNCTION])
    client.run(1, b=2, endpoint_id=ENDPOINT, function_id=FUNCTION)


if __name__ == "__main__":
    main()
