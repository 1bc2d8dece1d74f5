"""Sizes as small as the simulated resources are, and loops that only watch as slow as the virtual hours allow."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from functools import lru_cache
from typing import Any
from unittest.mock import patch

from rrsd.core.values.resources import CHUNK as REAL_CHUNK

CHUNK = 1024
BLOCK = 256
SIZES: tuple[tuple[str, Any, Any], ...] = (
    ("CHUNK", REAL_CHUNK, CHUNK),
    ("BLOCK", 128 * 1024, BLOCK),
    ("PROGRESS", 64 * 1024, 512),
    ("NEWS_EVERY", timedelta(milliseconds=500), timedelta(hours=1)),
    ("PACE_EVERY", timedelta(seconds=30), timedelta(minutes=5)),
    ("LOOK_EVERY", timedelta(seconds=15), timedelta(minutes=5)),
    ("EVERY", timedelta(seconds=30), timedelta(minutes=2)),
    ("LONGEST_SLEEP", timedelta(seconds=15), timedelta(minutes=10)),
    ("LONGEST_SLEEP", timedelta(minutes=5), timedelta(minutes=20)),
)
"""Constants of the daemon by name: what each is, and what it is here. A loop that sleeps longer must be rung for."""


@lru_cache
def _places() -> tuple[tuple[Any, str, Any], ...]:
    """Modules of the daemon that have such a constant, its name, and what it is here."""
    modules = [each for name, each in sorted(sys.modules.items()) if name.startswith("rrsd.")]
    found = [(module, *size) for size in SIZES for module in modules if vars(module).get(size[0]) == size[1]]
    unknown = [size for size in SIZES if not any(each[1:] == size for each in found)]
    assert not unknown, f"the daemon has no such constant any more: {unknown}"
    return tuple((module, name, here) for module, name, _, here in found)


@contextmanager
def scaled() -> Iterator[None]:
    """While it lasts every module of the daemon has the small sizes."""
    with ExitStack() as stack:
        for module, name, here in _places():
            stack.enter_context(patch.object(module, name, here))
        yield
