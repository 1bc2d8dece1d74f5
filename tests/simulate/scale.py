"""Sizes as small as the simulated resources are, and loops that only watch as slow as the virtual hours allow."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
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
    ("LOOK_EVERY", timedelta(seconds=15), timedelta(minutes=3)),
    ("LONGEST_SLEEP", timedelta(minutes=1), timedelta(minutes=10)),
)
"""Constants of the daemon by name: what each is, and what it is here."""


@contextmanager
def scaled() -> Iterator[None]:
    """While it lasts every module of the daemon has the small sizes."""
    with ExitStack() as stack:
        for module in [each for name, each in sys.modules.items() if name.startswith("rrsd.")]:
            for name, real, here in SIZES:
                if vars(module).get(name) == real:
                    stack.enter_context(patch.object(module, name, here))
        yield
