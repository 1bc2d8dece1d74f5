"""Messages with attachments, and a domain with its filter on the way out."""

from pathlib import Path
from typing import Any

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource

from rrsd.config.settings import Settings
from rrsd.core.values.digests import digest_of
from rrsd.core.values.settings import Size
from rrsd.core.wire.base64_lines import Base64Lines
from rrsd.roles.mail.flow.outbound import Outbound
from rrsd.runtime.secure import SecureFactory
from rrsd.web.site import Site
from tests.support.mailservers import Way, serve, start_mail, with_mail
from tests.support.world import MemoryDomain, World

OUT, NEXT = 10025, 10026
FILM = bytes(range(256)) * 40
HEADER = (
    b"Received: from laptop\r\nFrom: Alice <alice@foo.test>\r\nTo: bob@bar.test\r\nSubject: holiday\r\n"
    b"Date: Fri, 27 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@foo.test>\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/mixed; boundary="b"\r\n'
)
PART = (
    b'Content-Type: video/mp4\r\nContent-Disposition: attachment; filename="holiday.mp4"\r\n'
    b"Content-Transfer-Encoding: base64\r\nContent-ID: <f@foo.test>\r\n\r\n"
)
TEXT = b"Content-Type: text/plain\r\n\r\nLook at this.\r\n.\r\nYours\r\n"


def encoded(data: bytes, line: int = 76) -> bytes:
    """Base64 in lines."""
    lines = Base64Lines(line)
    return lines.feed(data) + lines.finish()


def message(*files: bytes, header: bytes = HEADER, line: int = 76, part: bytes = PART) -> bytes:
    """A text and the files."""
    parts = [TEXT, *(part + encoded(data, line) for data in files)]
    return header + b"\r\n" + b"".join(b"--b\r\n" + each for each in parts) + b"--b--\r\n"


def stuffed(raw: bytes) -> bytes:
    """As it goes over the wire."""
    return raw.replace(b"\r\n.", b"\r\n..") + b".\r\n"


def envelope_of(*recipients: str, ident: str = "4A", size: int | None = None, sender: str = "alice@foo.test") -> bytes:
    """The commands before the message, as Postfix says them."""
    announced = "" if size is None else f" SIZE={size}"
    to = "".join(f"RCPT TO:<{each}>\r\n" for each in recipients)
    return f"EHLO foo\r\nXFORWARD IDENT={ident}\r\nMAIL FROM:<{sender}>{announced}\r\n{to}DATA\r\n".encode()


class OutCase(SynchronousTestCase):
    """foo.test with the filter, bar.test with an agent, and domains that publish nothing."""

    def setUp(self) -> None:
        """Everything listens; attachments of more than 1000 bytes are taken."""
        self.world = World(Path(self.mktemp()))
        self.foo = self.domain("foo.test")
        self.bar = self.domain("bar.test")
        for user in ("bob", "carol"):
            self.bar.add_user(user)
        self.next = serve(self.world, NEXT, has_dsn=True)

    def domain(self, name: str, **changes: Any) -> MemoryDomain:
        """A domain with filters that are told the changes."""

        def change(settings: Settings) -> Settings:
            with_both = with_mail(settings)
            return evolve(with_both, mail=evolve(with_both.mail, **{"threshold": Size(1000), **changes}))

        made = self.world.domain(name, change)
        if name == "foo.test":
            start_mail(made)
        return made

    def elsewhere(self, name: str) -> MemoryDomain:
        """A domain whose web server knows nothing of all this."""
        made = self.domain(name)
        reactor, tls = made.whole.means.effects.reactor, made.whole.means.doors.server
        self.world.internet.listen(name, 443, SecureFactory(tls, Site(Resource(), reactor), reactor))
        return made

    def told(self, **changes: Any) -> None:
        """What foo's filter is told from now on."""
        outbound = self.outbound()
        outbound.settings = evolve(outbound.settings, **changes)

    def outbound(self) -> Outbound:
        """foo's filter."""
        factory: Any = self.foo.whole.mail.listeners.doors[0][1]
        receiver = factory.buildProtocol(None).receiver
        assert isinstance(receiver, Outbound)
        return receiver

    def send(self, raw: bytes, *recipients: str, ident: str = "4A", size: int | None = None) -> int:
        """The code that the mail server hears at the end."""
        way = Way.to(self.world, OUT)
        return way.say(envelope_of(*recipients, ident=ident, size=size) + stuffed(raw))[-1]

    def later(self, raw: bytes, *recipients: str, ident: str = "4A") -> int:
        """The last code once the strangers had their time."""
        way = Way.to(self.world, OUT)
        codes = way.say(envelope_of(*recipients, ident=ident) + stuffed(raw))
        self.world.advance(30)
        return [*codes, *way.heard()][-1]

    def go_down(self, name: str) -> Any:
        """Nobody answers at the host any more; what did so."""
        return self.world.internet.listeners.pop((self.world.internet.hosts[name].address, 443))

    def publish(self, name: str) -> None:
        """The domain names its issuer in DNS."""
        self.world.zones.publish(f"_rrs.{name}", "TXT", f"v=rrs1; iss=https://{name}")

    def kept(self, index: int = -1) -> tuple[list[str], bytes]:
        """Who was handed what."""
        envelope, raw = self.next.kept[index]
        return [each.path for each in envelope.recipients], raw

    def grants(self, data: bytes = FILM, who: str = "bob@bar.test") -> list[Any]:
        """Who may retrieve the bytes."""
        return list(self.world.result(self.foo.store.grants.naming(digest_of(data), self.bar.address(who))))
