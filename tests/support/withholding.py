"""A TCP relay in front of a mail server that stops the clock at the end of a message: before the server has it, or when
it has answered and nobody has heard it."""

import socket
import threading
from enum import StrEnum

from attrs import define, field
from typing_extensions import override

from tests.support.relays import Standing, shut

_END = b"\r\n.\r\n"
_BLOCK = 1 << 16


class Part(StrEnum):
    """What is withheld of a message."""

    END = "end"
    """The line that ends it: the server waits for it."""
    REPLY = "reply"
    """What the server says to it: it has it."""


@define(eq=False)
class _Link:
    """One connection: `near` is the client's end."""

    near: socket.socket
    far: socket.socket
    tail: bytes = b""
    waits: bool = False
    """Whether the next words of the server are withheld."""
    gone: threading.Event = field(factory=threading.Event)


@define(eq=False)
class Withholder(Standing):
    """Relays loopback connections to `target`. Of the next messages, as many as it is told, it withholds a part until
    their connection ends; `held` counts those of which that part is known to be there."""

    target: int
    held: int = field(default=0, init=False)
    _part: Part = field(default=Part.REPLY, init=False)
    _left: int = field(default=0, init=False)
    _links: list[_Link] = field(factory=list, init=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False)

    def withhold(self, part: Part, count: int) -> None:
        """Of the next so many messages, from now on."""
        self.held, self._part, self._left = 0, part, count

    def relent(self) -> None:
        """Of no further message."""
        self._left = 0

    def cut(self) -> None:
        """Every connection is lost, to both sides."""
        for each in tuple(self._links):
            shut(each.near, each.far)

    @override
    def meet(self, near: socket.socket) -> None:
        try:
            link = _Link(near, socket.create_connection(("127.0.0.1", self.target)))
        except OSError:
            near.close()
            return
        self._links.append(link)
        self._sockets += [link.near, link.far]
        down = self._run(self._down, link)
        self._up(link)
        link.gone.set()
        shut(link.near, link.far)
        down.join()
        self._links.remove(link)

    def _up(self, link: _Link) -> None:
        try:
            while data := link.near.recv(_BLOCK):
                text = link.tail + data
                link.tail = text[-len(_END) + 1 :]
                if _END not in text or not self._take(link):
                    link.far.sendall(data)
                elif self._part is Part.END:
                    link.far.sendall(data[: max(0, data.rfind(b".\r\n"))])
                    self.held += 1
                else:
                    link.waits = True
                    link.far.sendall(data)
        except OSError:
            return

    def _take(self, link: _Link) -> bool:
        """Whether this one is withheld."""
        link.tail = b""
        with self._lock:
            self._left -= 1
            return self._left >= 0

    def _down(self, link: _Link) -> None:
        try:
            while data := link.far.recv(_BLOCK):
                if link.waits:
                    self.held += 1
                    link.gone.wait()
                    return
                link.near.sendall(data)
        except OSError:
            pass
        shut(link.near, link.far)
