"""A TCP relay that a test shuts in the middle of a transfer, so that what happens meanwhile happens in mid-transfer."""

import socket
import threading

from attrs import define, field
from typing_extensions import override

from tests.support.relays import Standing, shut

_BLOCK = 256 * 1024


@define(eq=False)
class Gate(Standing):
    """Relays loopback connections to `target`. Shut, it holds back what the target sends beyond `most` bytes."""

    target: int
    most: int = 1 << 62
    passed: int = field(default=0, init=False)
    sent: int = field(default=0, init=False)
    """Bytes that went to the target."""
    _open: threading.Event = field(factory=threading.Event, init=False)

    @property
    def is_holding(self) -> bool:
        """Whether as much has passed as may."""
        return self.passed >= self.most and not self._open.is_set()

    def open(self) -> None:
        """Let everything pass from now on."""
        self._open.set()

    @override
    def close(self) -> None:
        self._open.set()
        super().close()

    @override
    def meet(self, near: socket.socket) -> None:
        try:
            far = socket.create_connection(("127.0.0.1", self.target))
        except OSError:
            near.close()
            return
        self._sockets += [near, far]
        down = self._run(self._down, far, near)
        self._up(near, far)
        down.join()
        for each in (near, far):
            each.close()
            self._sockets.remove(each)

    def _up(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(_BLOCK):
                self.sent += len(data)
                sink.sendall(data)
        except OSError:
            pass
        shut(source, sink)

    def _down(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(_BLOCK):
                self.passed += len(data)
                sink.sendall(data)
                if self.passed >= self.most:
                    self._open.wait()
        except OSError:
            pass
        shut(source, sink)
