"""Tests for rrsd.drivers.imap.responses: any division into blocks, and what is too much."""

from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Malformed, TooLarge
from rrsd.drivers.imap.responses import MOST_TEXT, Response, Responses, quoted

SAID = b"* 1 FETCH (UID 5 BODY[] {7}\r\na\r\nb{3} FLAGS ())\r\nr1 OK done\r\n* LIST () NIL {1}\r\nx\r\n+ \r\n"
MEANT = [
    Response(b"* 1 FETCH (UID 5 BODY[] {7} FLAGS ())", (b"a\r\nb{3}",)),
    Response(b"r1 OK done"),
    Response(b"* LIST () NIL {1}", (b"x",)),
    Response(b"+ "),
]


class Reading(SynchronousTestCase):
    """Responses and strings."""

    def test_any_division(self) -> None:
        """Whole, and in blocks of every size."""
        for size in range(1, len(SAID) + 1):
            responses, found = Responses(7), list[Response]()
            for at in range(0, len(SAID), size):
                found += responses.take(SAID[at : at + size])
            self.assertEqual(found, MEANT, size)

    def test_too_much(self) -> None:
        """A literal above the limit, literals that are too much together, and a line without an end."""
        for said in (b"* {8}\r\n", b"* {4}\r\nabcd {4}\r\n", b"* " + b"a" * MOST_TEXT):
            with self.assertRaises(TooLarge):
                list(Responses(7).take(said))

    def test_quoted(self) -> None:
        """Quotes and backslashes are escaped; a line end never comes through."""
        self.assertEqual(quoted('a "b" \\'), b'"a \\"b\\" \\\\"')
        for text in ("a\r\nb", "\0", "ä"):
            with self.assertRaises(Malformed):
                quoted(text)
