"""Placeholders for addresses with an extension: pulled in the name that was granted, for the mailbox of its user."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from attrs import define, field
from typing_extensions import override

from rrsd.app.mail_in import AccountMailboxes
from rrsd.core.refusals import Unknown
from rrsd.core.values.addresses import Address, parse_address
from rrsd.core.values.digests import Digest, digest_of
from rrsd.core.values.holds import Stand
from rrsd.roles.idp.members import Addressees
from tests.support.incoming import FILE, QUEUE, WayInCase

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


class Aliases(WayInCase):
    """alice@foo.test writes to postmaster@bar.test, an alias: the mail server delivers to bob, and says so on top."""

    alias = "postmaster@bar.test"

    @override
    def setUp(self) -> None:
        super().setUp()
        self.raw = self.signed(self.foo.send([self.alias], {"a.bin": FILE}))

    def on_top(self, original: str = alias) -> bytes:
        """The message as Postfix delivers it."""
        return f"X-Original-To: {original}\r\n".encode() + self.raw

    def subjects(self) -> list[str]:
        """In whose name was asked, with what came of it."""
        return [f"{line['outcome']} {line['subject']}" for line in self.foo.trail.of("retrieve")]

    def test_completed(self) -> None:
        """Asked for as postmaster, receipted as postmaster, delivered to bob, and bob's."""
        self.assertEqual(self.deliver(self.on_top()), [450])
        self.world.advance(60)
        self.assertEqual(self.world.commands[0], ("postqueue", "-i", QUEUE))
        self.assertEqual(self.deliver(self.on_top()), [250])
        self.assertIn(b"Content-Transfer-Encoding: base64", self.inbox.kept[0][1])
        self.assertEqual(self.subjects(), [f"granted {self.alias}"])
        self.assertEqual([line["subject"] for line in self.foo.trail.of("acknowledge")], [self.alias])
        (job,) = self.bar.jobs()
        self.assertEqual(str(job.recipient), "bob@bar.test")

    def test_list(self) -> None:
        """To bob and to carol, each in a delivery of their own."""
        for each in ("bob@bar.test", "carol@bar.test"):
            self.deliver(self.on_top(), each)
        self.world.advance(5)
        for each in ("bob@bar.test", "carol@bar.test"):
            self.assertEqual(self.deliver(self.on_top(), each), [250])
        self.assertEqual(set(self.subjects()), {f"granted {self.alias}"})

    def test_sender_says_so(self) -> None:
        """What the author of the message wrote is below what the mail server wrote, and nobody asks as postmaster; nor
        where several recipients are delivered to at once, for whom it cannot all be true."""
        self.raw = self.signed(self.on_top())
        self.deliver(self.raw)
        self.world.advance(5)
        self.assertEqual(self.subjects(), ["refused bob@bar.test"])
        self.deliver(self.on_top(), "bob@bar.test", "carol@bar.test", queue="4Other")
        self.world.advance(5)
        self.assertEqual({each for each in self.subjects() if self.alias in each}, set())

    def test_nobodys(self) -> None:
        """Another domain's address, no address, and none that is delivered to anybody who is active."""
        for number, original in enumerate(("postmaster@foo.test", "postmaster", '"a"@bar.test', "b\u00f6b@bar.test")):
            self.deliver(self.on_top(original), queue=f"4Other{number}")
        self.world.advance(5)
        self.assertEqual(set(self.subjects()), {"refused bob@bar.test"})
        members = self.bar.whole.people
        for address in (self.alias, "nobody@bar.test"):
            asked = Addressees(members.members, self.bar.store.queue).require_active(parse_address(address))
            self.assertRaises(Unknown, self.world.result, asked)

    def test_suspended(self) -> None:
        """Whose only mailbox is suspended: nobody is spoken for any more; with another one they are."""
        self.deliver(self.on_top())
        spoken = Addressees(self.bar.whole.people.members, self.bar.store.queue)
        self.world.result(spoken.require_active(parse_address(self.alias)))
        self.bar.add_user("bob", suspended=True)
        self.assertRaises(Unknown, self.world.result, spoken.require_active(parse_address(self.alias)))
        self.deliver(self.on_top(), "carol@bar.test")
        self.world.result(spoken.require_active(parse_address(self.alias)))


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
