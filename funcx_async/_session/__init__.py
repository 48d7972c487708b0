"""What an executor runs on one event loop: submits, retries, and its open tasks."""
