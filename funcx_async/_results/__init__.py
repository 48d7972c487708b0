"""How results come back: from the task group's queue, and by asking over REST."""
