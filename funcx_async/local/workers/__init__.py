"""Worker processes, and the pool that gives them tasks."""
