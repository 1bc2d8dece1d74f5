"""Mail on its way out: attachments become placeholders for whom collects them; all others get what was written."""

import email
import email.policy
import re
from pathlib import Path
from typing import Any

from attrs import evolve

from rrsd.core.values.digests import digest_of
from rrsd.core.values.envelopes import Notify, Reply, Return
from rrsd.core.values.settings import NamedSize, Size
from rrsd.core.wire.mime import parse_placeholder
from rrsd.roles.mail.flow import writing
from rrsd.roles.mail.settings import TooLarge
from rrsd.roles.rra.mailbox import Wish
from tests.drivers.store.bytes_contract import joined
from tests.support.mailservers import Way, start_mail
from tests.support.outgoing import FILM, HEADER, OUT, PART, OutCase, encoded, envelope_of, message, stuffed


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
        self.assertEqual(parts_of(whole), parts_of(raw))
        self.assertEqual((restored.size, whole), (len(raw), raw))

    def test_parts_of_any_shape(self) -> None:
        """Lines of another length, empty lines behind, the encoding's field in any place and spelling: to the byte."""
        field = b"Content-Transfer-Encoding: base64\r\n"
        shapes = [
            PART, PART.replace(field, b"")[:-2] + field + b"\r\n", field + PART.replace(field, b""),
            PART.replace(field, field.lower()), PART.replace(field, b"Content-Transfer-Encoding :BASE64 \r\n"),
        ]  # fmt: skip
        raw = message().removesuffix(b"--b--\r\n")
        for number, part in enumerate(shapes):
            for line, tail in ((76, b""), (72, b"\r\n"), (64, b"\r\n" * 40)):
                raw += b"--b\r\n" + part + encoded(FILM[number:], line) + tail
        raw += b"--b--\r\nbehind\r\n"
        self.assertEqual(self.send(raw, "bob@bar.test"), 250)
        sent = self.kept()[1]
        self.assertEqual(len(parse_placeholder(sent).attachments), 15)
        self.bar.deliver(sent, "bob@bar.test")
        self.world.advance(5)
        (mail,) = self.world.result(self.bar.whole.retrieving.reader.messages(self.bar.address("bob"), None, 10))
        restored = self.world.result(self.bar.whole.retrieving.reader.raw(Wish(mail.recipient, mail.message, 0, "")))
        self.assertEqual(self.world.result(joined(restored.blocks)), raw)
        self.assertEqual(restored.size, len(raw))

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
            self.assertTrue(envelope.forwarded["IDENT"].startswith("4A-"))
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

    def test_sender_of_another_domain(self) -> None:
        """Its placeholder would be proved by nobody, and its attachment lost: it goes out whole."""
        for sender in (b"eve@evil.test", b"nobody at all"):
            raw = message(FILM, header=b"Sender: " + sender + b"\r\n" + HEADER)
            self.assertEqual(self.send(raw, "bob@bar.test"), 250)
            self.assertEqual((self.kept()[1], self.grants()), (raw, []))
        ours = message(FILM, header=b"Sender: carol@foo.test\r\n" + HEADER)
        self.assertEqual(self.send(ours, "bob@bar.test"), 250)
        self.assertEqual(len(parse_placeholder(self.kept()[1]).attachments), 1)

    def test_placeholder_too_large_to_be_proved(self) -> None:
        """So much stays in the message that nobody would verify its signature, and the attachment would be lost."""
        self.patch(writing, "MOST_PLACEHOLDER", 6000)
        for text, count in ((b"x\r\n" * 2000, 0), (b"x\r\n" * 1000, 1)):
            raw = message(FILM).replace(b"Look at this.", text)
            self.assertEqual(self.send(raw, "bob@bar.test"), 250)
            self.assertEqual(len(parse_placeholder(self.kept()[1]).attachments), count)

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

    def test_sender_of_another_domain(self) -> None:
        """What no mail can carry has a link then, for whom collects too: nobody would prove its author."""
        raw = message(FILM, header=b"Sender: eve@evil.test\r\n" + HEADER)
        self.assertEqual(self.send(raw, "bob@bar.test"), 250)
        self.assertIn(b"https://foo.test/rrs/links/", self.kept()[1])

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

    def test_retry_made_a_second_link(self) -> None:
        """Each try sends the same link, that after a restart too, and there is one row."""
        self.next.says = lambda _: [Reply(451)]
        for _ in range(2):
            self.assertEqual(self.send(message(FILM), "dave@plain.test"), 451)
            self.world.advance(60)
        ((key,),) = self.links()
        self.foo = self.world.restart("foo.test")
        start_mail(self.foo)
        self.told(most_mail=Size(5000))
        self.next.says = lambda _: [Reply(250)]
        self.assertEqual(self.send(message(FILM), "dave@plain.test"), 250)
        found = re.search(rb"^  https://foo.test/rrs/links/(\S+)\r$", self.kept()[1], re.MULTILINE)
        assert found is not None
        self.assertEqual((self.links(), digest_of(found[1]).raw), ([(key,)], key))

    def test_links_without_a_seed(self) -> None:
        """Nobody gets a link that the next try could not make again."""
        seed = Path(self.foo.settings.keys.path, "links.secret")
        seed.write_bytes(b"short")
        seed.chmod(0o600)
        self.assertEqual((self.send(message(FILM), "dave@plain.test"), self.links()), (451, []))

    def links(self) -> list[tuple[bytes]]:
        """The key of every link."""
        engine = self.foo.store._engine
        return self.world.result(engine.read(lambda each: each.execute("SELECT key FROM links").fetchall()))

    def test_no_place_for_a_link(self) -> None:
        """A message that is no multipart/mixed, breaks off before its end, or has nothing that could be taken, cannot
        have one: its sender hears of it, and nobody gets it."""
        cut = message(FILM).removesuffix(b"--b--\r\n") + b"--b\r\n\r\nmore\r\n"
        related = message(FILM, header=HEADER.replace(b"/mixed", b"/related"))
        odd = message(FILM).replace(b"--b--", b"x\r\n--b--")
        for number, raw in enumerate((cut, related, odd)):
            for to in (("dave@plain.test",), ("dave@plain.test", "bob@bar.test", "postmaster")):
                self.assertEqual(self.send(raw, *to, ident=str(number)), 552)
        self.assertEqual((self.next.kept, self.grants()), ([], []))
        said = {(line["outcome"], line["refusal"]) for line in self.foo.trail.of("send")}
        self.assertEqual(said, {("refused", "too_large")})
        self.assertEqual(self.send(related, "bob@bar.test"), 250)
        self.assertEqual(len(parse_placeholder(self.kept()[1]).attachments), 1)
        self.told(too_large=TooLarge.FULL)
        self.assertEqual((self.send(related, "dave@plain.test"), self.kept()[1]), (250, related))

    def test_no_place_for_a_link_after_a_wait(self) -> None:
        """While it is open whether somebody needs one, nobody has the message."""
        self.domain("torn.test")
        self.publish("torn.test")
        self.go_down("torn.test")
        raw, to = message(FILM, header=HEADER.replace(b"/mixed", b"/related")), ("bob@bar.test", "dave@torn.test")
        self.assertEqual((self.later(raw, *to), self.next.kept), (451, []))
        self.world.advance(301)
        self.assertEqual((self.later(raw, *to), self.next.kept, self.grants()), (552, [], []))

    def test_one_file_without_a_multipart(self) -> None:
        """It cannot be taken out: for whom collects nothing it is refused, unless mail carries it."""
        one = HEADER.replace(b'multipart/mixed; boundary="b"', b"application/pdf")
        one += b"Content-Transfer-Encoding: base64\r\n\r\n"
        large, small = one + encoded(FILM), one + encoded(FILM[:2000])
        for raw, to, code in (
            (large, "dave@plain.test", 552), (small, "dave@plain.test", 250), (large, "bob@bar.test", 250),
        ):  # fmt: skip
            self.assertEqual(self.send(raw, to), code)
        self.assertEqual([raw for _, raw in self.next.kept], [small, large])
        text = HEADER.replace(b'multipart/mixed; boundary="b"', b"text/plain") + b"\r\n" + b"x\r\n" * 3000
        self.assertEqual((self.send(text, "dave@plain.test"), self.kept()[1]), (250, text))
        self.told(too_large=TooLarge.FULL)
        self.assertEqual((self.send(large, "dave@plain.test"), self.kept()[1]), (250, large))

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

    def test_refused_after_a_wait(self) -> None:
        """While it is open whether the message will be refused, nobody has it: the report would be about them too."""
        self.told(too_large=TooLarge.REFUSE)
        self.domain("torn.test")
        self.publish("torn.test")
        self.go_down("torn.test")
        to = ("bob@bar.test", "dave@torn.test")
        self.assertEqual((self.later(message(FILM), *to), self.next.kept), (451, []))
        self.world.advance(301)
        self.assertEqual((self.later(message(FILM), *to), self.next.kept, self.grants()), (552, [], []))

    def test_recipient_without_an_address(self) -> None:
        """Who can be granted nothing gets the message, however large."""
        self.assertEqual(self.send(message(FILM), "postmaster"), 250)
        self.assertEqual(self.kept()[1], message(FILM))


def parts_of(raw: bytes) -> list[tuple[str, str, bytes]]:
    """What a mail program sees."""
    found = email.message_from_bytes(raw, policy=email.policy.default)
    leaves: list[Any] = [part for part in found.walk() if not part.is_multipart()]
    return [(leaf.get_content_type(), leaf.get_filename() or "", leaf.get_payload(decode=True)) for leaf in leaves]
