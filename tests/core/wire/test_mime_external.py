"""Which parts stand for an attachment, and what they say about it."""

from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.values.messages import Attachment
from rrsd.core.values.peers import Origin
from rrsd.core.wire.mime_external import parse_external, parse_service
from rrsd.core.wire.mime_fields import parse_fields
from rrsd.core.wire.mime_parts import parse_parts
from tests.core.wire.mime_cases import FILM, RS, external, lines, message, prototype

URL = "https://rs.foo.test/.well-known/ni/sha-256/"


def read(*part: str, service: Origin | None = RS) -> Attachment | None:
    """What the only part of a message stands for."""
    raw = message("--b1", *part, "--b1--")
    fields, body = parse_fields(raw, 0, len(raw))
    return parse_external(raw, parse_parts(raw, fields, body, 9)[0], service)


class ByUrl(SynchronousTestCase):
    """The form of RFC 2017 with an RFC 6920 URL."""

    def test_all_of_it(self) -> None:
        """Size, expiration, type, name and header come from the part; its transfer encoding does not."""
        phantom = (
            "Content-Type: video/mp4",
            "Content-Transfer-Encoding: binary",
            "Content-Disposition: attachment;",
            " filename=x.mp4",
        )
        found = read(*external(*phantom, "", "phantom body", expiration='"Fri, 27 Nov 2026 13:00 +0100"'))
        headers = lines("Content-Type: video/mp4", "Content-Disposition: attachment;", " filename=x.mp4")
        self.assertEqual(found, Attachment(FILM.digest, 4, RS, FILM.expires, "video/mp4", "x.mp4", headers))

    def test_defaults(self) -> None:
        """Without a header of its own the part is text/plain, unnamed; a folded URL is one; case does not matter."""
        found = read(
            *external(access_type="url", URL=f'"{URL[:20]}\r\n {URL[20:]}{FILM.digest}"', expiration='"never"')
        )
        self.assertEqual(found, Attachment(FILM.digest, 4, RS, None, "text/plain", "", b""))

    def test_name_of_the_type(self) -> None:
        """An older sender names the file in Content-Type; a path is cut to its last component."""
        found = read(*external('Content-Type: video/mp4; name="../../etc/x.mp4"', "Content-Disposition: ;"))
        assert found is not None
        self.assertEqual(found.filename, "x.mp4")

    def test_left_as_they_are(self) -> None:
        """Other access types and hosts of other schemes, broken sizes, digests and headers restore nothing."""
        kept = [
            external(access_type="ftp"),
            external(access_type=""),
            external(size=""),
            external(size="-1"),
            external(size="9" * 16),
            external(URL=""),
            external(URL=f'"http://rs.foo.test/.well-known/ni/sha-256/{FILM.digest}"'),
            external(URL=f'"https://127.0.0.1/.well-known/ni/sha-256/{FILM.digest}"'),
            external(URL=f'"{URL}{FILM.digest}?x=y"'),
            external(URL=f'"{URL}{FILM.digest}/.."'),
            external(URL=f'"{URL}short"'),
            external("Content-Type: multipart/mixed; boundary=x", ""),
            external("Content-Type: message/rfc822", ""),
            external("Content-Type: text/plain", "Content-Type: text/html", ""),
            external("Content-Type: nothing", ""),
            external("no header"),
            ("Content-Transfer-Encoding: base64", *external()),
            ("Content-Type: text/plain", *external()),
            ("Content-Type: text/plain", "", "Hello"),
            ("", "Hello"),
        ]
        for part in kept:
            self.assertIsNone(read(*part), part)


class ByContentId(SynchronousTestCase):
    """The form of the earlier prototype."""

    def test_single_type(self) -> None:
        """A part without a second type is text/plain."""
        found = read(*prototype("", ""))
        assert found is not None
        self.assertEqual((found.digest, found.media_type), (FILM.digest, "text/plain"))

    def test_left_as_they_are(self) -> None:
        """No resource server, another hash or no digest: nothing is restored."""
        self.assertIsNone(read(*prototype("", ""), service=None))
        for part in (prototype("", algorithm="md5"), prototype("", digest="short"), prototype("", digest="_" * 43)):
            self.assertIsNone(read(*part))

    def test_two_external_types(self) -> None:
        """A part that is external twice restores nothing."""
        self.assertIsNone(read(*prototype("Content-Type: message/external-body; access-type=URL", "")))


class ParseService(SynchronousTestCase):
    """`parse_service`."""

    def test_origin_or_nothing(self) -> None:
        """Only an https origin is a resource server."""
        for text, expected in (
            ("https://rs.foo.test/", RS),
            ("https://rs.foo.test/rs", None),
            ("rs.foo.test", None),
            ("", None),
        ):
            raw = lines(f"X-Origin-Mailbox-Service-URL: {text}")
            self.assertEqual(parse_service(parse_fields(raw, 0, len(raw))[0]), expected)
