"""Whole domains under one clock, with faults that follow from a seed: `make simulate`, `python -m tests.simulate`."""
