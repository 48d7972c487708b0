"""The executor, and what of it can be told apart."""
