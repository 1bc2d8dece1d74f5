"""A personal link, and what its page says to whom it should not say anything."""

from datetime import timedelta
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from rrsd.config.settings import Settings
from rrsd.core.values.addresses import parse_address
from rrsd.core.values.digests import Digest, digest_of
from rrsd.core.values.resources import Grant
from tests.support.attackers import Response
from tests.support.mailservers import Post, serve, start_mail, with_mail
from tests.support.visitors import Visitor
from tests.support.world import MemoryDomain, World

CAROL = "carol@post.test"
DATA = b"holiday" * 1000
NOWHERE = "A" * 22


class LinksCase(SynchronousTestCase):
    """alice@foo.test has sent a file to carol, whose domain knows nothing of all this."""

    post: Post

    def setUp(self) -> None:
        """foo.test with its mail server."""
        self.world = World(Path(self.mktemp()))
        self.foo = self.begin(self.world.domain("foo.test", self.change))
        self.post = serve(self.world, 10026, has_dsn=True)
        self.path = self.link()
        self.carol = self.visitor()

    def change(self, settings: Settings) -> Settings:
        """What the domain is told."""
        return with_mail(settings)

    def begin(self, domain: MemoryDomain) -> MemoryDomain:
        """Mail, and the outbox."""
        domain.add_user("alice")
        start_mail(domain)
        return domain

    def grant(self, message_id: str, recipient: str, name: str, data: bytes) -> Digest:
        """What `recipient` may have."""
        digest = self.foo.keep(data)
        grant = Grant(
            message_id, digest, len(data), self.foo.address("alice"), parse_address(recipient),
            self.world.now + timedelta(days=7), "video/mp4", name,
        )  # fmt: skip
        self.world.result(self.foo.store.grants.add([grant]))
        return digest

    def link(
        self, message_id: str = "1@foo.test", recipient: str = CAROL, name: str = "holiday.mp4", data: bytes = DATA
    ) -> str:
        """The path of a link to one file."""
        self.grant(message_id, recipient, name, data)
        until, alice = self.world.now + timedelta(days=7), self.foo.address("alice")
        made = self.foo.whole.serving.sharing.make(message_id, alice, parse_address(recipient), until)
        url = self.world.result(made)
        return url.removeprefix("https://foo.test")

    def visitor(self) -> Visitor:
        """Somebody with a browser."""
        return Visitor(self.world, "foo.test")

    def file(self, data: bytes = DATA) -> str:
        """Where the file is."""
        return f"{self.path}/files/{digest_of(data).b64}"

    def require_nothing(self, response: Response, status: int = 404) -> None:
        """A page that says nothing."""
        self.assertEqual(response.status, status)
        self.assertNotIn(b"holiday", response.body)
        self.assertNotIn(b"post.test", response.body)
