"""Tests for rrsd.core.wire.answering: who may be sent an automatic message."""

from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.values.addresses import parse_address
from rrsd.core.wire.answering import is_answerable

ALICE = parse_address("alice@foo.test")
PLAIN = b"From: alice@foo.test\r\nSubject: Precedence: bulk\r\nAuto-Submitted: no\r\n\r\nList-Id: none\r\n"


class Answers(SynchronousTestCase):
    """Loops and bystanders (RFC 3834 2)."""

    def test_a_person(self) -> None:
        """What the body says decides nothing."""
        self.assertTrue(is_answerable(PLAIN, ALICE))
        self.assertTrue(is_answerable(b"Auto-Submitted: NO (really); x=y\r\n\r\n", ALICE))

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
            self.assertFalse(is_answerable(field + b"\r\n" + PLAIN, ALICE), field)

    def test_addresses_that_nobody_reads(self) -> None:
        """They go by their names."""
        for local in (
            "MAILER-DAEMON", "postmaster", "no-reply", "noreply+1", "do.not.reply", "owner-x", "x-request", "x-owner",
            "x-bounces", "bounce+x", "Do-Not-Reply-x",
        ):  # fmt: skip
            self.assertFalse(is_answerable(PLAIN, parse_address(f"{local}@foo.test")), local)
        for local in ("owner", "request", "noreplying", "requests", "bouncer", "alice-replies"):
            self.assertTrue(is_answerable(PLAIN, parse_address(f"{local}@foo.test")), local)

    def test_header_that_is_none(self) -> None:
        """Nobody answers what cannot be read."""
        self.assertFalse(is_answerable(b"no field\r\n\r\n", ALICE))
        self.assertFalse(is_answerable(b"X: y\r\n" * 1001, ALICE))
