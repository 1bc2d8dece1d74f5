"""Signed placeholders, and a domain that takes them in."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from rrsd.config.settings import Settings
from rrsd.core.values.addresses import parse_address
from rrsd.core.values.digests import digest_of
from rrsd.core.values.holds import Stand
from tests.support.dkims import Signer
from tests.support.mailservers import Post, Way, serve, start_mail, with_mail
from tests.support.world import World

FILE = b"\x00\xffholiday" * 1000
QUEUE = "4ABCdef"
MOST = timedelta(minutes=15)


def changed(**mail: Any) -> Callable[[Settings], Settings]:
    """Both filters, with such settings."""
    return lambda settings: evolve(with_mail(settings), mail=evolve(with_mail(settings).mail, **mail))


class WayInCase(SynchronousTestCase):
    """foo.test signs and serves, bar.test takes in."""

    mail: ClassVar[dict[str, Any]] = {"linger": timedelta()}

    def setUp(self) -> None:
        """alice@foo.test writes to bob and carol@bar.test."""
        self.world = World(Path(self.mktemp()))
        self.foo = self.world.domain("foo.test")
        self.bar = self.world.domain("bar.test", self.change)
        start_mail(self.bar)
        for local in ("bob", "carol"):
            self.bar.add_user(local)
        self.inbox: Post = serve(self.world, 2426, is_lmtp=True)
        self.signer = Signer()
        self.world.zones.publish(self.signer.name, "TXT", self.signer.record())
        self.begun: dict[bytes, int] = {}

    def change(self, settings: Settings) -> Settings:
        """bar.test's settings."""
        return changed(**self.mail)(settings)

    def take_away(self) -> None:
        """foo.test cannot be reached any more."""
        for host, port in list(self.world.internet.listeners):
            if (host, port) == ("20.0.0.1", 443):
                del self.world.internet.listeners[host, port]

    def signed(self, raw: bytes | None = None, signer: Signer | None = None, **options: Any) -> bytes:
        """A signed placeholder, with what the MX added."""
        raw = self.foo.send(["bob@bar.test"], {"a.bin": FILE}) if raw is None else raw
        return b"Received: from foo.test by bar.test\r\n" + (signer or self.signer).sign(raw, **options)

    def deliver(self, raw: bytes, *recipients: str, queue: str = QUEUE) -> list[int]:
        """The mail server's delivery; the replies for the recipients."""
        way = Way.to(self.world, 2425)
        way.heard()
        way.say(f"LHLO bar.test\r\nXFORWARD IDENT={queue}\r\nMAIL FROM:<alice@foo.test> SIZE={len(raw)}\r\n".encode())
        for each in recipients or ("bob@bar.test",):
            way.say(f"RCPT TO:<{each}>\r\n".encode())
        said = way.say(b"DATA\r\n" + raw.replace(b"\r\n.", b"\r\n..") + b".\r\n")
        self.last = way
        return said[1:]

    def lines(self) -> list[tuple[str, str, str]]:
        """Outcome, recipient and refusal of every decision."""
        return [(line["outcome"], line["subject"], line.get("refusal", "")) for line in self.bar.trail.of("deliver")]

    def stand(self, raw: bytes, recipient: str = "bob@bar.test") -> Stand | None:
        """How it stands."""
        find = self.bar.store.holds.find(parse_address(recipient), digest_of(raw), QUEUE)
        hold = self.world.result(find)
        return None if hold is None else hold.stand

    def assert_as_it_was(self, raw: bytes, reason: str) -> None:
        """It was delivered unchanged, nothing was pulled, and the trail says why."""
        self.assertEqual(self.inbox.kept[-1][1], raw)
        self.assertEqual(self.bar.jobs(), [])
        self.assertEqual(self.lines(), [("refused", "bob@bar.test", "unproven")])
        self.assertIn(reason, self.bar.trail.of("deliver")[0]["evidence"])
