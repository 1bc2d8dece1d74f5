"""What the mail benchmark reads, counts and compares."""

import base64
import hashlib
import socket
import threading
import time
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from bench.mail import parse_amount
from bench.mailclient import BLOCK, Decoding, new_file, with_file
from bench.wire import Counter
from rrsd.core.refusals import Malformed


class Files(SynchronousTestCase):
    """The file that was sent is the one that is looked for."""

    @given(st.binary(max_size=300), st.lists(st.integers(0, 420), max_size=8))
    def test_decoding(self, data: bytes, places: list[int]) -> None:
        """Base64 in lines, in any blocks."""
        text = base64.encodebytes(data).replace(b"\n", b"\r\n")
        decoding = Decoding()
        edges = [0, *sorted(min(place, len(text)) for place in places), len(text)]
        for start, end in pairwise(edges):
            decoding.feed(text[start:end])
        self.assertEqual(decoding.finish(), hashlib.sha256(data).digest())

    def test_file(self) -> None:
        """Its lines are whole over the edges of blocks, and no two files are alike."""
        file, other = new_file(BLOCK + 100), new_file(BLOCK + 100)
        text = b"".join(file.lines)
        self.assertEqual(hashlib.sha256(base64.b64decode(text)).digest(), file.sha256)
        self.assertEqual({len(line) for line in text.split(b"\r\n")[:-2]}, {76})
        self.assertNotEqual(file.sha256, other.sha256)
        self.assertIn(text, b"".join(with_file("a@foo.test", "b@bar.test", 1, file)))

    def test_amounts(self) -> None:
        """MB are a million bytes, MiB are not."""
        self.assertEqual([parse_amount(each) for each in ("100MB", "1GB", "1MiB")], [10**8, 10**9, 2**20])
        self.assertRaises(Malformed, parse_amount, "much")


class Wires(SynchronousTestCase):
    """What goes through is counted, and nothing is changed."""

    def test_counter(self) -> None:
        """Both directions, and the end."""
        server = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(server.close)
        threading.Thread(target=_echo, args=(server,), daemon=True).start()
        counter = Counter(server.getsockname()[1])
        self.addCleanup(counter.close)
        self.assertEqual(_through(counter, b"x" * 300_000), b"x" * 300_000)
        self.assertEqual((counter.sent, counter.passed, counter.total), (300_000, 300_000, 600_000))

    def test_speed(self) -> None:
        """A wire of a million bytes a second takes a fifth of a second for as much of them, each way at once."""
        server = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(server.close)
        threading.Thread(target=_echo, args=(server,), daemon=True).start()
        counter = Counter(server.getsockname()[1], speed=1e6)
        self.addCleanup(counter.close)
        began = time.monotonic()
        self.assertEqual(_through(counter, b"x" * 200_000), b"x" * 200_000)
        self.assertGreater(time.monotonic() - began, 0.1)


def _echo(server: socket.socket) -> None:
    sock, _ = server.accept()
    with sock:
        while data := sock.recv(65536):
            sock.sendall(data)


def _through(counter: Counter, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", counter.port), 10.0) as sock:
        sender = threading.Thread(target=lambda: (sock.sendall(data), sock.shutdown(socket.SHUT_WR)), daemon=True)
        sender.start()
        found = b""
        while block := sock.recv(65536):
            found += block
        sender.join()
        return found
