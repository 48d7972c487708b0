"""The status page of the local service: what it does now, and did lately.

The page itself holds nothing and is given to everybody. What it shows, ``/status.json``, is for who
has the service's token, or the page's key, with which nothing can be run. The key is made anew at
each start and comes into the page as the part of its address behind ``#``, which browsers send to
nobody.
"""
