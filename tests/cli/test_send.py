"""`rrsctl send` and the uploads behind it."""

import json
import os
import sys

from rrsd.cli.uploads import MOST_TRIES, PIECE
from rrsd.core.values.digests import digest_of
from tests.cli.doubles import Asked, Bench, Reply, Table, bench, refusal, reply
from tests.cli.users import DIGEST, FILM, Case


class Storing:
    """The upload side of a daemon, which loses connections when told to."""

    def __init__(self, table: Table) -> None:
        self.kept = bytearray()
        self.size = 0
        self.failures: list[Reply | None] = []
        table.on("POST", "/api/uploads", self.begin)
        table.on("PATCH", "/api/uploads/u1", self.append)
        table.on("HEAD", "/api/uploads/u1", self.look)

    def begin(self, asked: Asked) -> Reply:
        """A new upload."""
        self.kept, self.size = bytearray(), json.loads(asked.body)["size"]
        digest = None if self.size else digest_of(b"").b64
        return reply({"offset": 0, "digest": digest}, 201, Location="/api/uploads/u1")

    def look(self, _: Asked) -> Reply:
        """How far it is."""
        return Reply(200, b"", {"Upload-Offset": str(len(self.kept))})

    def append(self, asked: Asked) -> Reply:
        """The next piece; a failure that is listed happens after half of it was kept."""
        if int(asked.headers["upload-offset"]) != len(self.kept):
            return refusal("conflict", 409)
        failure = self.failures.pop(0) if self.failures else None
        self.kept += asked.body if failure is None else asked.body[: len(asked.body) // 2]
        if failure is not None:
            return failure
        if len(self.kept) < self.size:
            return Reply(204, b"", {"Upload-Offset": str(len(self.kept))})
        return reply({"digest": digest_of(bytes(self.kept)).b64})


class Send(Case):
    """rrsctl send."""

    def setUp(self) -> None:
        """A daemon that takes uploads and makes messages."""
        super().setUp()
        self.storing = Storing(self.table)
        self.message = b"From: Alice <alice@foo.test>\r\nMessage-ID: <1@foo.test>\r\n\r\nhello\r\n"
        self.table.on("POST", "/api/outgoing", Reply(201, self.message, {"Content-Type": "message/rfc822"}))
        self.film = self.folder / "film.mp4"
        self.film.write_bytes(FILM * 64)  # two pieces

    def send(self, *more: str) -> tuple[int, Bench]:
        """Send the film to bob."""
        return self.rrsctl("send", "--to", "bob@bar.test", "--subject", "Hi", "--attach", str(self.film), *more)

    def test_printed(self) -> None:
        """The file is stored in pieces, and the message printed as it came."""
        status, made = self.send()
        self.assertEqual(status, 0, made.err.getvalue())
        self.assertEqual(made.out.getvalue().encode(), self.message)
        self.assertEqual(bytes(self.storing.kept), FILM * 64)
        self.assertEqual([len(each.body) for each in self.asked("PATCH", "/api/uploads/u1")], [PIECE, PIECE])
        draft = json.loads(self.asked("POST", "/api/outgoing")[0].body)
        attachment = {"digest": digest_of(FILM * 64).b64, "media_type": "video/mp4", "filename": "film.mp4"}
        self.assertEqual(draft["attachments"], [attachment])
        self.assertEqual((draft["to"], draft["subject"]), (["bob@bar.test"], "Hi"))

    def test_resumed(self) -> None:
        """After a broken connection and a refusal the upload goes on where the server has it."""
        self.storing.failures = [Reply(204, b"x", {"Content-Length": "5"}, cut=0), refusal("unavailable", 503), None]
        self.storing.failures[0] = Reply(200, b"cut off", cut=2)
        status, made = self.send()
        self.assertEqual(status, 0, made.err.getvalue())
        self.assertEqual(bytes(self.storing.kept), FILM * 64)
        self.assertTrue(made.slept)

    def test_given_up(self) -> None:
        """A server that stays away is given up with EX_TEMPFAIL, not asked for ever."""
        self.table.on("PATCH", "/api/uploads/u1", refusal("unavailable", 503))
        self.assertEqual(self.send()[0], os.EX_TEMPFAIL)
        self.assertEqual(len(self.asked("PATCH", "/api/uploads/u1")), MOST_TRIES)

    def test_server_lost_bytes(self) -> None:
        """A server that has less than it had said is not believed."""
        self.table.on("PATCH", "/api/uploads/u1", [Reply(204), refusal("conflict", 409)])
        self.table.on("HEAD", "/api/uploads/u1", Reply(200, b"", {"Upload-Offset": "17"}))
        self.assertEqual(self.send()[0], os.EX_IOERR)

    def test_other_bytes(self) -> None:
        """A server with another digest than ours ends it."""
        self.table.on("PATCH", "/api/uploads/u1", [Reply(204), reply({"digest": DIGEST.b64})])
        self.assertEqual(self.send()[0], os.EX_IOERR)

    def test_empty_file(self) -> None:
        """A file of nothing is complete at once."""
        self.film.write_bytes(b"")
        self.assertEqual(self.send()[0], 0)
        self.assertEqual(self.asked("PATCH", "/api/uploads/u1"), [])

    def test_no_file(self) -> None:
        """A file that is not there is named."""
        self.film.unlink()
        status, made = self.send()
        self.assertEqual((status, "film.mp4" in made.err.getvalue()), (os.EX_DATAERR, True))

    def test_submitted(self) -> None:
        """The command gets the message on standard input, sender and recipients as words of their own."""
        there = self.folder / "sent"
        code = (
            f"import sys; open({str(there)!r}, 'wb').write(sys.stdin.buffer.read() + ' '.join(sys.argv[1:]).encode())"
        )
        script = self.folder / "mail.py"
        script.write_text(code)
        words = ("--bcc", "carol@bar.test", "--submit", f"{sys.executable} {script} -f {{sender}} -- {{}}")
        status, made = self.send(*words)
        self.assertEqual(status, 0, made.err.getvalue())
        self.assertEqual(there.read_bytes(), self.message + b"-f alice@foo.test -- bob@bar.test carol@bar.test")
        self.assertIn("sent to bob@bar.test, carol@bar.test", made.out.getvalue())

    def test_submit_fails(self) -> None:
        """A command that fails, is not there or is none leaves a line and a status."""
        for command, status in (("false", os.EX_TEMPFAIL), ("/no/such", os.EX_DATAERR), ("'", os.EX_DATAERR)):
            self.assertEqual(self.send("--submit", command)[0], status, command)

    def test_nobody_tells_bcc(self) -> None:
        """Bcc needs a command that is told its recipients; nothing is stored before that is clear."""
        self.assertEqual(self.send("--bcc", "carol@bar.test", "--submit", "sendmail -t")[0], os.EX_DATAERR)
        self.assertEqual(self.table.asked, [])

    def test_json(self) -> None:
        """Programs get the sums."""
        self.bench = bench(self.folder, is_json=True)
        _, made = self.rrsctl("--json", "send", "--to", "bob@bar.test", "--attach", str(self.film))
        self.assertEqual(made.document["files"][0]["sha256"], digest_of(FILM * 64).hex)
        self.assertEqual(made.document["message_id"], "<1@foo.test>")
