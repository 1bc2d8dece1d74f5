"""`rrsctl sent` and `withdraw`."""

import json
from typing import Any

from tests.cli.doubles import refusal, reply
from tests.cli.users import Case

SINCE = "2026-11-20T12:00:00+00:00"
RECEIPT = {
    "recipient": "bob@bar.test", "digest": "d" * 43, "size": 1 << 20, "filename": "film.mp4", "receipted": SINCE,
    "receipt": "aaa.bbb.ccc", "certificate": "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
    "proof": "dane dnssec",
}  # fmt: skip


def grant(state: str, recipient: str = "bob@bar.test", **more: Any) -> dict[str, Any]:
    """One attachment for one recipient."""
    return {
        "recipient": recipient, "digest": "d" * 43, "size": 1 << 20, "filename": "film.mp4", "state": state,
        "not_after": "2026-11-27T12:00:00+00:00", "receipted": None, "downloaded": None, **more,
    }  # fmt: skip


NEW = {
    "message_id": "2@foo.test",
    "grants": [
        grant("kept", receipted=SINCE),
        grant("waiting", filename="b\x1b[31m.txt"),
        grant("downloaded", "carol@else.test", downloaded=SINCE),
        grant("expired", "dave@else.test"),
    ],
}
OLD = {"message_id": "1@foo.test", "grants": [grant("kept", receipted=SINCE)]}


class Sent(Case):
    """alice looks after what she sent."""

    def setUp(self) -> None:
        """Two messages."""
        super().setUp()
        self.table.on("GET", "/api/outgoing", reply({"messages": [NEW, OLD]}))
        self.table.on("GET", "/api/outgoing/2@foo.test/receipts", reply({"receipts": [RECEIPT]}))
        self.table.on("DELETE", "/api/outgoing/2@foo.test", reply({"withdrawn": 3}))

    def said(self, *words: str, status: int = 0) -> str:
        """What it writes."""
        self.bench.out.seek(0)
        self.bench.out.truncate()
        done, made = self.rrsctl(*words)
        self.assertEqual(done, status, made.err.getvalue())
        return made.out.getvalue() if not status else made.err.getvalue()

    def test_a_line_for_each_recipient(self) -> None:
        """In words; a file's name drives no terminal."""
        lines = self.said("sent").splitlines()
        self.assertIn("1 kept by their domain; 1 not fetched yet", lines[1])
        self.assertIn("downloaded by link", lines[2])
        self.assertIn("expired, never fetched", lines[3])
        self.assertIn("kept by their domain since 2026-11-20 12:00:00", lines[4])
        self.assertEqual((len(lines), "\x1b" in "".join(lines)), (5, False))

    def test_at_most(self) -> None:
        """The newest."""
        self.assertNotIn("1@foo.test", self.said("sent", "--most", "1"))

    def test_nothing(self) -> None:
        """A sentence, and an empty list for a program."""
        self.table.on("GET", "/api/outgoing", reply({"messages": []}))
        self.assertEqual(self.said("sent"), "you have sent nothing that is kept here\n")
        self.assertEqual(json.loads(self.said("--json", "sent")), {"messages": []})

    def test_one(self) -> None:
        """By the beginning of its name, with or without brackets, or the last."""
        for text in ("2@foo", "<2@foo.test>", "last"):
            self.assertIn("carol@else.test  film.mp4", self.said("sent", text))
        self.assertEqual(json.loads(self.said("--json", "sent", "1@foo.test"))["message_id"], "1@foo.test")

    def test_one_that_is_too_old_for_the_list(self) -> None:
        """By its whole name."""
        self.table.on("GET", "/api/outgoing/0@foo.test", reply({**OLD, "message_id": "0@foo.test"}))
        self.assertIn("0@foo.test", self.said("sent", "<0@foo.test>"))

    def test_a_name_that_no_path_holds(self) -> None:
        """As others' mail programs make them."""
        odd = {**OLD, "message_id": "a/b%c@foo.test"}
        self.table.on("GET", "/api/outgoing/b64:YS9iJWNAZm9vLnRlc3Q", reply(odd))
        self.table.on("DELETE", "/api/outgoing/b64:YS9iJWNAZm9vLnRlc3Q", reply({"withdrawn": 1}))
        self.assertEqual(self.said("withdraw", "a/b%c@foo.test", "--yes"), "withdrawn: a/b%c@foo.test\n")

    def test_none_and_several(self) -> None:
        """The way out is said."""
        self.assertIn("rrsctl sent", self.said("sent", "9@", status=67))
        self.table.on("GET", "/api/outgoing", reply({"messages": [NEW, {**OLD, "message_id": "2@foo.testx"}]}))
        self.assertIn("write more", self.said("sent", "2@", status=65))
        self.assertIn("Name a message", self.said("sent", "--receipts", status=65))

    def test_receipts(self) -> None:
        """The receipt as it came, and the certificate that checks it."""
        text = self.said("sent", "last", "--receipts")
        self.assertIn("aaa.bbb.ccc", text)
        self.assertIn("-----BEGIN CERTIFICATE-----\nMIIB\n-----END", text)
        self.assertEqual(json.loads(self.said("--json", "sent", "last", "--receipts"))["receipts"], [RECEIPT])

    def test_no_receipts(self) -> None:
        """A sentence."""
        self.table.on("GET", "/api/outgoing/2@foo.test/receipts", reply({"receipts": []}))
        self.assertIn("nobody has signed", self.said("sent", "last", "--receipts"))

    def test_withdraw(self) -> None:
        """Asked once, with what it means; not asked with --yes."""
        self.bench.session.input.write(b"n\ny\n")
        self.bench.session.input.seek(0)
        self.rrsctl("withdraw", "last")
        self.assertEqual(self.asked("DELETE", "/api/outgoing/2@foo.test"), [])
        self.assertIn("1 of 4 are not fetched yet", self.bench.err.getvalue())
        self.assertEqual(self.said("withdraw", "last"), "withdrawn: 2@foo.test\n")
        self.assertEqual(self.said("withdraw", "2@foo.test", "--yes"), "withdrawn: 2@foo.test\n")
        self.assertEqual(len(self.asked("DELETE", "/api/outgoing/2@foo.test")), 2)

    def test_withdrawn_already(self) -> None:
        """The refusal is said."""
        self.table.on("DELETE", "/api/outgoing/2@foo.test", refusal("unknown", 404))
        self.said("withdraw", "last", "--yes", status=67)

    def test_no_rrsd(self) -> None:
        """Another server's answer is none."""
        self.table.on("GET", "/api/outgoing", reply({"messages": 7}))
        self.said("sent", status=74)
