"""What stands between a domain that pulls and the one that it pulls from: passes everything, or is the trouble."""

import contextlib
import socket
import ssl
import threading
import time
from enum import Enum
from pathlib import Path

from attrs import define, field

_BLOCK = 65536
_HEAD = 65536
_ANSWER = b"HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


class Trouble(Enum):
    """How it behaves."""

    NONE = "none"
    REFUSED = "refused"
    """Nobody listens."""
    FORBIDDEN = "403"
    """The right certificate, and 403 to everything."""
    WRONG = "wrong certificate"
    SLOW = "slow"
    """Bytes trickle: never silent, never done."""


@define(eq=False)
class Front:
    """Listens on loopback for `target`. `certificate` and `key` are those of the domain, `wrong` those of another."""

    target: int
    certificate: tuple[Path, Path]
    wrong: tuple[Path, Path]
    passed: int = field(default=0, init=False)
    """Bytes that the target has sent."""
    trouble: Trouble = field(default=Trouble.NONE, init=False)
    port: int = field(init=False)
    _listener: socket.socket | None = field(default=None, init=False)
    _sockets: set[socket.socket] = field(factory=set, init=False)

    def __attrs_post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._serve(self._listener)

    def become(self, trouble: Trouble) -> None:
        """Behave so from now on; connections that are there end."""
        self.trouble = trouble
        self.cut()
        if trouble is Trouble.REFUSED and self._listener is not None:
            _close(self._listener)
            self._listener = None
        elif trouble is not Trouble.REFUSED and self._listener is None:
            self._listener = socket.create_server(("127.0.0.1", self.port))
            self._serve(self._listener)

    def cut(self) -> None:
        """End every connection."""
        for each in tuple(self._sockets):
            _close(each)

    def close(self) -> None:
        """End it."""
        self.become(Trouble.REFUSED)

    def _serve(self, listener: socket.socket) -> None:
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            self._sockets.add(near)
            threading.Thread(target=self._meet, args=(near,), daemon=True).start()

    def _meet(self, near: socket.socket) -> None:
        with contextlib.suppress(OSError):
            if self.trouble in (Trouble.FORBIDDEN, Trouble.WRONG):
                self._answer(near, self.wrong if self.trouble is Trouble.WRONG else self.certificate)
            else:
                self._relay(near)
        _close(near)
        self._sockets.discard(near)

    def _answer(self, near: socket.socket, pair: tuple[Path, Path]) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*pair)
        with context.wrap_socket(near, server_side=True) as secure:
            while secure.recv(_HEAD):
                secure.sendall(_ANSWER)

    def _relay(self, near: socket.socket) -> None:
        far = socket.create_connection(("127.0.0.1", self.target))
        self._sockets.add(far)
        up = threading.Thread(target=_pump, args=(near, far), daemon=True)
        up.start()
        is_slow = self.trouble is Trouble.SLOW
        with contextlib.suppress(OSError):
            while data := far.recv(16 if is_slow else _BLOCK):
                self.passed += len(data)
                near.sendall(data)
                if is_slow:
                    time.sleep(0.2)
        _close(near)
        _close(far)
        self._sockets.discard(far)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(_BLOCK):
            sink.sendall(data)
    _close(source)
    _close(sink)


def _close(each: socket.socket) -> None:
    # Only a shutdown wakes a thread that waits in accept or recv.
    with contextlib.suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
    each.close()
