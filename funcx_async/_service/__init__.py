"""The web service as calls and records: its operations, in both dialects."""
