"""Listeners that can be had, and those that cannot."""

import os
import shutil
import socket
import stat
import tempfile
from typing import Any

from twisted.internet.defer import ensureDeferred
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import TestCase

from rrsd.app.front import Listeners
from rrsd.core.refusals import Unavailable


class Doors(TestCase):
    """A room that listens, on the machine's own sockets."""

    def setUp(self) -> None:
        """A folder whose name is short enough for a socket's."""
        self.folder = tempfile.mkdtemp(prefix="rrsd")
        self.addCleanup(shutil.rmtree, self.folder)
        self.path = f"{self.folder}/run/admin.sock"

    def listeners(self, *doors: str) -> Listeners:
        """A room with these doors, closed at the end of the test."""
        from twisted.internet import reactor

        room = Listeners("front", reactor, [(each, Factory.forProtocol(Protocol)) for each in doors])
        self.addCleanup(_stop, room)
        return room

    def connects(self) -> bool:
        """Whether somebody listens at the socket."""
        with socket.socket(socket.AF_UNIX) as line:
            try:
                line.connect(self.path)
            except OSError:
                return False
        return True

    async def test_start_and_stop(self) -> None:
        """Every door is open, then none; the socket is for owner and group only, and leaves nothing behind."""
        room = self.listeners("tcp:0:interface=127.0.0.1", self.path)
        await room.start()
        self.assertEqual((len(room.ports()), self.connects()), (2, True))
        self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o660)
        self.assertEqual(stat.S_IMODE(os.stat(os.path.dirname(self.path)).st_mode) & 0o007, 0)
        await room.stop()
        self.assertEqual((room.ports(), os.listdir(os.path.dirname(self.path))), ((), []))

    async def test_a_port_that_is_taken(self) -> None:
        """It is named, and what was opened before it is closed again."""
        first = self.listeners("tcp:0:interface=127.0.0.1")
        await first.start()
        address: Any = first.ports()[0].getHost()
        second = self.listeners(self.path, f"tcp:{address.port}:interface=127.0.0.1")
        problem = await self.assertFailure(_started(second), Unavailable)
        self.assertIn(f"cannot listen at tcp:{address.port}", str(problem))
        self.assertEqual((second.ports(), self.connects()), ((), False))

    async def test_descriptions_that_are_none(self) -> None:
        """A typing error is a refusal, not a traceback."""
        for description in ("", "tcp", "tcp:x", "nonsense:1", "tcp:1:2:3:4:interface=x", "tcp:0:colour=red"):
            problem = await self.assertFailure(_started(self.listeners(description)), Unavailable)
            self.assertIn("cannot listen at", str(problem))

    async def test_a_living_socket_is_not_taken(self) -> None:
        """A second daemon refuses to start, and the first goes on."""
        await self.listeners(self.path).start()
        await self.assertFailure(_started(self.listeners(self.path)), Unavailable)
        self.assertTrue(self.connects())

    async def test_a_stale_socket_is_replaced(self) -> None:
        """What a killed process left is no obstacle, whichever process has its number now."""
        for owner in (None, 2**22 + 5, 1, os.getpid()):
            with self.subTest(owner=owner):
                os.makedirs(os.path.dirname(self.path), exist_ok=True)
                with socket.socket(socket.AF_UNIX) as dead:
                    dead.bind(self.path)
                if owner is not None:
                    os.symlink(str(owner), f"{self.path}.lock")
                room = self.listeners(self.path)
                await room.start()
                self.assertTrue(self.connects())
                await room.stop()

    async def test_a_lock_without_a_socket_is_stale(self) -> None:
        """Nobody can listen at a socket that is not there."""
        os.makedirs(os.path.dirname(self.path))
        os.symlink(str(os.getpid()), f"{self.path}.lock")
        await self.listeners(self.path).start()
        self.assertTrue(self.connects())

    async def test_a_file_in_the_sockets_place_is_left_alone(self) -> None:
        """A path that was mistyped costs nobody a file."""
        os.makedirs(os.path.dirname(self.path))
        with open(self.path, "w") as precious:
            precious.write("precious")
        await self.assertFailure(_started(self.listeners(self.path)), Unavailable)
        with open(self.path) as precious:
            self.assertEqual(precious.read(), "precious")

    async def test_a_folder_that_cannot_be_made(self) -> None:
        """Said in words."""
        with open(f"{self.folder}/run", "w"):
            pass
        await self.assertFailure(_started(self.listeners(self.path)), Unavailable)


def _started(room: Listeners) -> Any:
    return ensureDeferred(room.start())


def _stop(room: Listeners) -> Any:
    return ensureDeferred(room.stop())
