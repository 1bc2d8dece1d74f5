"""Measurements of rrsd beside a reference puller and ordinary tools, in one run on one machine: `make bench`."""
