"""What an executor runs on one event loop: submits, tries, and what is open meanwhile."""
