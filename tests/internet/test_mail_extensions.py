"""Placeholders for addresses with an extension: pulled in the name that was granted, for the mailbox of its user."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from attrs import define, field
from typing_extensions import override

from rrsd.app.mail_in import AccountMailboxes
from rrsd.core.values.addresses import Address, parse_address
from rrsd.core.values.digests import Digest, digest_of
from rrsd.core.values.holds import Stand
from tests.support.incoming import FILE, WayInCase

NEWS = "bob+news@bar.test"


class Extensions(WayInCase):
    """alice@foo.test writes to bob+news@bar.test, where nobody has that name and bob has the mailbox."""

    @override
    def setUp(self) -> None:
        super().setUp()
        self.raw = self.signed(self.foo.send([NEWS], {"a.bin": FILE}))

    def test_completed(self) -> None:
        """Granted to bob+news, asked for as bob+news, receipted as bob+news; delivered to bob+news, and bob's."""
        self.assertEqual(self.deliver(self.raw, NEWS), [450])
        self.world.advance(60)
        self.assertEqual(self.deliver(self.raw, NEWS), [250])
        envelope, message = self.inbox.kept[0]
        self.assertEqual([each.path for each in envelope.recipients], [NEWS])
        self.assertIn(b"Content-Transfer-Encoding: base64", message)
        (job,) = self.bar.jobs()
        self.assertEqual((str(job.recipient), str(job.subject)), ("bob@bar.test", NEWS))
        self.assertEqual([line["subject"] for line in self.foo.trail.of("retrieve")], [NEWS])
        self.assertEqual([line["subject"] for line in self.foo.trail.of("acknowledge")], [NEWS])
        (grant,) = self.world.result(self.foo.store.grants.sent(self.foo.address("alice"), 9))
        self.assertEqual((str(grant.recipient), grant.receipted is not None), (NEWS, True))
        listed = self.bar.store.mailbox.messages(parse_address("bob@bar.test"), None, 9)
        self.assertEqual([each.message for each in self.world.result(listed)], [digest_of(self.raw).b64])

    def test_both(self) -> None:
        """Written to bob and to bob+news: each copy is delivered, the file is pulled once."""
        raw = self.signed(self.foo.send(["bob@bar.test", NEWS], {"b.bin": FILE * 2}, "2@foo.test"))
        self.assertEqual(self.deliver(raw, "bob@bar.test", NEWS), [450, 450])
        self.world.advance(5)
        self.assertEqual(self.deliver(raw, "bob@bar.test", NEWS), [250, 250])
        paths = [each.path for envelope, _ in self.inbox.kept for each in envelope.recipients]
        self.assertEqual(sorted(paths), sorted(["bob@bar.test", NEWS]))
        self.assertEqual(len(self.bar.jobs()), 1)

    def test_users_of_that_name(self) -> None:
        """Somebody who has that very name gets it, and bob does not."""
        self.bar.add_user("bob+news")
        self.deliver(self.raw, NEWS)
        self.world.advance(5)
        self.assertEqual(self.deliver(self.raw, NEWS), [250])
        self.assertEqual([(str(job.recipient), job.granted) for job in self.bar.jobs()], [(NEWS, None)])
        listed = self.bar.store.mailbox.messages(parse_address("bob@bar.test"), None, 9)
        self.assertEqual(self.world.result(listed), [])

    def test_not_granted(self) -> None:
        """What was granted to bob is not bob+news's: the sender's domain compares what was written (protocol 1)."""
        raw = self.signed(self.foo.send(["bob@bar.test"], {"b.bin": FILE * 3}, "3@foo.test"))
        self.deliver(raw, NEWS)
        self.world.advance(5)
        (line,) = self.foo.trail.of("retrieve")
        self.assertEqual((line["outcome"], line["subject"]), ("refused", NEWS))

    def test_swapped(self) -> None:
        """What is swapped after all is swapped in bob's mailbox."""
        mailboxes = Opened()
        members = self.bar.whole.people.members
        placeholder = (digest_of(self.raw), len(self.raw))

        async def complete(_: bytes) -> tuple[int, AsyncIterator[bytes]]:
            raise AssertionError

        asked: Any = AccountMailboxes(mailboxes, members)  # type: ignore[arg-type]
        self.assertEqual(self.world.result(asked.swap(parse_address(NEWS), "1@foo.test", placeholder, complete)), 1)
        self.assertEqual(mailboxes.opened, [parse_address("bob@bar.test")])

    def test_reader_waits(self) -> None:
        """bob's own token is not offered for what bob+news was granted: it would be refused."""
        self.take_away()
        self.deliver(self.raw, NEWS)
        self.world.advance(1)
        (job,) = self.bar.jobs()
        before = len(self.bar.trail.of("exchange"))
        operations = self.bar.whole.retrieving.operations
        self.world.result(operations.hurry(job.job, self.bar.access_token("bob")))
        legs = [line["evidence"] for line in self.bar.trail.of("exchange")[before:]]
        self.assertNotIn("3-legged", " ".join(legs))
        self.assertEqual(self.stand(self.raw, NEWS), Stand.HELD)


class WithoutExtensions(WayInCase):
    """`[mail] recipient_delimiter` is empty."""

    mail = WayInCase.mail | {"recipient_delimiter": ""}

    def test_nobody(self) -> None:
        """It passes as it came, to whom the mail server thinks."""
        raw = self.signed(self.foo.send([NEWS], {"a.bin": FILE}))
        self.assertEqual(self.deliver(raw, NEWS), [250])
        self.assertEqual((self.inbox.kept[-1][1], self.bar.jobs()), (raw, []))


@define(eq=False)
class Opened:
    """Mailboxes that say whose was opened."""

    opened: list[Address] = field(factory=list)

    async def swap(
        self,
        recipient: Address,
        message_id: str,
        placeholder: tuple[Digest, int],
        complete: Callable[[bytes], Awaitable[object]],
    ) -> int:
        """One."""
        del message_id, placeholder, complete
        self.opened.append(recipient)
        return 1
