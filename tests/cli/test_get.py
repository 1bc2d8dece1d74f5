"""`rrsctl inbox` and `rrsctl get`."""

import os

from twisted.trial.unittest import SynchronousTestCase

from rrsd.cli.client import parse_events
from rrsd.cli.mailbox import news_text, safe_name
from rrsd.core.refusals import Damaged
from tests.cli.doubles import Asked, Bench, Reply, refusal, reply
from tests.cli.users import DIGEST, FILM, MESSAGE, PART, Case


class Get(Case):
    """rrsctl inbox and get."""

    def setUp(self) -> None:
        """A mailbox with one message."""
        super().setUp()
        self.table.on("GET", "/api/messages", reply({"messages": [MESSAGE]}))
        self.where = "/api/messages/8f3c01/parts/0"
        self.table.on("GET", self.where, self.part)
        self.file = self.folder / "film.mp4"

    def part(self, asked: Asked) -> Reply:
        """The part, or the range of it that is asked for."""
        given = asked.headers.get("range")
        if given is None or asked.headers.get("if-range") != f'"sha-256:{DIGEST.b64}"':
            return Reply(200, FILM)
        start = int(given.removeprefix("bytes=").removesuffix("-"))
        return Reply(206, FILM[start:], {"Content-Range": f"bytes {start}-{len(FILM) - 1}/{len(FILM)}"})

    def get(self, *more: str) -> tuple[int, Bench]:
        """Get the film."""
        return self.rrsctl("get", "last", "0", "-o", str(self.file), *more)

    def test_inbox(self) -> None:
        """Messages and parts are listed; a stranger's subject cannot drive the terminal."""
        text = self.rrsctl("inbox")[1].out.getvalue()
        self.assertIn("film.mp4", text)
        self.assertIn("arriving 50%", text)
        self.assertNotIn("\x1b", text)

    def test_part(self) -> None:
        """A part is verified and gets its name; the sum is said."""
        status, made = self.get()
        self.assertEqual(status, 0, made.err.getvalue())
        self.assertEqual(self.file.read_bytes(), FILM)
        self.assertIn(DIGEST.hex, made.out.getvalue())
        self.assertFalse((self.folder / "film.mp4.part").exists())

    def test_by_name_and_prefix(self) -> None:
        """A part is found by its file name, a message by the beginning of its id."""
        status, made = self.rrsctl("get", "8f", "film.mp4", "-o", str(self.file))
        self.assertEqual(status, 0, made.err.getvalue())

    def test_resumed(self) -> None:
        """What an earlier call left is continued with a range, not fetched again."""
        (self.folder / "film.mp4.part").write_bytes(FILM[:1000])
        self.assertEqual(self.get()[0], 0)
        self.assertEqual(self.table.asked[-1].headers["range"], "bytes=1000-")
        self.assertEqual(self.file.read_bytes(), FILM)

    def test_broken_and_resumed(self) -> None:
        """A connection that breaks in the middle is taken up again by itself."""
        whole = self.part
        answers = [Reply(200, FILM, cut=5000)]
        self.table.on("GET", self.where, lambda asked: answers.pop() if answers else whole(asked))
        status, made = self.get()
        self.assertEqual(status, 0, made.err.getvalue())
        self.assertEqual(self.table.asked[-1].headers["range"], "bytes=5000-")
        self.assertEqual(self.file.read_bytes(), FILM)

    def test_range_ignored(self) -> None:
        """A server that sends the whole again is believed from byte 0."""
        (self.folder / "film.mp4.part").write_bytes(b"old" * 10)
        self.table.on("GET", self.where, Reply(200, FILM))
        self.assertEqual(self.get()[0], 0)
        self.assertEqual(self.file.read_bytes(), FILM)

    def test_damaged(self) -> None:
        """Wrong bytes never get the name, and are thrown away."""
        self.table.on("GET", self.where, Reply(200, FILM[:-1] + b"x"))
        self.assertEqual(self.get()[0], os.EX_IOERR)
        self.assertEqual([self.file.exists(), (self.folder / "film.mp4.part").exists()], [False, False])

    def test_stale_rest(self) -> None:
        """A .part file of something else is found out by the sum, and the next call begins anew."""
        (self.folder / "film.mp4.part").write_bytes(b"x" * 1000)
        self.assertEqual(self.get()[0], os.EX_IOERR)
        self.assertEqual(self.get()[0], 0)

    def test_too_long(self) -> None:
        """A server that sends more than the size ends it."""
        self.table.on("GET", self.where, Reply(200, FILM + b"more"))
        self.assertEqual(self.get()[0], os.EX_IOERR)

    def test_waits(self) -> None:
        """A part that has not arrived is asked for again, and what is going on is said once."""
        waiting = reply(PART | {"arrival": "waiting", "explanation": "It waits for a free slot."}, 202)
        self.table.on("GET", self.where, [waiting, waiting, Reply(200, FILM)])
        status, made = self.get()
        self.assertEqual((status, made.err.getvalue()), (0, "It waits for a free slot.\n"))
        self.assertEqual(self.table.asked[-1].headers["prefer"], "wait=60")

    def test_given_up(self) -> None:
        """A part that cannot be had is refused with the daemon's reason; an outage is tried a few times."""
        self.table.on("GET", self.where, refusal("withdrawn", 410))
        self.assertEqual(self.get()[0], os.EX_UNAVAILABLE)
        self.table.on("GET", self.where, refusal("unavailable", 503))
        self.assertEqual(self.get()[0], os.EX_TEMPFAIL)

    def test_nothing_is_replaced(self) -> None:
        """A file that is there is replaced only when that was said."""
        self.file.write_bytes(b"mine")
        self.assertEqual(self.get()[0], os.EX_CANTCREAT)
        self.assertEqual(self.file.read_bytes(), b"mine")
        self.assertEqual(self.get("--force")[0], 0)

    def test_whole_message(self) -> None:
        """Without a part the complete message comes, of which no size is known before."""
        self.table.on(
            "GET", "/api/messages/8f3c01/raw", [Reply(200, b"a: b\r\n\r\n", cut=4), Reply(200, b"a: b\r\n\r\n")]
        )
        status, made = self.rrsctl("get", "last", "-o", str(self.folder))
        self.assertEqual(status, 0, made.err.getvalue())
        self.assertEqual((self.folder / "8f3c01.eml").read_bytes(), b"a: b\r\n\r\n")

    def test_no_such(self) -> None:
        """Messages and parts that are not there are said to be so, and two that fit too."""
        self.assertEqual(self.rrsctl("get", "zz", "0")[0], os.EX_NOUSER)
        self.assertEqual(self.rrsctl("get", "last", "7")[0], os.EX_NOUSER)
        self.table.on("GET", "/api/messages", reply({"messages": [MESSAGE, MESSAGE | {"message": "8f3d"}]}))
        self.assertEqual(self.rrsctl("get", "8f", "0")[0], os.EX_DATAERR)

    def test_file_names_of_strangers(self) -> None:
        """No file name leads out of the folder, hides itself or looks like an option."""
        said = [safe_name(name) for name in ("../../etc/passwd", ".bashrc", "-rf", "a\x00b\n", "", "C:\\x", "ok.png")]
        self.assertEqual(said, ["_.._etc_passwd", "bashrc", "rf", "a·b·", "part", "C__x", "ok.png"])

    def test_watch(self) -> None:
        """News are told as they come; when the stream ends it is opened again, until the login ends."""
        news = b': hello\n\nevent: progress\ndata: {"message": "m", "part": 0, "state": "stored", "done": 1}\n\n'
        self.table.on("GET", "/api/events", [Reply(200, news), refusal("unavailable", 503), refusal("expired", 401)])
        status, made = self.rrsctl("inbox", "--watch")
        self.assertEqual(status, os.EX_NOPERM)
        self.assertIn("m  part 0  stored", made.out.getvalue())
        self.assertEqual(made.slept, [5.0])


class Events(SynchronousTestCase):
    """Server-sent events."""

    def test_grammar(self) -> None:
        """Data of several lines is joined, other fields and what is no object are passed over."""
        lines = [b"id: 1\r\n", b'data: {"a":\r\n', b"data: 1}\r\n", b"\r\n", b"data: 5\n", b"\n", b"\n", b"data: cut"]
        self.assertEqual(list(parse_events(iter(lines))), [{"a": 1}])

    def test_damaged(self) -> None:
        """Data that is not JSON is refused."""
        self.assertRaises(Damaged, list, parse_events(iter([b"data: {\n", b"\n"])))

    def test_text(self) -> None:
        """News without sizes are short."""
        self.assertEqual(news_text({"message": "m", "part": 1, "state": "held"}), "m  part 1  held")
