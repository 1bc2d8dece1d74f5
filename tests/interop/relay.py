"""A relay that ends TLS on both sides: it has the server's key and the client's, and keeps what the client says."""

import re
import select
import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path

from attrs import define, field, frozen

_TOKEN = re.compile(rb"eyJ[\w-]+\.eyJ[\w-]+\.[\w-]+")
_BLOCK = 65536


@frozen
class Way:
    """Who is in front of whom: the server's certificate and key, the client's, the authority, and the real port."""

    name: str
    port: int
    server: tuple[Path, Path]
    client: tuple[Path, Path]
    roots: Path


@define(eq=False)
class Relay:
    """Listens in place of one domain."""

    way: Way
    said: list[bytes] = field(factory=list, init=False)
    _listener: socket.socket = field(init=False)
    _sockets: list[socket.socket] = field(factory=list, init=False)
    _near: ssl.SSLContext = field(init=False)
    _far: ssl.SSLContext = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._near = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._near.load_cert_chain(*self.way.server)
        self._far = ssl.create_default_context(cafile=str(self.way.roots))
        self._far.load_cert_chain(*self.way.client)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._run(self._accept)

    @property
    def port(self) -> int:
        """Where it listens."""
        number: int = self._listener.getsockname()[1]
        return number

    @property
    def tokens(self) -> list[str]:
        """Every JWT that a client sent through."""
        return [found.decode() for each in list(self.said) for found in _TOKEN.findall(each)]

    def close(self) -> None:
        """End every connection and listen no more."""
        for each in (self._listener, *self._sockets):
            _shut(each)
            each.close()

    def _accept(self) -> None:
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            self._run(self._join, plain)

    def _join(self, plain: socket.socket) -> None:
        try:
            near = self._near.wrap_socket(plain, server_side=True)
            connected = socket.create_connection(("127.0.0.1", self.way.port))
            far = self._far.wrap_socket(connected, server_hostname=self.way.name)
        except OSError:
            plain.close()
            return
        self._sockets += [near, far]
        self._pump(near, far)

    def _pump(self, near: ssl.SSLSocket, far: ssl.SSLSocket) -> None:
        # One thread for both directions: OpenSSL does not let two use one connection at a time.
        try:
            while data := _received(near, far):
                source, sink, octets = data
                if source is near:
                    self.said.append(octets)
                sink.sendall(octets)
        except OSError:
            pass
        _shut(near)
        _shut(far)

    def _run(self, function: Callable[..., None], *given: object) -> None:
        threading.Thread(target=function, args=given, daemon=True).start()


def _received(one: ssl.SSLSocket, other: ssl.SSLSocket) -> tuple[ssl.SSLSocket, ssl.SSLSocket, bytes] | None:
    """Who said something, to whom, and what; None when one of them ended."""
    while True:
        ready = [each for each in (one, other) if each.pending()] or select.select([one, other], [], [])[0]
        for source, sink in ((one, other), (other, one)):
            if source in ready:
                source.setblocking(False)
                try:
                    octets = source.recv(_BLOCK)
                except ssl.SSLWantReadError:
                    continue  # a record that is not whole yet, or none of the application
                finally:
                    source.setblocking(True)
                return (source, sink, octets) if octets else None


def _shut(one: socket.socket) -> None:
    try:
        one.shutdown(socket.SHUT_RDWR)
    except OSError:
        return
