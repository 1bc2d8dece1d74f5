"""Tests of the demo's pieces; the whole of it is run by `make demo`."""
