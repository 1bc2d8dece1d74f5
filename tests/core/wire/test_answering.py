"""Tests for rrsd.core.wire.answering: who may be sent an automatic message."""

from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.values.addresses import parse_address
from rrsd.core.wire.answering import is_answerable

ALICE = parse_address("alice@foo.test")
BOB = parse_address("bob@bar.test")
PLAIN = (
    b"To: bob@bar.test\r\nFrom: alice@foo.test\r\nSubject: Precedence: bulk\r\nAuto-Submitted: no\r\n"
    b"\r\nList-Id: none\r\n"
)


class Answers(SynchronousTestCase):
    """Loops and bystanders (RFC 3834 2)."""

    def test_a_person(self) -> None:
        """What the body says decides nothing."""
        self.assertTrue(is_answerable(PLAIN, ALICE, BOB))
        self.assertTrue(is_answerable(b"Auto-Submitted: NO (really); x=y\r\nCC: bob@bar.test\r\n\r\n", ALICE, BOB))

    def test_lists_and_programs(self) -> None:
        """They say so in some field."""
        for field in (
            b"List-Id: <x.foo.test>",
            b"list-post: <mailto:x@foo.test>",
            b"Mailing-List: x",
            b"Precedence: bulk",
            b"Precedence:",
            b"X-Loop: x",
            b"Auto-Submitted: auto-replied",
            b"Auto-Submitted: auto-generated; x=y",
            b"Auto-Submitted:",
            b"Auto-Submitted: no\r\nAuto-Submitted: auto-notified",
            b"X-Auto-Response-Suppress: All",
        ):
            self.assertFalse(is_answerable(field + b"\r\n" + PLAIN, ALICE, BOB), field)

    def test_addresses_that_nobody_reads(self) -> None:
        """They go by their names."""
        for local in (
            "MAILER-DAEMON", "postmaster", "no-reply", "noreply+1", "do.not.reply", "owner-x", "x-request", "x-owner",
            "x-bounces", "bounce+x", "Do-Not-Reply-x",
        ):  # fmt: skip
            self.assertFalse(is_answerable(PLAIN, parse_address(f"{local}@foo.test"), BOB), local)
        for local in ("owner", "request", "noreplying", "requests", "bouncer", "alice-replies"):
            self.assertTrue(is_answerable(PLAIN, parse_address(f"{local}@foo.test"), BOB), local)

    def test_whom_it_was_written_to(self) -> None:
        """Only who is named in To or Cc; a signature also holds over what somebody else has sent on."""
        for text in (
            b"bob@bar.test",
            b"B <bob@bar.test>",
            b"a@x.test,BOB@BAR.test (b)",
            b"team: a@x.test,\r\n bob@bar.test;",
        ):
            for name in (b"To", b"cc"):
                self.assertTrue(is_answerable(name + b": " + text + b"\r\n\r\n", ALICE, BOB), text)
        for text in (
            b"",
            b"bob@bar.test.evil.test",
            b"notbob@bar.test",
            b"x.bob@bar.test",
            b"bob+x@bar.test",
            b"bob@bar-test",
        ):
            self.assertFalse(is_answerable(b"To: " + text + b"\r\nX-To: bob@bar.test\r\n\r\n", ALICE, BOB), text)

    def test_header_that_is_none(self) -> None:
        """Nobody answers what cannot be read."""
        self.assertFalse(is_answerable(b"no field\r\n\r\n", ALICE, BOB))
        self.assertFalse(is_answerable(b"X: y\r\n" * 1001, ALICE, BOB))
