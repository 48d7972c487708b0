"""How bytes get to a service: proxies, tunnels, TLS, and what its answers say."""
