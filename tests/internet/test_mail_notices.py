"""Notices about attachments that are late or lost: to whom, when, once; over the memory internet, really signed."""

import email
import email.policy
from collections.abc import Callable
from datetime import timedelta
from typing import Any, ClassVar

from attrs import evolve
from typing_extensions import override

from rrsd.config.settings import Settings
from rrsd.core.refusals import NoSpace
from rrsd.core.values.jobs import Change, State
from rrsd.drivers.store.sql.facts import Facts
from rrsd.drivers.store.sql.notices import Outbox
from rrsd.roles.mail.settings import GiveUp
from rrsd.roles.rra.notifier import Notifier
from rrsd.roles.rra.settings import Settings as Agents
from tests.support.incoming import FILE, WayInCase
from tests.support.mailservers import Post, Way, serve, start_mail

HOUR = 3600
ALICE, BOB = "alice@foo.test", "bob@bar.test"


class NoticesCase(WayInCase):
    """foo.test can never be reached, so that nothing arrives."""

    rra: ClassVar[dict[str, Any]] = {}

    @override
    def setUp(self) -> None:
        super().setUp()
        self.post: Post = serve(self.world, 10026)
        self.take_away()

    @override
    def change(self, settings: Settings) -> Settings:
        return evolve(super().change(settings), rra=evolve(settings.rra, **self.rra))

    def wait(self, hours: float) -> None:
        """Let so many hours pass."""
        self.world.advance(hours * HOUR, 60 if hours < 20 else 300)

    def said(self) -> list[tuple[str, str]]:
        """Whom our messages went to, and their subjects."""
        return [
            (envelope.recipients[0].path, str(self.read(raw)["Subject"])) for envelope, raw in self.post.kept
        ]  # fmt: skip

    def read(self, raw: bytes) -> Any:
        """As a mail program does."""
        return email.message_from_bytes(raw, policy=email.policy.default)

    def act(self, verb: str, number: int = 1) -> None:
        """The operator does that."""
        self.world.result(self.bar.whole.retrieving.operations.act(verb, number))

    def lose(self, number: int = 1) -> None:
        """The time of the pull is over."""
        self.act("expire-now", number)
        self.world.advance(30)
        self.assertEqual(self.bar.job(number).state, State.EXPIRED)

    def spoil(self, statement: str) -> None:
        """Change rows behind its back."""
        engine = self.bar.store._engine
        self.world.result(engine.write(lambda connection: connection.execute(statement).rowcount))

    def restart(self) -> None:
        """Everything in memory is gone."""
        self.bar = self.world.restart("bar.test")
        start_mail(self.bar)

    def notices(self) -> list[tuple[str, str]]:
        """Lines about notices: outcome and recipient."""
        return [(line["outcome"], line["subject"]) for line in self.bar.trail.of("notice")]


class Delayed(NoticesCase):
    """The recipient hears of it after four hours, the sender after a day."""

    def test_r8_each_once_and_in_time(self) -> None:
        """One each, however long it takes and however often it is started again."""
        self.deliver(self.signed())
        self.wait(3.9)
        self.assertEqual(self.said(), [])
        self.wait(0.2)
        self.assertEqual(self.said(), [(BOB, "Attachments are delayed")])
        self.restart()
        self.wait(19.8)
        self.assertEqual(len(self.post.kept), 1)
        self.wait(0.3)
        self.assertEqual(self.notices(), [("granted", ALICE)])
        self.assertEqual(self.said()[1:], [(ALICE, "Attachments of your message are delayed")])
        self.restart()
        self.wait(48)
        self.assertEqual(len(self.post.kept), 2)

    def test_what_it_says(self) -> None:
        """The sentence that `rrsctl pulls explain` has, what is missing, and until when it is tried."""
        self.deliver(self.signed())
        self.wait(4.1)
        envelope, raw = self.post.kept[0]
        self.assertEqual(envelope.sender.path, "")
        message = self.read(raw)
        text = message.get_content()
        self.assertIn("from alice@foo.test", text)
        self.assertIn("1 of them had not arrived yet.", text)
        self.assertIn("- a.bin (", text)
        self.assertIn("The resource server does not answer and is left alone until its next probe.", text)
        self.assertEqual((message["Auto-Submitted"], message["In-Reply-To"]), ("auto-generated", "<1@foo.test>"))

    def test_quiet_when_all_came_in_time(self) -> None:
        """Nobody hears of what went well."""
        self.world.internet.listeners.update(self.foo_listeners)
        self.deliver(self.signed())
        self.wait(26)
        self.assertEqual((self.post.kept, self.notices()), ([], []))

    @override
    def take_away(self) -> None:
        self.foo_listeners = dict(self.world.internet.listeners)
        super().take_away()

    def test_came_between(self) -> None:
        """The recipient was told that it is late; nobody has to be told that it came."""
        self.deliver(self.signed())
        self.wait(5)
        self.world.internet.listeners.update(self.foo_listeners)
        self.wait(30)
        self.assertEqual([to for to, _ in self.said()], [BOB])


class AtRisk(NoticesCase):
    """Both hear of it while something can still be done."""

    def risk(self) -> None:
        """It is seen that the time will not do."""
        job = evolve(self.bar.job(), at_risk=self.world.now)
        self.world.result(self.bar.store.queue.change([Change(job, "at_risk", self.world.now, job.state)]))
        self.bar.whole.retrieving.feed.changed(job)
        self.world.advance(10)

    def test_both_hear_that_time_will_not_do(self) -> None:
        """Once, when the sender's domain has not given more for ten minutes; after that nobody hears it is late."""
        self.deliver(self.signed())
        self.world.advance(60)
        self.risk()
        self.wait(0.1)
        self.assertEqual(self.said(), [])
        self.wait(0.1)
        self.assertEqual(
            self.said(),
            [
                (BOB, "Attachments may not arrive in time"),
                (ALICE, "Attachments of your message may not arrive in time"),
            ],
        )
        self.risk()
        self.wait(30)
        self.assertEqual(len(self.post.kept), 2)
        self.lose()
        self.assertEqual(len(self.post.kept), 4)

    def test_more_time_was_given(self) -> None:
        """Nobody has to hear that there was too little."""
        self.deliver(self.signed())
        self.world.advance(60)
        self.risk()
        job = evolve(self.bar.job(), deadline=self.world.now + timedelta(days=20), at_risk=None)
        self.world.result(self.bar.store.queue.change([Change(job, "extended", self.world.now, job.state)]))
        self.wait(1)
        self.assertEqual(self.said(), [])


class Failed(NoticesCase):
    """Both hear of it at once."""

    def test_both_hear_that_it_failed(self) -> None:
        """The recipient in words, the sender with a report that programs read (RFC 3464)."""
        self.deliver(self.signed())
        self.lose()
        self.assertEqual(
            self.said(), [(BOB, "Attachments will not arrive"), (ALICE, "Attachments of your message will not arrive")]
        )
        message = self.read(self.post.kept[1][1])
        self.assertEqual(message.get_content_type(), "multipart/report")
        self.assertEqual(message.get_param("report-type"), "delivery-status")
        self.assertEqual(message["Auto-Submitted"], "auto-replied")
        text, report, original = message.iter_parts()
        self.assertIn("Send them again", text.get_content())
        self.assertEqual(original.get_content_type(), "text/rfc822-headers")
        of_message, of_recipient = report.get_payload()
        self.assertEqual(of_message["Reporting-MTA"], "dns; bar.test")
        wanted = {
            "Final-Recipient": "rfc822; bob@bar.test",
            "Action": "failed",
            "Status": "5.4.7",
            "X-RRS-Class": "failed",
            "X-RRS-Failed": "1",
        }
        self.assertEqual({name: of_recipient[name] for name in wanted}, wanted)
        self.assertIn("state=expired", of_recipient["X-RRS-Attachment"])
        self.assertIn("its time was over", of_recipient["Diagnostic-Code"])

    def test_all_attachments_in_one(self) -> None:
        """What fails later belongs to the same message: nobody is told before all of it is decided."""
        self.deliver(self.signed(self.foo.send([BOB], {"a.bin": FILE, "b.bin": FILE * 2, "c.bin": FILE * 3})))
        self.lose(1)
        self.lose(2)
        self.assertEqual(self.said(), [])
        self.lose(3)
        self.assertEqual(len(self.post.kept), 2)
        self.assertIn("3 of them will not arrive", self.read(self.post.kept[0][1]).get_content())

    def test_begun_again_and_lost_again(self) -> None:
        """An operator pulls it once more: when that is lost as well both hear of it, once."""
        self.deliver(self.signed())
        self.lose()
        fresh = self.world.result(self.bar.whole.retrieving.operations.act("requeue-fresh", 1))
        self.world.advance(60)
        self.assertEqual(len(self.post.kept), 2)
        self.lose(fresh.job)
        self.restart()
        self.wait(30)
        self.assertEqual([to for to, _ in self.said()][2:4], [BOB, ALICE])
        self.assertEqual(len(self.post.kept), 4)

    def test_the_rest_came(self) -> None:
        """The last to end may be one that arrives."""
        self.deliver(self.signed(self.foo.send([BOB], {"a.bin": FILE, "b.bin": FILE * 2})))
        self.lose(1)
        self.wait(1)
        self.assertEqual(self.said(), [])
        self.world.internet.listeners.update(self.listeners)
        self.wait(2)
        self.assertEqual(len(self.post.kept), 2)
        self.assertIn("1 of them will not arrive", self.read(self.post.kept[0][1]).get_content())

    @override
    def take_away(self) -> None:
        self.listeners = dict(self.world.internet.listeners)
        super().take_away()

    def test_who_knows_it_is_lost_need_not_hear_it_is_late(self) -> None:
        """After the word about the failure nothing more is said."""
        self.deliver(self.signed())
        self.lose()
        self.wait(48)
        self.assertEqual(len(self.post.kept), 2)

    def test_cancelled_by_the_operator(self) -> None:
        """`cancel` tells nobody: the operator has decided it."""
        self.deliver(self.signed())
        self.act("cancel")
        self.wait(25)
        self.assertEqual(self.post.kept, [])

    def test_after_seven_days(self) -> None:
        """Late, late for the sender too, in danger, and lost: six words in all, none twice."""
        self.deliver(self.signed())
        self.wait(7 * 24 + 2)
        self.assertEqual([to for to, _ in self.said()], [BOB, ALICE] * 3)
        ends = [subject.rpartition(" ")[2] for _, subject in self.said()]
        self.assertEqual(ends, ["delayed", "delayed", "time", "time", "arrive", "arrive"])


class Crashes(NoticesCase):
    """Everything ends between two steps."""

    def test_r8_a_crash_between_outbox_and_mark(self) -> None:
        """The notice is in the outbox and nobody remembers: the step is repeated, and the key makes it one."""
        self.deliver(self.signed())
        self.patch(Facts, "looked", self.no_space)
        self.lose()
        self.assertEqual([to for to, _ in self.said()], [BOB, ALICE])
        self.restart()
        self.world.advance(120)
        del Facts.looked
        self.assertEqual(len(self.post.kept), 2)

    async def no_space(self, *_: object) -> None:
        """The disk is full."""
        raise NoSpace("disk")

    def test_r8_a_crash_before_the_outbox(self) -> None:
        """The fact is durable, and found by the next start."""
        self.deliver(self.signed())
        self.patch(Outbox, "add", self.no_space)
        self.lose()
        self.assertEqual(self.post.kept, [])
        self.patch(Outbox, "add", ADD)
        self.restart()
        self.world.advance(30)
        self.assertEqual(len(self.post.kept), 2)

    def test_r8_nothing_is_said_before_it_is_durable(self) -> None:
        """A failure that cannot be written down is not spoken of."""
        self.deliver(self.signed())
        engine = self.bar.store.queue._engine
        write = engine.write
        self.patch(type(engine), "write", lambda self, unit: write(refusing(unit)))
        self.bar.whole.retrieving.agent.notifier.bell.ring()
        self.world.advance(30)
        self.assertEqual(self.post.kept, [])

    def test_something_happens_while_it_is_looked_at(self) -> None:
        """An attachment fails after the message was read and before that is remembered: it is looked at once more."""
        self.deliver(self.signed(self.foo.send([BOB], {"a.bin": FILE, "b.bin": FILE * 2})))
        look = Notifier._look
        begun: list[int] = []

        async def meanwhile(notifier: Notifier, plight: Any, now: Any) -> None:
            if not begun:
                begun.append(1)
                self.spoil("UPDATE jobs SET state = 'expired', due = NULL WHERE job = 2")
                self.spoil("UPDATE messages SET facts = facts + 1, look = 1")
            await look(notifier, plight, now)

        self.patch(Notifier, "_look", meanwhile)
        self.lose(1)
        self.assertEqual((begun, len(self.post.kept)), ([1], 2))


ADD = Outbox.add


def refusing(unit: Callable[..., Any]) -> Callable[..., Any]:
    """A unit that finds the disk full."""

    def refuse(_: object) -> None:
        raise NoSpace("disk")

    return refuse


class Senders(NoticesCase):
    """Never an address that nothing proves (back-scatter)."""

    def assert_only_bob(self) -> None:
        """Nobody else heard anything."""
        self.wait(25)
        self.lose()
        self.assertEqual({to for to, _ in self.said()}, {BOB})

    def test_forged_sender(self) -> None:
        """Without a signature nothing is pulled, and nobody hears anything."""
        self.deliver(self.foo.send([BOB], {"a.bin": FILE}))
        self.wait(25)
        self.assertEqual(self.post.kept, [])

    def test_delivered_by_hand(self) -> None:
        """`rrsctl deliver` proves nobody."""
        self.bar.deliver(self.foo.send([BOB], {"a.bin": FILE}), BOB)
        self.assert_only_bob()

    def test_null_sender(self) -> None:
        """A report about a report is a loop."""
        self.deliver_from("", self.signed())
        self.assert_only_bob()

    def test_somebody_elses_hands(self) -> None:
        """What comes by a forwarder or a list has another sender in its envelope."""
        self.deliver_from("list-bounces@lists.test", self.signed())
        self.assert_only_bob()

    def test_lists_and_programs(self) -> None:
        """They say so in their header."""
        for number, field in enumerate(
            (b"List-Id: <a.lists.test>", b"Precedence: bulk", b"Auto-Submitted: auto-replied")
        ):
            raw = self.foo.send([BOB], {"a.bin": FILE + bytes(number)}, f"{number}@foo.test")
            self.deliver(self.signed(field + b"\r\n" + raw), queue=f"4ABC{number}")
        self.wait(25)
        self.assertEqual([to for to, _ in self.said()], [BOB] * 3)

    def deliver_from(self, sender: str, raw: bytes) -> None:
        """As `deliver`, with another sender in the envelope."""
        way = Way.to(self.world, 2425)
        way.heard()
        way.say(f"LHLO bar.test\r\nXFORWARD IDENT=4ABC\r\nMAIL FROM:<{sender}>\r\nRCPT TO:<{BOB}>\r\n".encode())
        way.say(b"DATA\r\n" + raw.replace(b"\r\n.", b"\r\n..") + b".\r\n")

    def test_own_users_are_taken_at_their_word(self) -> None:
        """What is delivered by hand and comes from a user of ours goes to nobody elsewhere."""
        self.bar.add_user("alice")
        raw = self.foo.send([BOB], {"a.bin": FILE}).replace(b"From: alice@foo.test", b"From: alice@bar.test")
        self.bar.deliver(raw, BOB)
        self.wait(25)
        self.assertEqual([to for to, _ in self.said()], [BOB, "alice@bar.test"])

    def test_own_user_who_is_none(self) -> None:
        """Nobody of that name: the trail says so, and the mail server hears nothing."""
        raw = self.foo.send([BOB], {"a.bin": FILE}).replace(b"From: alice@foo.test", b"From: nobody@bar.test")
        self.bar.deliver(raw, BOB)
        self.wait(25)
        self.assertEqual([to for to, _ in self.said()], [BOB])
        self.assertIn(("refused", "nobody@bar.test"), self.notices())

    def test_message_that_somebody_else_sent_on(self) -> None:
        """A signature holds wherever a message is sent to: its author hears nothing of people they did not write to."""
        self.deliver(self.signed(), "carol@bar.test")
        self.wait(25)
        self.assertEqual([to for to, _ in self.said()], ["carol@bar.test"])

    def test_utf8_sender(self) -> None:
        """An address that no delegation can be for makes no pulls, and so no notices (RFC 6531)."""
        raw = self.foo.send([BOB], {"a.bin": FILE}).replace(b"From: alice@", "From: älice@".encode())
        self.deliver(self.signed(raw))
        self.wait(25)
        self.assertEqual(self.post.kept, [])

    def test_alias(self) -> None:
        """The sender reads the address that they wrote, and never learns whose mailbox it is."""
        raw = self.foo.send(["press@bar.test"], {"a.bin": FILE})
        self.deliver(b"X-Original-To: press@bar.test\r\n" + self.signed(raw))
        self.lose()
        (told,) = [raw for envelope, raw in self.post.kept if envelope.recipients[0].path == ALICE]
        self.assertIn(b"Final-Recipient: rfc822; press@bar.test\r\n", told)
        self.assertNotIn(b"bob", told)


class Floods(NoticesCase):
    """Somebody with a valid signature for a mailbox that is not theirs."""

    mail: ClassVar[dict[str, Any]] = {"linger": timedelta(), "most_notices": 2, "most_notices_domain": 3}

    def flood(self, number: int, sender: str = "alice") -> None:
        """A message of theirs fails."""
        raw = self.foo.send([BOB], {"a.bin": FILE + bytes(number)}, f"{number}@foo.test")
        raw = raw.replace(b"From: alice@", f"From: {sender}@".encode())
        self.deliver(self.signed(raw), queue=f"4ABC{number}")
        self.lose(number)

    def test_flood_of_messages_that_fail(self) -> None:
        """An address hears of two a day, its domain of three, over a restart too; the trail has the rest."""
        refused = 0
        for number, sender in enumerate(("alice", "alice", "alice", "eve", "eve"), 1):
            self.flood(number, sender)
            refused += self.notices().count(("refused", sender + "@foo.test"))
            self.restart()
        heard = [to for to, _ in self.said()]
        self.assertEqual([heard.count(each) for each in (BOB, ALICE, "eve@foo.test")], [2, 2, 1])
        self.assertEqual(refused, 2)
        self.wait(24)
        self.post.kept.clear()
        self.flood(6)
        self.assertEqual([to for to, _ in self.said()], [BOB, ALICE])

    def test_many_recipients(self) -> None:
        """The sender hears of two of them; each of ours hears of it."""
        names = ["bob@bar.test", "carol@bar.test", "dave@bar.test"]
        self.bar.add_user("dave")
        self.deliver(self.signed(self.foo.send(names, {"a.bin": FILE})), *names)
        for number in (1, 2, 3):
            self.lose(number)
        heard = [to for to, _ in self.said()]
        self.assertEqual((heard.count(ALICE), [heard.count(each) for each in names]), (2, [1, 1, 1]))
        self.assertEqual(self.notices().count(("refused", ALICE)), 1)

    def test_notices_about_notices(self) -> None:
        """Two daemons that tell each other: a notice has nothing that can be late, and nobody is told about it."""
        self.deliver(self.signed())
        self.lose()
        told = [raw for _, raw in self.post.kept]
        for number, raw in enumerate(told):
            raw = raw.replace(b"postmaster@bar.test", b"postmaster@foo.test")
            self.assertEqual(self.deliver(self.signed(raw), queue=f"4DEF{number}"), [250])
        self.wait(30)
        self.assertEqual((len(told), len(self.post.kept), len(self.bar.jobs())), (2, 2, 1))

    def test_many_attachments(self) -> None:
        """Ten thousand make one short notice."""
        files = {f"{number}.bin": b"%d" % number for number in range(300)}
        self.deliver(self.signed(self.foo.send([BOB], files)))
        self.wait(4.1)
        (kept,) = self.post.kept
        self.assertLess(len(kept[1]), 10_000)
        self.assertIn("- and 280 more.", self.read(kept[1]).get_content())

    def test_names_that_would_be_headers(self) -> None:
        """A file's name and a subject are pieces of a line, whatever is in them."""
        raw = self.foo.send([BOB], {"a.bin": FILE})
        name = b"filename*0*=UTF-8''x%0D%0ABcc:%20eve@evil.test%0D%0A.%0D%0A%E2%80%AE.exe; x="
        evil = raw.replace(b"filename=", name, 1).replace(
            b"Subject: ", b"Subject: =?utf-8?Q?=0D=0ABcc:_eve=40evil.test?= ", 1
        )
        self.assertNotEqual(evil, raw)
        self.deliver(self.signed(evil))
        self.lose()
        self.assertEqual([to for to, _ in self.said()], [BOB, ALICE])
        for _, message in self.post.kept:
            self.assertIsNone(self.read(message)["Bcc"])
            self.assertNotIn(b"\r\nBcc", message)


class Bounced(NoticesCase):
    """Where the operator wants bounces, the sender gets one word about a failure."""

    mail: ClassVar[dict[str, Any]] = {"linger": timedelta(), "give_up": GiveUp.BOUNCE}

    def test_no_notice_beside_a_bounce(self) -> None:
        """The mail server has the message and will bounce it: the sender hears nothing from us, then or later."""
        raw = self.signed()
        self.deliver(raw)
        self.lose()
        self.assertEqual([to for to, _ in self.said()], [BOB])
        self.wait(0.2)
        self.assertEqual(self.deliver(raw), [550])
        self.wait(48)
        self.assertEqual([to for to, _ in self.said()], [BOB])

    def test_notice_where_no_bounce_comes(self) -> None:
        """After `max_hold` the placeholder was delivered; what fails later cannot bounce."""
        raw = self.signed()
        self.deliver(raw)
        self.wait(0.3)
        self.assertEqual(self.deliver(raw), [250])
        self.lose()
        self.assertEqual([to for to, _ in self.said()], [BOB, ALICE])

    def test_name_that_is_damaged(self) -> None:
        """A message whose row lost its name was never bounced under it; nobody behind it is held up."""
        self.deliver(self.signed())
        self.spoil("UPDATE messages SET message = 'x'")
        self.spoil("UPDATE jobs SET state = 'expired', due = NULL")
        self.spoil("UPDATE messages SET look = 1, facts = 1")
        self.wait(0.1)
        self.assertEqual([to for to, _ in self.said()], [BOB, ALICE])

    def test_bounce_that_never_comes(self) -> None:
        """Somebody took the message out of the mail server's queue: hours later the sender hears from us."""
        self.deliver(self.signed())
        self.lose()
        self.wait(1)
        self.assertEqual([to for to, _ in self.said()], [BOB])
        self.wait(2)
        self.assertEqual([to for to, _ in self.said()], [BOB, ALICE])


class Silent(NoticesCase):
    """0s is nothing at all."""

    rra: ClassVar[dict[str, Any]] = {"notify_recipient_after": timedelta(), "notify_sender_after": timedelta()}

    def test_switched_off(self) -> None:
        """Neither late nor lost."""
        self.deliver(self.signed())
        self.wait(25)
        self.lose()
        self.wait(1)
        self.assertEqual((self.post.kept, self.notices()), ([], []))


class WithoutMail(NoticesCase):
    """No mail goes out through us."""

    mail: ClassVar[dict[str, Any]] = {"linger": timedelta(), "outbound": None}

    def test_nothing_is_saved_up(self) -> None:
        """It is said once at start, and what fails is not told when mail is switched on later."""
        self.deliver(self.signed())
        self.lose()
        look = lambda connection: connection.execute("SELECT count(look) FROM messages").fetchone()  # noqa: E731
        self.assertEqual(self.world.result(self.bar.store._engine.read(look)), (0,))
        self.assertEqual(self.post.kept, [])


class Defaults(NoticesCase):
    """What the design says."""

    def test_times(self) -> None:
        """Four hours, a day."""
        agent = Agents()
        self.assertEqual(
            (agent.notify_recipient_after, agent.notify_sender_after), (timedelta(hours=4), timedelta(days=1))
        )
