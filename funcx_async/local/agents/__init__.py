"""Official endpoint agents on the local service: what they need to attach and to be sent tasks."""
