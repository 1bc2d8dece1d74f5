"""As a service manager starts it: with a socket that listens already, and told READY=1 when everything runs."""

import os
import socket
import ssl
import subprocess
import sys

from typing_extensions import override

from tests.processes.houses import HouseCase, set_key

# What sd_listen_fds(3) wants: the socket is descriptor 3, and the process that it is for is named by its number.
_ACTIVATE = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_FDS="1", LISTEN_FDNAMES="https", LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[2], sys.argv[2:])
"""


class Activation(HouseCase):
    """foo.test under a service manager."""

    @override
    def setUp(self) -> None:
        super().setUp()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(self.listener.close)
        self.told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.told.close)
        self.told.bind(str(self.root / "notify"))
        self.told.settimeout(20)

    def test_socket_and_readiness(self) -> None:
        """The inherited socket serves; READY=1 comes once, not before the public listener is open."""
        set_key(self.foo, "front", "listen", "systemd:domain=INET:index=0")
        process = self._start(self.listener.fileno())
        self.assertEqual(self._hear(), "READY=1")
        certificate = ssl.get_server_certificate(self.listener.getsockname(), timeout=5)
        self.assertIn("BEGIN CERTIFICATE", certificate)
        log = self.foo.log.read_text()
        self.assertIn("front started", log)
        process.terminate()
        self.assertEqual(self._hear(), "STOPPING=1")
        self.assertEqual(process.wait(10), 0)

    def test_not_ready_without_a_listener(self) -> None:
        """A daemon whose public listener cannot be had ends, and never said that it was ready."""
        set_key(self.foo, "front", "listen", "systemd:domain=INET:index=7")
        process = self._start(self.listener.fileno())
        self.assertEqual(process.wait(20), os.EX_UNAVAILABLE)
        self.assertRegex(self.foo.log.read_text(), r"front did not start: .*7: the service manager gave no such")
        self.assertEqual(self._hear(), "STOPPING=1")
        self.told.settimeout(0)
        self.assertRaises(BlockingIOError, self.told.recv, 100)

    def _start(self, descriptor: int) -> "subprocess.Popen[bytes]":
        with self.foo.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-c", _ACTIVATE, str(descriptor), *self.foo.command()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(descriptor,),
                env={**os.environ, "NOTIFY_SOCKET": str(self.root / "notify")},
            )
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def _hear(self) -> str:
        return self.told.recv(1000).decode()
