"""The executor, its verbs, and how it is bound to an event loop."""
