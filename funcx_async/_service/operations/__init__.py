"""The operations of the service, by subject; ``FuncXClient`` has all of them."""
