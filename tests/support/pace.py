"""Limits of time that say the same on a slow machine, on a busy one and under a tracer: they follow what this process
needs for a known piece of work now."""

from time import process_time

_ROUNDS = 20_000
_NOMINAL = 0.0024
"""Processor seconds that the piece of work takes on the machine that the limits were written on."""


def _step(value: int) -> int:
    return (value * 48271) % 2147483647


def _piece() -> float:
    began, value = process_time(), 1
    for _ in range(_ROUNDS):
        value = _step(value)
    return process_time() - began


def slowness() -> float:
    """How many times slower this process is; at least 1, so that no limit is stricter than it is written."""
    return max(1.0, min(_piece() for _ in range(3)) / _NOMINAL)
