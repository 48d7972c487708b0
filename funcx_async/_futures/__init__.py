"""Futures: settled by whoever settles them, awaited by threads and by any event loop."""
