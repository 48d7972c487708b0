"""A login as the official SDK keeps it; run by its own interpreter, which has no funcx_async.

``write`` stores the login of its first argument; ``read`` prints what is stored, and whether the
official app takes it for a login.
"""

from __future__ import annotations

import json
import sys

from globus_compute_sdk import Client
from globus_compute_sdk.sdk.auth.auth_client import ComputeAuthClient
from globus_compute_sdk.sdk.auth.token_storage import get_token_storage
from globus_sdk.token_storage import TokenStorageData

storage = get_token_storage()
if sys.argv[1] == "write":
    documents = json.loads(sys.argv[2])
    storage.store_token_data_by_resource_server(
        {name: TokenStorageData.from_dict(document) for name, document in documents.items()}
    )
else:
    app = Client(do_version_check=False).app
    ComputeAuthClient(app=app)  # adds what the official tools require beside Compute itself
    stored = storage.get_token_data_by_resource_server()
    print(
        json.dumps(
            {
                "login_required": app.login_required(),
                "namespaces": sorted(storage.iter_namespaces()),
                "tokens": {name: data.to_dict() for name, data in stored.items()},
            }
        )
    )
storage.close()
