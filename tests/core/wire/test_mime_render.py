"""Placeholders are written so that any mail program shows them and nothing in them can forge anything."""

import email
import email.policy

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Malformed
from rrsd.core.values.addresses import Address
from rrsd.core.values.digests import digest_of
from rrsd.core.values.messages import Attachment
from rrsd.core.wire.mime import parse_placeholder, render_placeholder
from rrsd.core.wire.mime_fields import safe_filename
from tests.core.wire.mime_cases import BOB, CAROL, FILM, NOTE, RS, lines, sent
from tests.core.wire.test_mime_fields import SHOWN

ATTACHMENTS = st.lists(
    st.builds(
        evolve,
        st.just(FILM),
        digest=st.binary().map(digest_of),
        size=st.integers(0, 10**15 - 1),
        expires=st.sampled_from([None, FILM.expires]),
        media_type=st.sampled_from(["video/mp4", "application/vnd.x+json"]),
        filename=SHOWN.map(safe_filename).filter(lambda name: "=?" not in name),
    ),
    max_size=4,
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=400)


class RenderPlaceholder(SynchronousTestCase):
    """`render_placeholder`."""

    def test_header(self) -> None:
        """Everyone who is named is named, and a subject beyond ASCII is encoded."""
        parsed = email.message_from_bytes(
            render_placeholder(sent(recipients=(BOB, CAROL), cc=(BOB,), subject="Grüße")), policy=email.policy.default
        )
        self.assertEqual((parsed["To"], parsed["Cc"]), ("bob@bar.test, carol@bar.test", "bob@bar.test"))
        self.assertEqual((parsed["Subject"], parsed["MIME-Version"]), ("Grüße", "1.0"))
        self.assertEqual(parsed.get_content_type(), "multipart/mixed")

    def test_nobody_named(self) -> None:
        """Blind copies alone are addressed to nobody."""
        raw = render_placeholder(sent(recipients=()))
        self.assertIn(b"To: undisclosed-recipients:;\r\n", raw)
        self.assertNotIn(b"Cc:", raw)

    def test_external_body(self) -> None:
        """An attachment is an external body with URL, size, expiration and the header that it gets back."""
        raw = render_placeholder(sent(attachments=(FILM,)))
        expected = lines(
            "Content-Type: message/external-body; access-type=URL;",
            f' URL="{RS}/.well-known/ni/sha-256/{FILM.digest}";',
            ' size=4; expiration="Fri, 27 Nov 2026 12:00:00 +0000"',
            "",
            "Content-Type: video/mp4",
            "Content-Disposition: attachment;",
            ' filename="holiday.mp4"',
            f"Content-ID: <{FILM.digest}.0@foo.test>",
            "",
        )
        self.assertIn(b"--b1\r\n" + expected + b"--b1\r\n", raw)

    def test_notice(self) -> None:
        """The last part tells in plain words what belongs to the message and how large it is."""
        big = evolve(FILM, size=1536 * 1024**2)
        parsed = email.message_from_bytes(render_placeholder(sent(attachments=(big, NOTE))))
        notice = parsed.get_payload()[-1]  # type: ignore[index]
        assert isinstance(notice, email.message.Message)
        text = str(notice.get_payload())
        self.assertTrue(text.startswith("2 files belong to this message:"))
        self.assertIn("  holiday.mp4 (1.5 GiB)\r\n  unnamed (4 bytes)\r\n", text)
        huge = evolve(FILM, size=5 * 1024**5)
        self.assertIn(b"One file belongs", render_placeholder(sent(attachments=(huge,))))
        self.assertIn(b"(5120.0 TiB)", render_placeholder(sent(attachments=(huge,))))

    def test_text(self) -> None:
        """Text that is not plain short ASCII is quoted-printable, and comes back as it was."""
        for text in ("Grüße\n\nTrailing \ttab\t\n=\x0c.", "x" * 500, "a b " * 100, "\u20ac" * 90, "\x00\x1b"):
            parsed = email.message_from_bytes(render_placeholder(sent(text=text)))
            part = parsed.get_payload()[0]  # type: ignore[index]
            assert isinstance(part, email.message.Message)
            self.assertEqual(part["Content-Transfer-Encoding"], "quoted-printable")
            payload = part.get_payload(decode=True)
            assert isinstance(payload, bytes)
            self.assertEqual(payload.decode(), text.replace("\n", "\r\n"))
            self.assertLessEqual(max(len(line) for line in part.as_bytes().splitlines()), 78)

    def test_composite_types(self) -> None:
        """A message or multipart cannot be base64, so it comes back as plain bytes."""
        raw = render_placeholder(sent(attachments=(evolve(FILM, media_type="message/rfc822"),)))
        self.assertEqual(parse_placeholder(raw).attachments[0].media_type, "application/octet-stream")

    def test_given_header(self) -> None:
        """A header that the attachment brings is written as it is."""
        header = b"Content-Type: image/png\r\nX-Other: yes\r\n"
        raw = render_placeholder(sent(attachments=(evolve(FILM, headers=header),)))
        self.assertEqual(parse_placeholder(raw).attachments[0].headers, header)

    def test_header_injection_refused(self) -> None:
        """No field can bring a second line, end the header or close the message."""
        bad = [
            sent(subject="x\r\nBcc: eve@bar.test"),
            sent(subject="x\ny"),
            sent(subject="\ud800"),
            sent(message_id="1@foo.test>\r\nX: y"),
            sent(message_id="<1@foo.test>"),
            sent(boundary='b1"\r\nX: y'),
            sent(boundary="b" * 71),
            sent(boundary=""),
            sent(sender=Address("a\r\nX: y", BOB.domain)),
            sent(recipients=(Address("a\r\nX: y", BOB.domain),)),
            sent(cc=(Address("a\nb", BOB.domain),)),
            sent(text="\ud800"),
            sent(text="x\n--b1--\ny"),
            sent(attachments=(evolve(FILM, filename="x\r\nX: y"),)),
            sent(attachments=(evolve(FILM, media_type="text/plain\r\nX: y"),)),
            sent(attachments=(evolve(FILM, media_type="text"),)),
        ]
        headers = (
            b"X: y\r\n\r\nbody\r\n",
            b"X: y",
            b"X: y\n",
            b"X: \x00\r\n",
            b"no header\r\n",
            b"X: " + b"y" * 999 + b"\r\n",
            b"X: y\r\n--b1\r\n",
        )
        for outgoing in bad + [sent(attachments=(evolve(FILM, headers=each),)) for each in headers]:
            with self.assertRaises(Malformed):
                render_placeholder(outgoing)

    @settings(derandomize=True, max_examples=100, deadline=None)
    @given(SHOWN, TEXT, ATTACHMENTS)
    def test_round_trip(self, subject: str, text: str, attachments: list[Attachment]) -> None:
        """Whatever is sent is read back: subject, and every attachment in order."""
        outgoing = sent(subject=subject, text=text, attachments=tuple(attachments), boundary="=_b1")
        placeholder = parse_placeholder(render_placeholder(outgoing))
        self.assertEqual(placeholder.subject, subject)
        self.assertEqual([evolve(each, headers=b"") for each in placeholder.attachments], attachments)
