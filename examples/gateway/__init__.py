"""A small web service that sweeps a parameter and shows the result as it comes.

Run it with ``python -m examples.gateway`` and open the address that it prints. Without
``FUNCX_ASYNC_ENDPOINT_ID`` in the environment it brings a local funcX service of its own. Kill it
in the middle of a sweep, with ``kill -9`` if you like, and start it again: the sweep goes on.
"""
