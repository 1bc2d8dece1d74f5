"""A relay that ends TLS on both sides: it has the server's key and the client's, and keeps what the client says."""

import re
import select
import socket
import ssl
from pathlib import Path

from attrs import define, field, frozen
from typing_extensions import override

from tests.support.relays import Standing, shut

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
class Relay(Standing):
    """Listens in place of one domain."""

    way: Way
    said: list[bytes] = field(factory=list, init=False)
    _near: ssl.SSLContext = field(init=False)
    _far: ssl.SSLContext = field(init=False)

    @override
    def __attrs_post_init__(self) -> None:
        self._near = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._near.load_cert_chain(*self.way.server)
        self._far = ssl.create_default_context(cafile=str(self.way.roots))
        self._far.load_cert_chain(*self.way.client)
        super().__attrs_post_init__()

    @property
    def tokens(self) -> list[str]:
        """Every JWT that a client sent through."""
        return [found.decode() for each in list(self.said) for found in _TOKEN.findall(each)]

    @override
    def meet(self, near: socket.socket) -> None:
        try:
            inner = self._near.wrap_socket(near, server_side=True)
            connected = socket.create_connection(("127.0.0.1", self.way.port))
            far = self._far.wrap_socket(connected, server_hostname=self.way.name)
        except OSError:
            near.close()
            return
        self._sockets += [inner, far]
        self._pump(inner, far)

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
        shut(near, far)


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
