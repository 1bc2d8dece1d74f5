"""A counting forwarder between two domains: the kernel moves the bytes from socket to socket (splice), so that counting
costs next to nothing and every run can be counted."""

import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress

from attrs import define
from typing_extensions import override

from tests.processes.gate import Gate

_AT_ONCE = 1 << 20
_PACED = 1 << 16
_IDLE = 0.005
"""Seconds that a wire which had nothing to do may catch up: pauses are not as exact as bytes."""


@define(eq=False)
class Counter(Gate):
    """Relays loopback connections to `target`; `sent` went there, `passed` came back.

    `speed` is how many bytes a second go through in each direction, 0 for as many as there are.
    """

    speed: float = 0.0

    @override
    def _up(self, source: socket.socket, sink: socket.socket) -> None:
        _splice(source, sink, self._count_sent, self.speed)

    @override
    def _down(self, source: socket.socket, sink: socket.socket) -> None:
        _splice(source, sink, self._count_passed, self.speed)

    def _count_sent(self, number: int) -> None:
        self.sent += number

    def _count_passed(self, number: int) -> None:
        self.passed += number

    @property
    def total(self) -> int:
        """Bytes in both directions."""
        return self.sent + self.passed


def _splice(source: socket.socket, sink: socket.socket, count: Callable[[int], None], speed: float) -> None:
    """Everything from one socket to the other; what one side closes is closed at the other."""
    at_once = _PACED if speed else _AT_ONCE
    free = time.monotonic()  # when the wire has taken what was put on it
    sink.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    entry, mouth = os.pipe()
    try:
        with suppress(OSError):
            while moved := os.splice(source.fileno(), mouth, at_once):
                count(moved)
                free = _wait(free, moved, speed)
                while moved:
                    moved -= os.splice(entry, sink.fileno(), moved)
    finally:
        os.close(entry)
        os.close(mouth)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


def _wait(free: float, moved: int, speed: float) -> float:
    """Wait until the wire is free for so many bytes; when it is free again."""
    if not speed:
        return free
    now = time.monotonic()
    free = max(free, now - _IDLE)
    time.sleep(max(0.0, free - now))
    return free + moved / speed
