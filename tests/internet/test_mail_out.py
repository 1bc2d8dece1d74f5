"""Mail on its way out: attachments become placeholders for whom collects them; all others get what was written."""

import email
import email.policy
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import define, evolve
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource

from rrsd.config.settings import Settings
from rrsd.core.refusals import NoSpace
from rrsd.core.values.addresses import Domain
from rrsd.core.values.digests import Digest, digest_of
from rrsd.core.values.envelopes import Envelope, Notify, Reply, Return, Standing
from rrsd.core.values.instants import Instant
from rrsd.core.values.settings import NamedSize, Size
from rrsd.core.wire.mime import parse_placeholder
from rrsd.core.wire.mime_take import Lines
from rrsd.drivers.store.sql.grants import Grants
from rrsd.drivers.store.sql.passages import Passages
from rrsd.roles.mail.flow.outbound import Outbound
from rrsd.roles.mail.flow.parcel import Parcel
from rrsd.roles.mail.settings import TooLarge
from rrsd.roles.rra.mailbox import Wish
from rrsd.runtime.secure import SecureFactory
from rrsd.web.site import Site
from tests.drivers.store.bytes_contract import joined
from tests.support.mailservers import HERE, Way, serve, start_mail, with_mail
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
    lines = Lines(line)
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

    def kept(self, index: int = -1) -> tuple[list[str], bytes]:
        """Who was handed what."""
        envelope, raw = self.next.kept[index]
        return [each.path for each in envelope.recipients], raw

    def grants(self, data: bytes = FILM, who: str = "bob@bar.test") -> list[Any]:
        """Who may retrieve the bytes."""
        return list(self.world.result(self.foo.store.grants.naming(digest_of(data), self.bar.address(who))))


class Round(OutCase):
    """From alice's mail program to bob's mailbox."""

    def test_whole_round(self) -> None:
        """A placeholder leaves, bar pulls, and the attachment is what it was."""
        raw = message(FILM, b"small")
        self.assertEqual(self.send(raw, "bob@bar.test"), 250)
        to, sent = self.kept()
        self.assertEqual(to, ["bob@bar.test"])
        self.assertLess(len(sent), len(raw) // 2)
        self.assertTrue(sent.startswith(HEADER))
        (found,) = parse_placeholder(sent).attachments
        self.assertEqual((found.digest, found.size, found.filename), (digest_of(FILM), len(FILM), "holiday.mp4"))
        self.bar.deliver(sent, "bob@bar.test")
        self.world.advance(5)
        (mail,) = self.world.result(self.bar.whole.retrieving.reader.messages(self.bar.address("bob"), None, 10))
        restored = self.world.result(self.bar.whole.retrieving.reader.raw(Wish(mail.recipient, mail.message, 0, "")))
        whole = self.world.result(joined(restored.blocks))
        self.assertEqual(sorted(parts_of(whole)), sorted(parts_of(raw)))
        self.assertEqual(whole[: whole.index(PART[:20])], raw[: raw.index(PART[:20])])

    def test_what_is_kept(self) -> None:
        """But for the parts that were taken and the notice at the end, the placeholder is the message to the byte."""
        self.send(message(FILM, b"small", FILM[:5000]), "bob@bar.test")
        _, sent = self.kept()
        rest = message(b"small").replace(b"--b--\r\n", b"")
        for piece in rest.split(b"--b\r\n"):
            self.assertIn(piece, sent)
        self.assertEqual(len(parse_placeholder(sent).attachments), 2)
        self.assertTrue(sent.endswith(b"--b--\r\n"))
        self.assertIn(b"2 files belong to this message", sent)

    def test_trail(self) -> None:
        """One line for each form: who, for whom, how much; and none of what is in it."""
        self.elsewhere("plain.test")
        self.send(message(FILM), "bob@bar.test", "dave@plain.test")
        lines = self.foo.trail.of("send")
        parts = "1 parts taken, 1 recipients"
        self.assertEqual([line["evidence"] for line in lines], [f"placeholder, {parts}", f"whole, {parts}"])
        self.assertEqual({line["who"] for line in lines}, {"alice@foo.test"})
        self.assertEqual([line["subject"] for line in lines], ["bob@bar.test", "dave@plain.test"])
        self.assertEqual([line["size"] for line in lines], [len(self.kept(0)[1]), len(self.kept(1)[1])])
        self.assertNotIn("holiday", str(lines))


class Recipients(OutCase):
    """Who gets what."""

    def test_two_domains(self) -> None:
        """A placeholder for whom collects, the message to the byte for others; parameters of both stay."""
        self.elsewhere("plain.test")
        raw = message(FILM, FILM[:3000])
        way = Way.to(self.world, OUT)
        begin = envelope_of("bob@bar.test", "dave@plain.test", "carol@bar.test", size=len(raw))
        begin = begin.replace(b"<dave@plain.test>", b"<dave@plain.test> NOTIFY=DELAY").replace(
            b" SIZE", b" RET=HDRS SIZE"
        )
        self.assertEqual(way.say(begin + stuffed(raw))[-1], 250)
        self.assertEqual(len(self.next.kept), 2)
        self.assertEqual(self.kept(0)[0], ["bob@bar.test", "carol@bar.test"])
        self.assertEqual(self.kept(1), (["dave@plain.test"], raw))
        for envelope, sent in self.next.kept:
            self.assertEqual((envelope.sender.ret, envelope.sender.size), (Return.HEADERS, len(sent)))
            self.assertEqual(envelope.forwarded, {"IDENT": "4A"})
        self.assertEqual(self.next.kept[1][0].recipients[0].notify, {Notify.DELAY})
        self.assertEqual(len(self.grants()), 1)
        self.assertEqual(self.grants(who="dave@plain.test"), [])

    def test_bcc(self) -> None:
        """Who is in the envelope and not in the header may retrieve, and nobody is told of them."""
        self.send(message(FILM), "bob@bar.test", "carol@bar.test")
        self.assertEqual(len(self.grants(who="carol@bar.test")), 1)
        self.assertNotIn(b"carol", self.kept()[1])

    def test_issuer_without_an_agent(self) -> None:
        """A domain that publishes an issuer and no agent collects nothing."""
        publication = self.bar.whole.people.publication
        home = evolve(publication.home, metadata=evolve(publication.home.metadata, agent=None))
        object.__setattr__(publication, "home", home)
        raw = message(FILM)
        self.assertEqual(self.send(raw, "bob@bar.test"), 250)
        self.assertEqual(self.kept()[1], raw)
        self.assertEqual(self.grants(), [])

    def test_ourselves(self) -> None:
        """Our own users get placeholders where our way in completes them, else the whole message."""
        raw = message(FILM)
        self.send(raw, "carl@foo.test")
        self.assertEqual(len(parse_placeholder(self.kept()[1]).attachments), 1)
        other = self.domain("foo2.test", inbound=None)
        start_mail(other)
        raw = raw.replace(b"alice@foo.test>\r\nTo", b"alice@foo2.test>\r\nTo")
        self.assertEqual(self.send(raw, "carl@foo2.test"), 250)
        self.assertEqual(self.kept()[1], raw)

    def test_addresses_that_nobody_can_be_granted(self) -> None:
        """A quoted local part, or none of the ASCII ones, gets the message."""
        raw = message(FILM)
        for each in ('"b b"@bar.test', "postmaster"):
            self.assertEqual(self.send(raw, "bob@bar.test", each), 250)
            self.assertEqual(self.kept(), ([each], raw))

    def test_not_ours(self) -> None:
        """Other people's messages, and those that nobody could read, pass unchanged, and no domain is asked."""
        strange = [
            HEADER.replace(b"alice@foo.test", b"eve@evil.test"),
            HEADER.replace(b"alice@foo.test>", b"alice@foo.test>, <b@foo.test>"),
            HEADER + b"From: <alice@foo.test>\r\n",
            HEADER + b"Subject: twice\r\n",
            HEADER.replace(b"<1@foo.test>", b"nonsense"),
            HEADER + b"x" * 1000 + b": y\r\n",
            HEADER + b"no field\r\n",
        ]
        for header in strange:
            raw = message(FILM, header=header)
            self.assertEqual(self.send(raw, "bob@bar.test"), 250)
            self.assertEqual(self.kept()[1], raw)
        for raw in (b"", b"\r\nx\r\n", b"From: alice@foo.test\r\n", HEADER + b"X: " + b"y" * 300_000 + b"\r\n"):
            self.assertEqual(self.send(raw, "bob@bar.test"), 250)
            self.assertEqual(self.kept()[1], raw)
        self.assertEqual({line["evidence"] for line in self.foo.trail.of("send")}, {"unchanged, 1 recipients"})
        self.assertEqual(self.grants(), [])

    def test_unreadable_rest(self) -> None:
        """A message with a NUL or an endless line goes out whole."""
        for text in (b"\x00", b"x" * 999):
            raw = message(FILM).replace(b"Look at this.", text)
            self.assertEqual(self.send(raw, "bob@bar.test"), 250)
            self.assertEqual(self.kept()[1], raw)

    def test_headers_that_cannot_stay(self) -> None:
        """A part whose header cannot stand in a placeholder stays, as does one that looks like a delimiter there."""
        for line in (b"X: " + b"x" * 999, b"X: \x00", b"X: " + b"\r\n x" * 5000, b"--x: y"):
            raw = message(FILM, part=PART.replace(b"Content-ID", line + b"\r\nContent-ID"))
            self.assertEqual(self.send(raw, "bob@bar.test"), 250)
            self.assertEqual(self.kept()[1], raw)

    def test_no_message_id(self) -> None:
        """A message without one gets one in its placeholder, the same when it comes again; whole it is untouched."""
        self.elsewhere("plain.test")
        raw = message(FILM, header=HEADER.replace(b"Message-ID: <1@foo.test>\r\n", b""))
        for _ in range(2):
            self.next.says = lambda _: [Reply(451)]
            self.assertEqual(self.send(raw, "bob@bar.test"), 451)
        self.next.says = lambda _: [Reply(250)]
        self.assertEqual(self.send(raw, "bob@bar.test", "dave@plain.test"), 250)
        placeholder = parse_placeholder(self.kept(0)[1])
        (grant,) = self.grants()
        self.assertEqual(grant.message_id, placeholder.message_id)
        self.assertTrue(grant.message_id.endswith("@foo.test"))
        self.assertEqual(self.kept(1)[1], raw)

    def test_thresholds(self) -> None:
        """A sender's own, else the lowest of the recipients' domains."""
        self.told(thresholds=(
            NamedSize(self.foo.address("alice"), Size(20_000)), NamedSize(self.bar.settings.domain.name, Size(5000)),
        ))  # fmt: skip
        self.send(message(FILM), "bob@bar.test")
        self.assertEqual(self.kept()[1], message(FILM))
        carl = HEADER.replace(b"alice@", b"carl@")
        self.send(message(FILM[:3000], header=carl), "bob@bar.test")
        self.assertEqual(self.kept()[1], message(FILM[:3000], header=carl))
        self.send(message(FILM, header=carl), "bob@bar.test")
        self.assertEqual(len(parse_placeholder(self.kept()[1]).attachments), 1)
        self.send(message(FILM, header=carl), "postmaster", ident="4B")
        self.assertEqual(self.kept()[1], message(FILM, header=carl))


class TooMuch(OutCase):
    """What no mail can carry, for whom collects nothing."""

    def setUp(self) -> None:
        """Mail carries 5000 bytes."""
        super().setUp()
        self.elsewhere("plain.test")
        self.told(most_mail=Size(5000))

    def test_link(self) -> None:
        """By default the attachments stay here, whether or not the size was announced."""
        for number, size in enumerate((None, 15_000)):
            self.assertEqual(self.send(message(FILM), "dave@plain.test", ident=str(number), size=size), 250)
            self.assertEqual(len(parse_placeholder(self.kept()[1]).attachments), 1)
            self.assertIn(b"https://foo.test/rrs/links/", self.kept()[1])
        self.assertEqual(len(self.grants(who="dave@plain.test")), 1)
        self.assertEqual(self.send(message(FILM[:2000]), "dave@plain.test"), 250)
        self.assertEqual(self.kept()[1], message(FILM[:2000]))

    def test_links_are_personal(self) -> None:
        """Each recipient gets a message with a link of their own, and whom it was for is in the ledger at once."""
        found = {}
        self.next.says = lambda envelope: [Reply(451 if "erin" in envelope.recipients[0].path else 250)]
        to = ("dave@plain.test", "erin@plain.test", "bob@bar.test")
        self.assertEqual(self.send(message(FILM), *to), 451)
        self.next.says = lambda _: [Reply(250)]
        self.assertEqual(self.send(message(FILM), *to), 250)
        for envelope, raw in self.next.kept:
            link = re.search(rb"^  https://foo.test(/rrs/links/\S+)\r$", raw, re.MULTILINE)
            found[envelope.recipients[0].path] = link and link[1]
            self.assertEqual(len(envelope.recipients), 1)
        self.assertEqual((len(self.next.kept), len(set(found.values()))), (3, 3))
        self.assertIsNone(found["bob@bar.test"])

    def test_no_place_for_a_link(self) -> None:
        """A message that breaks off before its end goes out as it is."""
        cut = message(FILM).removesuffix(b"--b--\r\n") + b"--b\r\n\r\nmore\r\n"
        for to in (("dave@plain.test",), ("dave@plain.test", "bob@bar.test", "postmaster")):
            self.assertEqual(self.send(cut, *to), 250)
            self.assertEqual(self.kept()[1], cut)

    def test_without_links(self) -> None:
        """Where the owner wants none, the sender hears that it is too large."""
        self.told(links=False)
        self.assertEqual(self.send(message(FILM), "dave@plain.test"), 552)

    def test_full(self) -> None:
        """Or it is sent all the same."""
        self.told(too_large=TooLarge.FULL)
        self.assertEqual(self.send(message(FILM), "dave@plain.test"), 250)
        self.assertEqual(self.kept()[1], message(FILM))

    def test_refuse(self) -> None:
        """Or nobody gets it, so that the report tells the truth; announced or not."""
        self.told(too_large=TooLarge.REFUSE)
        for size in (None, 15_000):
            self.assertEqual(self.send(message(FILM), "dave@plain.test", "bob@bar.test", size=size), 552)
        self.assertEqual((self.next.kept, self.grants()), ([], []))
        self.assertEqual({line["refusal"] for line in self.foo.trail.of("send")}, {"too_large"})
        self.assertEqual(self.send(message(FILM[:2000]), "dave@plain.test"), 250)

    def test_recipient_without_an_address(self) -> None:
        """Who can be granted nothing gets the message, however large."""
        self.assertEqual(self.send(message(FILM), "postmaster"), 250)
        self.assertEqual(self.kept()[1], message(FILM))


class Trouble(OutCase):
    """Nothing lost, nothing doubled."""

    def delivered(self) -> list[str]:
        """Every recipient that was handed something, as often as that happened."""
        return sorted(each.path for envelope, _ in self.next.kept for each in envelope.recipients)

    def test_crash_between_groups(self) -> None:
        """What was done is not done again: only the rest is handed on by the retry."""
        self.elsewhere("plain.test")
        raw = message(FILM)
        both = ("bob@bar.test", "dave@plain.test")
        self.next.says = lambda envelope: [Reply(250 if envelope.recipients[0].path == both[0] else 451)]
        self.assertEqual(self.send(raw, *both), 451)
        self.assertEqual(self.delivered(), ["bob@bar.test"])
        self.next.says = lambda _: [Reply(250)]
        self.assertEqual(self.send(raw, *both), 250)
        self.assertEqual(self.delivered(), ["bob@bar.test", "dave@plain.test"])
        self.assertEqual(self.kept()[1], raw)
        self.assertEqual(self.send(raw, *both), 250)
        self.assertEqual(len(self.delivered()), 2)

    def test_ledger_comes_first(self) -> None:
        """That a group has it is durable before the next group begins: a crash at any moment between costs nothing."""
        self.elsewhere("plain.test")
        order: list[str] = []
        note = Passages.note

        async def noted(ledger: Passages, message: Digest, recipients: Sequence[str], at: Instant) -> None:
            await note(ledger, message, recipients, at)
            order.append(f"noted {recipients[0]}")

        def says(envelope: Envelope) -> list[Reply]:
            order.append(f"handed on {envelope.recipients[0].path}")
            return [Reply(250)]

        self.patch(Passages, "note", noted)
        self.next.says = says
        self.assertEqual(self.send(message(FILM), "dave@plain.test", "bob@bar.test"), 250)
        expected = [f"{what} {who}" for who in ("bob@bar.test", "dave@plain.test") for what in ("handed on", "noted")]
        self.assertEqual(order, expected)

    def test_killed_between_groups(self) -> None:
        """The daemon dies after the first group; the one that comes after it hands on the rest only."""
        self.elsewhere("plain.test")
        raw, both = message(FILM), ("bob@bar.test", "dave@plain.test")

        def die(envelope: Envelope) -> list[Reply]:
            if len(self.next.kept) == 1:
                for wire in tuple(self.world.internet.wires):
                    wire.cut()
                return [Reply(451)]
            return [Reply(250)]

        self.next.says = die
        way = Way.to(self.world, OUT)
        way.say(envelope_of(*both) + stuffed(raw))
        self.assertEqual(self.delivered(), ["bob@bar.test"])
        self.next.says = lambda _: [Reply(250)]
        store = self.foo.store
        fresh = evolve(self.outbound().dispatch, passages=Passages(store._engine, store._now))
        self.outbound().dispatch = fresh
        self.assertEqual(self.send(raw, *both), 250)
        self.assertEqual(self.delivered(), list(both))

    def test_retry_after_discovery_has_changed(self) -> None:
        """A recipient that has a placeholder does not get the message too when its domain collects no more."""
        self.elsewhere("plain.test")
        self.next.says = lambda envelope: [Reply(250 if len(self.next.kept) == 0 else 451)]
        raw = message(FILM, FILM[:2000] + b"x")
        self.assertEqual(self.send(raw, "bob@bar.test", "dave@plain.test"), 451)
        self.next.says = lambda _: [Reply(250)]
        outbound = self.outbound()
        self.patch(outbound, "domains", Nowhere())
        self.assertEqual(self.send(raw, "bob@bar.test", "dave@plain.test"), 250)
        self.assertEqual(self.delivered(), ["bob@bar.test", "dave@plain.test"])
        self.assertEqual(self.kept()[1], raw)

    def test_the_same_delivered_twice(self) -> None:
        """The same queue file goes out once; another message with the same attachment goes out, and is one blob."""
        for ident in ("4A", "4A", "4B"):
            self.assertEqual(self.send(message(FILM), "bob@bar.test", ident=ident), 250)
        self.assertEqual(len(self.next.kept), 2)
        self.assertEqual(len(self.grants()), 1)

    def test_without_attachments(self) -> None:
        """A large message is remembered too; a small one is handed on in a moment, and again when it comes again."""
        for text, times in ((b"x\r\n" * 400_000, 1), (b"x\r\n", 2)):
            self.next.kept.clear()
            raw = HEADER.replace(b"multipart/mixed", b"text/plain") + b"\r\n" + text
            for _ in range(2):
                self.assertEqual(self.send(raw, "bob@bar.test"), 250)
            self.assertEqual(len(self.next.kept), times)
            self.assertEqual(self.kept()[1], raw)

    def test_the_same_at_the_same_time(self) -> None:
        """While a message is being handed on the same one has to wait."""
        self.world.internet.silent.add("127.0.0.1")
        raw = message(FILM)
        ways = [Way.to(self.world, OUT) for _ in range(2)]
        first = ways[0].say(envelope_of("bob@bar.test") + stuffed(raw))
        self.assertNotIn(451, first)
        self.assertEqual(ways[1].say(envelope_of("bob@bar.test") + stuffed(raw))[-1], 451)

    def test_discovery_is_down(self) -> None:
        """The message waits in the queue, others get theirs, and after the wait it goes out whole."""
        self.elsewhere("plain.test")
        raw = message(FILM)
        self.go_down("bar.test")
        self.assertEqual(self.later(raw, "bob@bar.test", "dave@plain.test"), 451)
        self.assertEqual(self.delivered(), ["dave@plain.test"])
        self.world.advance(200, 20)
        self.assertEqual(self.later(raw, "bob@bar.test", "dave@plain.test"), 451)
        self.world.advance(100, 20)
        self.assertEqual(self.later(raw, "bob@bar.test", "dave@plain.test"), 250)
        self.assertEqual(self.delivered(), ["bob@bar.test", "dave@plain.test"])
        self.assertEqual(self.kept()[1], raw)

    def test_discovery_comes_back(self) -> None:
        """Within the wait the placeholder goes out after all."""
        site = self.go_down("bar.test")
        self.assertEqual(self.later(message(FILM), "bob@bar.test"), 451)
        self.world.internet.listen("bar.test", 443, site)
        self.world.advance(60, 10)
        self.assertEqual(self.later(message(FILM), "bob@bar.test"), 250)
        self.assertEqual(len(parse_placeholder(self.kept()[1]).attachments), 1)

    def test_a_domain_that_is_never_there(self) -> None:
        """Mail to a domain without a web server does not wait each time."""
        self.assertEqual(self.later(message(FILM), "x@nowhere.test", ident="1"), 451)
        self.world.advance(1000, 100)
        self.assertEqual(self.later(message(FILM), "x@nowhere.test", ident="2"), 250)

    def later(self, raw: bytes, *recipients: str, ident: str = "4A") -> int:
        """The last code once the strangers had their time."""
        way = Way.to(self.world, OUT)
        codes = way.say(envelope_of(*recipients, ident=ident) + stuffed(raw))
        self.world.advance(30)
        return [*codes, *way.heard()][-1]

    def go_down(self, name: str) -> Any:
        """Nobody answers at the host any more; what did so."""
        return self.world.internet.listeners.pop((self.world.internet.hosts[name].address, 443))

    def test_full_disk(self) -> None:
        """452, and the message stays in the queue; nothing is left behind."""
        space = self.foo.store._space
        space._keep_free = 1 << 62
        self.assertEqual(self.send(message(FILM), "bob@bar.test"), 452)
        space._keep_free = 0
        self.assertEqual(self.send(message(FILM), "bob@bar.test"), 250)
        self.assertEqual(self.delivered(), ["bob@bar.test"])

    def test_full_ledger(self) -> None:
        """What was handed on and cannot be remembered is still done."""

        async def refuse(*_: object) -> None:
            raise NoSpace("ledger")

        self.patch(Passages, "note", refuse)
        self.assertEqual(self.send(message(FILM), "bob@bar.test"), 250)
        self.assertEqual(self.delivered(), ["bob@bar.test"])

    def test_no_trail(self) -> None:
        """What cannot be written down is not sent."""
        self.foo.trail.broken = OSError(28, "full")
        self.assertEqual(self.send(message(FILM), "bob@bar.test"), 451)
        self.assertEqual(self.send(b"x\r\n", "bob@bar.test"), 451)
        self.assertEqual(self.next.kept, [])
        self.foo.trail.broken = None
        self.assertEqual(self.send(message(FILM), "bob@bar.test"), 250)

    def test_client_leaves_in_the_middle(self) -> None:
        """Of half a message nothing is sent, nothing granted, nothing left open."""
        way = Way.to(self.world, OUT)
        way.say(envelope_of("bob@bar.test") + stuffed(message(FILM))[:9000])
        way.cut()
        self.assertEqual((self.next.begun, self.next.kept, self.grants()), (0, [], []))
        files = self.foo.store._files
        self.assertEqual(getattr(files, "_open", None), {})

    def test_next_server_is_down(self) -> None:
        """451 for all of it; the blob and the grants are there for the retry."""
        listener = self.world.internet.listeners.pop((HERE, NEXT))
        self.assertEqual(self.send(message(FILM), "bob@bar.test"), 451)
        self.assertEqual(len(self.grants()), 1)
        self.world.internet.listeners[HERE, NEXT] = listener
        self.assertEqual(self.send(message(FILM), "bob@bar.test"), 250)
        self.assertEqual(len(self.grants()), 1)

    def test_next_server_refuses(self) -> None:
        """A permanent no is handed on, and what was granted is taken back, even if that fails."""
        self.next.says = lambda _: [Reply(552, "5.3.4", ("too big",))]
        self.assertEqual(self.send(message(FILM), "bob@bar.test"), 552)
        self.assertEqual(self.grants(), [])
        self.assertEqual([line["outcome"] for line in self.foo.trail.of("send")], ["granted", "refused"])

        async def refuse(*_: object) -> None:
            raise NoSpace("grants")

        self.patch(Grants, "take_back", refuse)
        self.assertEqual(self.send(message(FILM), "bob@bar.test", ident="4B"), 552)
        self.assertEqual(len(self.grants()), 1)

    def test_blob_is_gone(self) -> None:
        """A blob that went while the message was looked at is no reason to bounce."""
        files = self.foo.store._files
        self.elsewhere("plain.test")

        def lose() -> None:
            for path in [path for path in files.nodes if path.endswith(digest_of(FILM).b64)]:  # type: ignore[attr-defined]
                files.unlink(path)

        parcel = Parcel.is_readable

        async def lost(given: Parcel) -> bool:
            lose()
            return await parcel(given)

        self.patch(Parcel, "is_readable", lost)
        self.assertEqual(self.send(message(FILM), "bob@bar.test"), 451)
        self.assertEqual(self.send(message(FILM), "bob@bar.test", "postmaster"), 451)
        self.patch(Parcel, "is_readable", parcel)

        async def first(*_: object) -> None:
            lose()

        self.patch(Grants, "add", first)
        self.assertEqual(self.send(message(FILM), "bob@bar.test", "dave@plain.test", ident="4C"), 451)
        self.assertEqual(self.delivered(), ["bob@bar.test"])


@define
class Nowhere:
    """Domains of which none collects anything."""

    async def standings(self, domains: Sequence[Domain]) -> Mapping[Domain, Standing]:
        """None of them."""
        return dict.fromkeys(domains, Standing.DOES_NOT)


def parts_of(raw: bytes) -> list[tuple[str, str, bytes]]:
    """What a mail program sees."""
    found = email.message_from_bytes(raw, policy=email.policy.default)
    leaves: list[Any] = [part for part in found.walk() if not part.is_multipart()]
    return [(leaf.get_content_type(), leaf.get_filename() or "", leaf.get_payload(decode=True)) for leaf in leaves]
