"""A filter that rrsctl mail check speaks with."""

import socket
import struct
import threading


class Milter:
    """A filter that negotiates, or says something else instead."""

    def __init__(
        self, said: bytes = struct.pack("!IcIII", 13, b"O", 6, 0, 0), listening: socket.socket | None = None
    ) -> None:
        self._socket = listening or socket.create_server(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1]) if listening is None else 0
        self.name = f"inet:127.0.0.1:{self.port}"
        self._said = said
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Nobody listens there any more."""
        if self._socket.fileno() >= 0:
            self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()

    def _serve(self) -> None:
        try:
            while True:
                talk, _ = self._socket.accept()
                with talk:
                    talk.recv(17, socket.MSG_WAITALL)
                    talk.sendall(self._said)
                    talk.recv(5, socket.MSG_WAITALL)
        except OSError:
            return
