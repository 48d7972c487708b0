"""A small web service that sweeps a parameter and shows the results as they arrive.

Run it with ``python -m examples.gateway`` and open the URL that it prints. Without
``FUNCX_ASYNC_ENDPOINT_ID`` in the environment it starts a local funcX service. Kill it in the
middle of a sweep, even with ``kill -9``, and start it again: the sweep continues.

It has no authentication and accepts only requests for this machine. To make it public, put a proxy
with authentication in front, and set ``GATEWAY_HOSTS`` to the public host name.
"""
