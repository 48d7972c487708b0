"""The REST service: its application, its routes, and its status page."""
