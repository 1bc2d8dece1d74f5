"""A TCP relay that a test shuts in the middle of a transfer, so that what happens meanwhile happens in mid-transfer."""

import socket
import threading

from attrs import define, field

_BLOCK = 256 * 1024


@define(eq=False)
class Gate:
    """Relays loopback connections to `target`. Shut, it holds back what the target sends beyond `most` bytes."""

    target: int
    most: int = 1 << 62
    passed: int = field(default=0, init=False)
    sent: int = field(default=0, init=False)
    """Bytes that went to the target."""
    _listener: socket.socket = field(init=False)
    _open: threading.Event = field(factory=threading.Event, init=False)
    _sockets: list[socket.socket] = field(factory=list, init=False)

    def __attrs_post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._run(self._accept)

    @property
    def port(self) -> int:
        """Where it listens."""
        number: int = self._listener.getsockname()[1]
        return number

    @property
    def is_holding(self) -> bool:
        """Whether as much has passed as may."""
        return self.passed >= self.most and not self._open.is_set()

    def open(self) -> None:
        """Let everything pass from now on."""
        self._open.set()

    def close(self) -> None:
        """End every connection and listen no more."""
        self._open.set()
        for each in (self._listener, *self._sockets):
            # Only a shutdown wakes a thread that waits in accept or recv.
            _shut(each)
            each.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                near.close()
                continue
            self._sockets += [near, far]
            self._run(self._relay, near, far)

    def _relay(self, near: socket.socket, far: socket.socket) -> None:
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
        _shut(source, sink)

    def _down(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(_BLOCK):
                self.passed += len(data)
                sink.sendall(data)
                if self.passed >= self.most:
                    self._open.wait()
        except OSError:
            pass
        _shut(source, sink)

    def _run(self, work: object, *args: object) -> threading.Thread:
        thread = threading.Thread(target=work, args=args, daemon=True)  # type: ignore[arg-type]
        thread.start()
        return thread


def _shut(*sockets: socket.socket) -> None:
    for each in sockets:
        try:
            each.shutdown(socket.SHUT_RDWR)
        except OSError:
            continue
