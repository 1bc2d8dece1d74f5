"""The routes of the Resource Server."""
