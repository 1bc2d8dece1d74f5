"""Which messages are placeholders that may come in."""

from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Malformed, TooLarge, Unavailable, Unproven
from rrsd.core.wire.mime import render_placeholder
from rrsd.roles.mail import screening
from tests.core.wire.mime_cases import OUTGOING, external, message, prototype

PHANTOM = "Content-Type: video/mp4"


class Screening(SynchronousTestCase):
    """What is looked at, and what is said of it."""

    def test_placeholders(self) -> None:
        """Ours."""
        self.assertTrue(screening.is_placeholder(render_placeholder(OUTGOING), 10))

    def test_others(self) -> None:
        """Ordinary mail, however odd, and external bodies that are none of ours."""
        ftp = ('Content-Type: message/external-body; access-type=ANON-FTP; name="x"', "", PHANTOM, "")
        forwarded = ("Content-Type: message/rfc822", "", *external("", URL='"https://x/.well-known/ni/none"'))
        for raw in (
            message("--b1", "", "hello", "--b1--"),
            message("--b1", *ftp, "--b1--"),
            message("--b1", *forwarded, "--b1--"),
            message("--b1", "no end"),
            message("a\x00b"),
            b"no header",
        ):
            self.assertFalse(screening.is_placeholder(raw, 10), raw)

    def test_malformed(self) -> None:
        """They mean to be ones, and could never be pulled."""
        for part in (external(PHANTOM, "", size="many"), external(PHANTOM, "", URL='"http://x/.well-known/ni/y"'),
                     prototype("", "")):  # fmt: skip
            raw = message("--b1", *part, "--b1", *external(PHANTOM, ""), "--b1--")
            refusal = self.assertRaises(Malformed, screening.is_placeholder, raw, 10)
            self.assertIn("1 of 2", refusal.detail)
        self.assertRaises(Malformed, screening.is_placeholder, message("--b1", *external(PHANTOM, "")), 10)
        self.assertRaises(TooLarge, screening.is_placeholder, render_placeholder(OUTGOING), 1)

    def test_headers(self) -> None:
        """Only what may be a placeholder is sent to us."""
        self.assertTrue(screening.is_wanted(b"a: b\r\nContent-Type:\r\n Multipart/mixed; boundary=x\r\n\r\n"))
        for head in (b"Content-Type: text/plain\r\n\r\n", b"\r\n", b"Content-Type: multipart/mixed\r\n"):
            self.assertFalse(screening.is_wanted(head))

    def test_replies(self) -> None:
        """For good where the message is at fault, for later otherwise."""
        for refusal, code in ((Malformed(), 550), (TooLarge(), 550), (Unproven(), 550), (Unavailable(), 451)):
            self.assertEqual(screening.reply_to(refusal).code, code)
