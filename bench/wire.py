"""A counting forwarder between two domains: the kernel moves the bytes from socket to socket (splice), so that counting
costs next to nothing and every run can be counted."""

import os
import socket
from collections.abc import Callable
from contextlib import suppress

from attrs import define
from typing_extensions import override

from tests.processes.gate import Gate

_AT_ONCE = 1 << 20


@define(eq=False)
class Counter(Gate):
    """Relays loopback connections to `target`; `sent` went there, `passed` came back."""

    @override
    def _up(self, source: socket.socket, sink: socket.socket) -> None:
        _splice(source, sink, self._count_sent)

    @override
    def _down(self, source: socket.socket, sink: socket.socket) -> None:
        _splice(source, sink, self._count_passed)

    def _count_sent(self, number: int) -> None:
        self.sent += number

    def _count_passed(self, number: int) -> None:
        self.passed += number

    @property
    def total(self) -> int:
        """Bytes in both directions."""
        return self.sent + self.passed


def _splice(source: socket.socket, sink: socket.socket, count: Callable[[int], None]) -> None:
    """Everything from one socket to the other; what one side closes is closed at the other."""
    sink.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    entry, mouth = os.pipe()
    try:
        with suppress(OSError):
            while moved := os.splice(source.fileno(), mouth, _AT_ONCE):
                count(moved)
                while moved:
                    moved -= os.splice(entry, sink.fileno(), moved)
    finally:
        os.close(entry)
        os.close(mouth)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
