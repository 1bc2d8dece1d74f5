"""The steps of the Resource Server, over its ports."""
