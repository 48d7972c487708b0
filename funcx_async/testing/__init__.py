"""What tests of users run on: the pytest plugin and its fixtures."""
