"""Futures that threads wait for and any event loop can await."""
