"""What can be asked of the service, by subject; ``FuncXClient`` is all of it together."""
