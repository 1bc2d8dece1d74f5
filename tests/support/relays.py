"""What stands on loopback between two parties, with threads of its own, because either may be blocked by it."""

import socket
import threading

from attrs import define, field


@define(eq=False)
class Standing:
    """Listens; each connection is met in a thread of its own."""

    _listener: socket.socket = field(init=False)
    _sockets: list[socket.socket] = field(factory=list, init=False)

    def __attrs_post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._run(self._accept)

    @property
    def port(self) -> int:
        """Where it listens."""
        number: int = self._listener.getsockname()[1]
        return number

    def close(self) -> None:
        """End every connection and listen no more."""
        for each in (self._listener, *self._sockets):
            # Only a shutdown wakes a thread that waits in accept or recv.
            shut(each)
            each.close()

    def meet(self, near: socket.socket) -> None:
        """Somebody has connected."""
        raise NotImplementedError

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self._run(self.meet, near)

    def _run(self, work: object, *args: object) -> threading.Thread:
        thread = threading.Thread(target=work, args=args, daemon=True)  # type: ignore[arg-type]
        thread.start()
        return thread


def shut(*sockets: socket.socket) -> None:
    """Nothing goes either way any more; who waits on one of them wakes."""
    for each in sockets:
        try:
            each.shutdown(socket.SHUT_RDWR)
        except OSError:
            continue
