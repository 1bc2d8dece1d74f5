"""Placeholders on their way in: proved, pulled, held, completed; over the memory internet with real signatures."""

from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Malformed, NoSpace, TooLarge, Unavailable
from rrsd.core.values.addresses import parse_address
from rrsd.core.values.digests import digest_of
from rrsd.core.values.envelopes import Envelope, ForwardPath, Reply, ReversePath
from rrsd.core.values.holds import Stand
from rrsd.core.values.records import Verdict
from rrsd.drivers.store.sql.holds import Holds
from rrsd.roles.mail.settings import GiveUp
from rrsd.roles.rra.acceptance import Acceptance
from tests.support.incoming import FILE, QUEUE, WayInCase, changed
from tests.support.mailservers import serve, start_mail
from tests.support.world import World


class Arrival(WayInCase):
    """What is meant to happen."""

    def test_hold_pull_flush_retry(self) -> None:
        """450 while it is pulled, the mail server is told when it is here, and its retry delivers the whole."""
        raw = self.signed()
        self.assertEqual(self.deliver(raw), [450])
        self.assertEqual((self.stand(raw), self.inbox.kept), (Stand.HELD, []))
        self.world.advance(5)
        self.assertEqual(self.world.commands[0], ("postqueue", "-i", QUEUE))
        self.assertEqual(self.deliver(raw), [250])
        envelope, message = self.inbox.kept[0]
        first = b"Authentication-Results: bar.test;\r\n dkim=pass header.d=foo.test header.s=s1\r\n"
        self.assertTrue(message.startswith(first + raw[: raw.index(b"\r\n\r\n") + 4]))
        restored = self.world.result(self.restored(raw))
        self.assertEqual(message, first + restored)
        self.assertEqual(envelope.sender.size, len(message))
        self.assertEqual((self.stand(raw), len(self.inbox.kept)), (Stand.COMPLETED, 1))
        said = [(outcome, refusal) for outcome, _, refusal in self.lines()]
        self.assertEqual(said, [("held", ""), ("granted", "")])
        self.assertIn("dkim foo.test s1 dnssec", self.bar.trail.of("deliver")[1]["evidence"])

    async def restored(self, raw: bytes) -> bytes:
        """What the client API gives out."""
        mailbox, restorer = self.bar.store.mailbox, self.bar.whole.retrieving.reader.restorer
        message = await mailbox.message(parse_address("bob@bar.test"), digest_of(raw).b64)
        return b"".join([block async for block in (await restorer.restore(message)).blocks])

    def test_no_more_commands(self) -> None:
        """Three commands at most for one message, none once it was delivered, none where none is wanted."""
        raw = self.signed()
        self.deliver(raw)
        self.world.advance(60)
        self.assertEqual(self.world.commands, [("postqueue", "-i", QUEUE)] * 3)
        other = self.signed(self.foo.send(["bob@bar.test"], {"b.bin": FILE * 2}, "2@foo.test"))
        self.assertEqual(self.deliver(other), [450])
        self.world.advance(1)
        self.assertEqual(self.deliver(other), [250])
        self.world.advance(60)
        self.assertEqual(len(self.world.commands), 4)

    def test_commands_that_fail(self) -> None:
        """Nothing depends on them."""
        raw = self.signed()
        self.world.exit_status = 69
        self.deliver(raw)
        self.world.advance(2)
        self.world.exit_status = Unavailable("late")
        self.world.advance(10)
        self.assertEqual(len(self.world.commands), 2)
        self.assertEqual(self.deliver(raw), [250])

    def test_queue_name_that_is_none(self) -> None:
        """What is no name of a queue's message never reaches a command."""
        raw = self.signed()
        self.deliver(raw, queue="-x+20+3b")
        self.world.advance(30)
        self.assertEqual(self.world.commands, [])

    def test_same_message_twice(self) -> None:
        """A retry whose yes got lost is answered without delivering again; another message of the queue is another."""
        raw = self.signed()
        self.deliver(raw)
        self.world.advance(5)
        self.assertEqual(self.deliver(raw), [250])
        self.assertEqual(self.deliver(raw), [250])
        self.assertEqual(len(self.inbox.kept), 1)
        self.assertEqual(self.deliver(raw, queue="5BCD"), [250])
        self.assertEqual(len(self.inbox.kept), 2)

    def test_two_recipients(self) -> None:
        """Each by their own right: one is suspended and gets it as it is, one is no user, one gets the whole."""
        raw = self.signed()
        self.bar.add_user("carol", suspended=True)
        everybody = ("bob@bar.test", "carol@bar.test", "list@bar.test", "x@other.test", "postmaster")
        self.assertEqual(self.deliver(raw, *everybody), [450, 250, 250, 250, 250])
        self.assertEqual(len(self.inbox.kept), 1)
        self.assertEqual([each.path for each in self.inbox.kept[0][0].recipients], list(everybody[1:]))
        self.world.advance(5)
        self.assertEqual(self.deliver(raw), [250])
        self.assertIn(("refused", "carol@bar.test", "forbidden"), self.lines())

    def test_one_complete_and_one_not(self) -> None:
        """bob has a grant, carol has none: hers is held, his is delivered."""
        raw = self.signed()
        self.deliver(raw, "bob@bar.test", "carol@bar.test")
        self.world.advance(5)
        self.assertEqual(self.deliver(raw, "bob@bar.test", "carol@bar.test"), [250, 450])
        self.assertEqual([each.path for each in self.inbox.kept[0][0].recipients], ["bob@bar.test"])

    def test_restart(self) -> None:
        """Everything is killed while it holds; the retry finds what was durable."""
        raw = self.signed()
        self.deliver(raw)
        self.bar = self.world.restart("bar.test")
        self.world.zones.fake(self.signer.name, Verdict.TEMPORARY)
        start_mail(self.bar)
        self.world.advance(5)
        self.assertEqual(self.deliver(raw), [250])
        self.assertEqual(len(self.inbox.kept), 1)
        self.assertIn(("postqueue", "-i", QUEUE), self.world.commands)

    def test_others_pass(self) -> None:
        """No multipart, no placeholder in it, too large for one, or not to be read: as it came, no word in the trail
        but for the last."""
        plain = b"From: a@foo.test\r\nSubject: message/external-body\r\n\r\nmessage/external-body\r\n"
        multi = b"From: a@foo.test\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n"
        marked = multi.replace(b"x\r\n", b"message/external-body\r\n")
        large = multi.replace(b"x\r\n", b"message/external-body\r\n" * 300_000)
        others = (plain, multi, marked, large, b"\r\nx\r\n", b"X: " + b"y" * 300_000 + b"\r\n" + multi)
        for number, raw in enumerate(others):
            self.assertEqual(self.deliver(raw, queue=f"{QUEUE}{number}"), [250])
            self.assertEqual(self.inbox.kept[-1][1], raw)
        self.assertEqual(self.lines(), [])
        self.assertEqual(self.deliver(b"From: nobody\r\n" + marked[marked.index(b"Content") :]), [250])
        self.assertEqual(self.lines(), [("refused", "bob@bar.test", "malformed")])

    def test_next_server_says_no(self) -> None:
        """Its word counts, for each recipient, and nothing is remembered as delivered."""
        raw = self.signed()
        self.deliver(raw)
        self.world.advance(5)
        for code in (452, 552):
            self.inbox.says = lambda _, code=code: [Reply(code, "", ("full",))]  # type: ignore[misc]
            self.assertEqual(self.deliver(raw), [code])
        self.assertEqual((self.stand(raw), self.lines()[-1][0]), (Stand.HELD, "failed"))

    def test_next_server_is_down(self) -> None:
        """The mail server keeps the message, and another delivery finds everything as it was."""
        raw = self.signed()
        self.deliver(raw)
        self.world.advance(5)
        del self.world.internet.listeners["127.0.0.1", 2426]
        self.assertEqual(self.deliver(raw), [451])
        self.inbox = serve(self.world, 2426, is_lmtp=True)
        self.assertEqual((self.deliver(raw), len(self.inbox.kept)), ([250], 1))


class Patience(WayInCase):
    """When it takes too long, or never comes."""

    def test_sender_is_down_for_long(self) -> None:
        """After fifteen minutes the placeholder is delivered, remembered, and pulled all the same."""
        raw = self.signed()
        self.foo.stop()
        self.take_away()
        self.assertEqual(self.deliver(raw), [450])
        self.world.advance(600, 5)
        self.assertEqual(self.deliver(raw), [450])
        self.world.advance(330, 5)
        self.assertEqual(self.deliver(raw), [250])
        self.assertEqual((self.inbox.kept[0][1], self.stand(raw)), (raw, Stand.PLACEHOLDER))
        self.assertEqual(self.lines()[-1], ("refused", "bob@bar.test", "unavailable"))
        rows = self.world.result(self.bar.store.holds.standing(Stand.PLACEHOLDER, 9))
        self.assertEqual([(row.message_id, row.digest) for row in rows], [("1@foo.test", digest_of(raw))])
        self.assertEqual(self.deliver(raw), [250])
        self.assertEqual(len(self.inbox.kept), 1)

    def test_cancelled(self) -> None:
        """What will never arrive is not waited for."""
        raw = self.signed()
        self.take_away()
        self.deliver(raw)
        self.world.result(self.bar.whole.retrieving.operations.act("cancel", 1))
        self.world.advance(10)
        self.assertEqual(self.deliver(raw), [250])
        self.assertEqual((self.inbox.kept[0][1], self.stand(raw)), (raw, Stand.PLACEHOLDER))
        self.assertIn("will not arrive", self.bar.trail.of("deliver")[-1]["evidence"])

    def test_row_that_cannot_be_written(self) -> None:
        """A placeholder that nobody would swap is not taken; what is complete is."""
        raw = self.signed()
        self.take_away()
        self.deliver(raw)
        self.world.result(self.bar.whole.retrieving.operations.act("cancel", 1))
        self.world.advance(10)
        self.break_rows()
        self.assertEqual(self.deliver(raw), [452])

    def break_rows(self) -> None:
        """No row is written any more."""

        async def refuse(_: Holds, __: object) -> None:
            raise NoSpace("disk")

        self.patch(Holds, "put", refuse)

    def test_complete_without_a_row(self) -> None:
        """Twice is better than never."""
        raw = self.signed()
        self.deliver(raw)
        self.world.advance(5)
        self.break_rows()
        self.assertEqual(self.deliver(raw), [250])

    def test_no_space(self) -> None:
        """Nothing is accepted that would not be kept."""
        self.break_rows()
        self.assertEqual(self.deliver(self.signed()), [452])
        self.assertEqual(self.inbox.kept, [])

    def test_mailbox_of_a_backup(self) -> None:
        """The hold is known and the message is not: it is accepted again."""
        raw = self.signed()
        self.deliver(raw)
        self.world.advance(5)
        for table in ("parts", "receipts", "history", "jobs", "messages"):
            self.forget(table)
        self.assertEqual(self.deliver(raw), [450])
        self.world.advance(5)
        self.assertEqual(self.deliver(raw), [250])

    def forget(self, table: str) -> None:
        """Nothing is in the table any more."""
        engine = self.bar.store._engine
        self.world.result(engine.write(lambda connection: connection.execute(f"DELETE FROM {table}").rowcount))

    def test_placeholder_that_the_agent_does_not_take(self) -> None:
        """A part that is too many for the agent is no reason to keep the message."""
        raw = self.signed()
        self.patch(Acceptance, "_accept_all", self.too_large)
        self.assertEqual(self.deliver(raw), [250])
        self.assertEqual((self.inbox.kept[0][1], self.lines()), (raw, [("refused", "bob@bar.test", "too_large")]))

    async def too_large(self, *_: object) -> None:
        """What the agent says."""
        raise TooLarge("message")

    def test_two_deliveries_at_once(self) -> None:
        """The second one waits for the first."""
        raw = self.signed()
        self.deliver(raw)
        self.world.advance(5)
        codes: list[int] = []

        def meanwhile(envelope: Envelope) -> list[Reply]:
            if not codes:
                codes.append(0)
                other = self.whole_delivery(raw)
                codes[0] = other
            return [Reply(250)]

        self.inbox.says = meanwhile
        self.assertEqual(self.deliver(raw), [250])
        self.assertEqual((codes, len(self.inbox.kept)), ([450], 1))

    def whole_delivery(self, raw: bytes) -> int:
        """The reply of a second delivery, for one recipient."""
        envelope = Envelope("bar.test", ReversePath("alice@foo.test"), (ForwardPath("bob@bar.test"),), {"IDENT": QUEUE})
        inbound: Any = self.bar.whole.mail.factories[-1].buildProtocol(None)

        async def blocks() -> Any:
            yield raw

        replies: tuple[Reply, ...] = self.world.result(inbound.receiver.receive(envelope, blocks()))
        return replies[0].code


class Bounces(WayInCase):
    """The operator wants senders to hear of it."""

    mail: ClassVar[dict[str, Any]] = {"linger": timedelta(), "give_up": GiveUp.BOUNCE}

    def test_bounce(self) -> None:
        """Only for what will never arrive, in plain words, as often as it is asked."""
        raw = self.signed()
        self.take_away()
        self.deliver(raw)
        self.world.result(self.bar.whole.retrieving.operations.act("cancel", 1))
        self.world.advance(10)
        for _ in range(2):
            self.assertEqual(self.deliver(raw), [550])
        self.assertEqual((self.inbox.kept, self.stand(raw)), ([], Stand.BOUNCED))
        self.assertEqual(self.lines()[-1], ("refused", "bob@bar.test", "withdrawn"))

    def test_not_for_the_unproved(self) -> None:
        """A bounce to a forged sender hits somebody else."""
        raw = self.foo.send(["bob@bar.test"], {"a.bin": FILE})
        self.assertEqual(self.deliver(raw), [250])
        self.assert_as_it_was(raw, "no DKIM signature")


class Lingering(WayInCase):
    """As configured by default: a delivery waits a little."""

    mail: ClassVar[dict[str, Any]] = {}

    def test_small_attachment(self) -> None:
        """What is here within two seconds is delivered at once, and nobody is told to hurry."""
        raw = self.signed()
        self.assertEqual(self.deliver(raw), [])
        self.world.advance(2)
        self.assertEqual((self.last.heard(), self.world.commands), ([250], []))
        self.world.advance(30)
        self.assertEqual(self.world.commands, [])

    def test_large_attachment(self) -> None:
        """What is not is held after that."""
        raw = self.signed()
        self.take_away()
        self.assertEqual(self.deliver(raw), [])
        self.world.advance(2.5)
        self.assertEqual(self.last.heard(), [450])


class Configuration(SynchronousTestCase):
    """What cannot work is said at the start."""

    def test_command(self) -> None:
        """A command with half a quotation."""
        world = World(Path(self.mktemp()))
        self.assertRaises(Malformed, world.domain, "bar.test", changed(flush="postqueue '-i {id}"))
