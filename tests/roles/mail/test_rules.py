"""What the way out decides."""

from datetime import timedelta

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Malformed, Unavailable, Unknown, Unproven
from rrsd.core.values.addresses import Domain, parse_address, parse_client_identifier
from rrsd.core.values.digests import digest_of
from rrsd.core.values.envelopes import Envelope, ForwardPath, ReversePath, Standing
from rrsd.core.values.instants import instant
from rrsd.core.values.messages import Attachment
from rrsd.core.values.peers import parse_origin
from rrsd.core.values.settings import NamedSize, Size
from rrsd.core.wire.mime_split import MOST_HEADER
from rrsd.core.wire.mime_take import Begin
from rrsd.roles.mail import rules
from rrsd.roles.mail.rules import Closing, Form, Forms, Header, Kept, Lines, Piece, Taken
from rrsd.roles.mail.settings import Settings, TooLarge
from tests.core.signing import BAR

ALICE = parse_address("alice@foo.test")
FOO, BAR_TEST, PLAIN = Domain("foo.test"), Domain("bar.test"), Domain("plain.test")
BOB, DAVE, NOBODY = ForwardPath("Bob@bar.test"), ForwardPath("dave@plain.test"), ForwardPath('"d d"@plain.test')
SETTINGS = Settings()
MORE = SETTINGS.most_mail + 1
TAKEN = b"Content-Type: a/b\r\nContent-Transfer-Encoding: base64\r\n\r\n"


class Headers(SynchronousTestCase):
    """Whose message it is."""

    def test_where_it_ends(self) -> None:
        """At the first empty line, and nowhere while none has come; a very long one is none."""
        self.assertEqual(rules.header_of(b"A: b\r\n\r\nx\r\n\r\n"), b"A: b\r\n")
        self.assertEqual(rules.header_of(b"\r\nx\r\n\r\n"), b"")
        self.assertIsNone(rules.header_of(b"A: b\r\n\r"))
        self.assertEqual(rules.header_of(b"x" * MOST_HEADER + b"\r\n\r\n"), b"")

    def test_one_author_of_ours(self) -> None:
        """Exactly one From, with one address of our domain."""
        self.assertEqual(rules.read_header(b"From: <alice@foo.test>\r\n", FOO), Header(ALICE, "", 24))
        self.assertEqual(
            rules.read_header(b"Message-ID: <1@x>\r\nFrom: alice@FOO.test\r\n", FOO), Header(ALICE, "1@x", 41)
        )
        for text in (
            b"", b"From: eve@evil.test\r\n", b"From: alice@sub.foo.test\r\n", b"From: a@foo.test, b@foo.test\r\n",
            b"From: a@foo.test\r\nFrom: a@foo.test\r\n", b"Sender: alice@foo.test\r\n", b"From: \x00a@foo.test\r\n",
            b"From: alice@foo.test\r\n" + b"X: y\r\n" * 1000, b"From: a@foo.test\r\nMessage-ID: x\r\n",
        ):  # fmt: skip
            self.assertIsNone(rules.read_header(text, FOO), text)

    def test_sender_that_nobody_proves(self) -> None:
        """Nobody would believe a placeholder with it, whatever signs it."""
        for sender, is_provable in (
            (b"Sender: carol@foo.test\r\n", True), (b"Sender: eve@evil.test\r\n", False), (b"Sender: x\r\n", False),
            (b"X-Origin-Mailbox-Service-URL: a\r\n" * 2, False),
        ):  # fmt: skip
            header = rules.read_header(b"From: <alice@foo.test>\r\n" + sender, FOO)
            self.assertEqual(header and header.is_provable, is_provable, sender)


class Recipients(SynchronousTestCase):
    """Who gets what."""

    def test_domains(self) -> None:
        """Each once; what is no address has none."""
        self.assertEqual(rules.domains_of((BOB, DAVE, BOB, NOBODY)), (BAR_TEST, PLAIN))

    def test_thresholds(self) -> None:
        """The sender's own, else the lowest of the domains', else that of all."""
        self.assertEqual(rules.threshold_of(ALICE, (), SETTINGS), 2**20)
        named = (NamedSize(BAR_TEST, Size(5)), NamedSize(PLAIN, Size(2**21)))
        settings = evolve(SETTINGS, thresholds=named)
        self.assertEqual(rules.threshold_of(ALICE, (PLAIN,), settings), 2**21)
        self.assertEqual(rules.threshold_of(ALICE, (PLAIN, FOO), settings), 2**20)
        self.assertEqual(rules.threshold_of(ALICE, (PLAIN, BAR_TEST), settings), 5)
        settings = evolve(SETTINGS, thresholds=(*named, NamedSize(ALICE, Size(7))))
        self.assertEqual(rules.threshold_of(ALICE, (BAR_TEST,), settings), 7)

    def test_standings(self) -> None:
        """An agent counts; an outage is no absence, a contradiction is one, and neither undoes what was known."""
        agent = parse_client_identifier("_rra.bar.test")
        for answer, standing, once_collected in (
            (evolve(BAR, agent=agent), Standing.COLLECTS, Standing.COLLECTS),
            (evolve(BAR, agent=None), Standing.DOES_NOT, Standing.DOES_NOT),
            (Unknown(), Standing.DOES_NOT, Standing.DOES_NOT),
            (Unproven(), Standing.DOES_NOT, Standing.COLLECTS),
            (Unavailable(), Standing.UNKNOWN, Standing.COLLECTS),
            (Unavailable(is_nobody=True), Standing.DOES_NOT, Standing.COLLECTS),
        ):
            self.assertIs(rules.standing_of(answer, collected=False), standing)
            self.assertIs(rules.standing_of(answer, collected=True), once_collected)

    def test_forms(self) -> None:
        """Every standing, size, wait and policy."""
        wait = SETTINGS.discovery_wait.total_seconds()
        for standing, size, waited, policy, form in (
            (Standing.COLLECTS, 1, 0, TooLarge.LINK, Form.PLACEHOLDER),
            (Standing.COLLECTS, MORE, 0, TooLarge.REFUSE, Form.PLACEHOLDER),
            (Standing.UNKNOWN, MORE, wait - 1, TooLarge.FULL, Form.LATER),
            (Standing.UNKNOWN, 1, wait, TooLarge.LINK, Form.WHOLE),
            (Standing.UNKNOWN, MORE, wait, TooLarge.LINK, Form.LINK),
            (Standing.DOES_NOT, MORE - 1, 0, TooLarge.REFUSE, Form.WHOLE),
            (Standing.DOES_NOT, MORE, 0, TooLarge.FULL, Form.WHOLE),
            (Standing.DOES_NOT, MORE, 0, TooLarge.LINK, Form.LINK),
            (Standing.DOES_NOT, MORE, 0, TooLarge.REFUSE, Form.REFUSED),
        ):
            settings = evolve(SETTINGS, too_large=policy)
            self.assertIs(rules.form_for(standing, size, waited, settings), form)

    def test_groups(self) -> None:
        """By form; who has no address gets the message, unless nobody may."""
        forms = Forms({BAR_TEST: Standing.COLLECTS, PLAIN: Standing.DOES_NOT}, SETTINGS)
        self.assertEqual(
            forms.grouped((DAVE, BOB, NOBODY), 1, 0), {Form.PLACEHOLDER: [BOB], Form.WHOLE: [DAVE, NOBODY]}
        )
        self.assertEqual(
            forms.grouped((DAVE, BOB, NOBODY), MORE, 0),
            {Form.PLACEHOLDER: [BOB], Form.LINK: [DAVE], Form.WHOLE: [NOBODY]},
        )
        without = evolve(forms, settings=evolve(SETTINGS, links=False))
        self.assertEqual(without.grouped((DAVE,), MORE, 0), {Form.REFUSED: [DAVE]})
        strict = evolve(forms, settings=evolve(SETTINGS, too_large=TooLarge.REFUSE))
        self.assertEqual(strict.grouped((NOBODY,), MORE, 0), {Form.REFUSED: [NOBODY]})

    def test_may_be_refused(self) -> None:
        """Who cannot be asked may collect nothing, and a link needs its place."""
        forms = Forms({}, SETTINGS)
        self.assertFalse(forms.may_be_refused(MORE, has_place=True))
        self.assertTrue(forms.may_be_refused(MORE, has_place=False))
        self.assertFalse(forms.may_be_refused(MORE - 1, has_place=False))
        self.assertTrue(evolve(forms, settings=evolve(SETTINGS, links=False)).may_be_refused(MORE, has_place=True))

    def test_nobody_collects(self) -> None:
        """Each of them."""
        self.assertEqual(rules.nobody_collects((BAR_TEST,)), {BAR_TEST: Standing.DOES_NOT})


class Writing(SynchronousTestCase):
    """The placeholder in pieces."""

    header = Header(ALICE, "", 10)
    taken = Taken(TAKEN, b"Content-Type: a/b\r\n", "a/b", "c", digest_of(b"c"), 1, 76, b"")

    def attachments(self, taken: Taken | None = None) -> list[Attachment]:
        """What is promised."""
        pieces = (Kept(0, 1), taken or self.taken)
        return rules.attachments_of(pieces, parse_origin("https://rs.foo.test"), instant(0))

    def test_pieces(self) -> None:
        """What stays is referred to; a Message-ID is added at the end of the header; the notice has its place."""
        pieces: list[Piece] = [Kept(0, 20), self.taken, Kept(20, 30), Closing(b"b"), Kept(30, 40)]
        first, added, second, external, third, notice, last = rules.placeholder_of(
            pieces, self.attachments(), self.header, "1@foo.test"
        )
        self.assertEqual([first, second, third, last], [Kept(0, 10), Kept(10, 20), Kept(20, 30), Kept(30, 40)])
        self.assertEqual(added, b"Message-ID: <1@foo.test>\r\n")
        assert isinstance(external, bytes) and isinstance(notice, bytes)
        self.assertTrue(external.endswith(b"\r\n\r\nContent-Type: a/b\r\n\r\n"))
        self.assertTrue(notice.startswith(b"--b\r\nContent-Type: text/plain"))
        self.assertTrue(notice.endswith(b"\r\n"))
        known = evolve(self.header, message_id="1@foo.test")
        self.assertEqual(len(rules.placeholder_of(pieces, self.attachments(), known, "1@foo.test")), 6)

    def test_what_could_be_a_delimiter(self) -> None:
        """Is not written."""
        for headers in (b"--x: y\r\n", b"A: b\r\n--x: y\r\n"):
            taken = evolve(self.taken, headers=headers)
            pieces: list[Piece] = [Kept(0, 20), taken]
            self.assertRaises(
                Malformed, rules.placeholder_of, pieces, self.attachments(taken), self.header, "1@foo.test"
            )

    def test_headers(self) -> None:
        """All but the transfer encoding; parts with more of it, or of another kind, stay, and so do very many parts."""
        begin = Begin(b"A: b\r\nContent-Transfer-Encoding: base64\r\nC: d\r\n\r\n", "a/b", "", 76)
        self.assertEqual(rules.headers_to_keep(begin, 0), b"A: b\r\nC: d\r\n")
        self.assertIsNone(rules.headers_to_keep(begin, rules.MOST_TAKEN))
        for header in (b"A: " + b"x" * 999 + b"\r\n\r\n", b"A\r\n\r\n", b"A: b\r\n" * 3000 + b"\r\n"):
            self.assertIsNone(rules.headers_to_keep(evolve(begin, header=header), 0))

    def test_lines(self) -> None:
        """Of 998 bytes and less, without NUL, over any blocks."""
        for data, good in (
            (b"x" * 998 + b"\r\n" + b"y" * 998 + b"\r\n", True), (b"x" * 999 + b"\r\n", False), (b"a\x00", False),
            (b"", True), (b"\r\n" * 2000, True),
        ):  # fmt: skip
            for size in (1, 7, 5000):
                lines = Lines()
                for at in range(0, len(data), size):
                    lines.feed(data[at : at + size])
                self.assertIs(lines.are_good, good)


class Remembered(SynchronousTestCase):
    """What the ledger and the grants say."""

    def test_keys(self) -> None:
        """Another queue file, sender or message is another key; recipients make none."""
        envelope = Envelope("x", ReversePath("a"), (BOB,), {"IDENT": "1"})
        others = (
            (envelope, b"g"), (evolve(envelope, forwarded={}), b"f"), (evolve(envelope, sender=ReversePath("b")), b"f"),
            (evolve(envelope, forwarded={"IDENT": "1a"}, sender=ReversePath("")), b"f"),
        )  # fmt: skip
        keys = {rules.message_key(each, given) for each, given in (*others, (envelope, b"f"))}
        self.assertEqual(len(keys), 5)
        self.assertIn(rules.message_key(evolve(envelope, recipients=(DAVE,)), b"f"), keys)
        self.assertTrue(rules.new_message_id(digest_of(b""), FOO).endswith("@foo.test"))

    def test_grants(self) -> None:
        """One for each address and resource, however often either is there."""
        one = Writing().attachments()
        until = instant(0) + timedelta(days=7)
        grants = rules.grants_for((BOB, ForwardPath("bob@bar.test"), DAVE, NOBODY), one * 2, ALICE, "1@x", until)
        self.assertEqual([str(grant.recipient) for grant in grants], ["Bob@bar.test", "dave@plain.test"])
        self.assertEqual({grant.not_after for grant in grants}, {until})
