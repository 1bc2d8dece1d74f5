"""A file that no mail can carry, for somebody whose domain has no rrsd: a link by mail, a code by mail, the file by
HTTPS, all of it through real servers."""

import hashlib
from collections.abc import Sequence
from typing import ClassVar

from typing_extensions import override

from tests.mail.attachments import MIB, AttachmentCase
from tests.mail.case import ALICE, LATE
from tests.mail.letters import Attachment
from tests.support.linkpages import Browser, code_in, link_in

DAVE = "dave@old.test"
FILM = 19 * MIB
"""In base64 it is more than `[mail] most_mail`."""
CODE = "code"


class Links(AttachmentCase):
    """old.test collects nothing, and the film is larger than mail servers elsewhere are believed to take."""

    kept: ClassVar[list[tuple[Attachment, dict[str, bytes]]]] = []

    @override
    def setUp(self) -> None:
        super().setUp()
        assert self.foo.daemon is not None and self.foo.daemon.plan.authority is not None
        self.roots = self.foo.daemon.plan.authority / "ca.pem"

    def tell(self, lifetime: str, links: str) -> None:
        """Settings of foo.test from now on."""
        self.foo.tell(("rs", "lifetime", lifetime), ("mail", "links", links))

    def browser(self) -> Browser:
        """Somebody's."""
        assert self.foo.daemon is not None
        return Browser(self.foo.daemon.port, self.roots)

    def sent(self, *recipients: str, seed: int = 20) -> tuple[Attachment, dict[str, bytes]]:
        """A film to these; what was attached, and the message that each of them got."""
        film = Attachment("film.mp4", FILM, seed)
        head, files = self.letter(film, to=recipients[0])
        self.post(head, files, *recipients)
        self.settle()
        return film, {each: self.only(self.inbox(each)) for each in recipients}

    def both(self) -> tuple[Attachment, dict[str, bytes]]:
        """The film that carol got, and dave by a blind copy; sent once for all tests."""
        if not Links.kept:
            Links.kept.append(self.sent(LATE, DAVE))
        return Links.kept[0]

    def only(self, messages: Sequence[bytes]) -> bytes:
        """The only one."""
        self.assertEqual(len(messages), 1)
        return messages[0]

    def code_for(self, address: str, before: int) -> str:
        """The code that came after the first `before` ones."""
        found = self.until("a code has come", lambda: self.inbox(address, CODE)[before:])
        self.assertIn(b"dkim=pass", found[-1])
        return code_in(found[-1])

    def codes(self, address: str) -> int:
        """How many codes have come."""
        return len(self.inbox(address, CODE))

    def test_download(self) -> None:
        """Placeholder, link, code, a download that breaks, and its rest."""
        film, messages = self.both()
        link, carol, before = link_in(messages[LATE]), self.browser(), self.codes(LATE)
        self.assertLess(len(messages[LATE]), 64 << 10)
        page = carol.get(link)
        self.assertIn("film.mp4", page.text)
        self.assertNotIn(LATE, page.text)
        self.assertEqual((carol.files(link), self.codes(LATE)), ([], before))
        (url,) = carol.open(link, lambda: self.code_for(LATE, before))
        broken = carol.get(url, most=MIB + 7)
        self.assertEqual((broken.status, len(broken.body)), (200, MIB + 7))
        rest = carol.get(url, Range=f"bytes={MIB + 7}-", If_Range=broken.headers["etag"])
        self.assertEqual((rest.status, rest.headers["content-range"]), (206, f"bytes {MIB + 7}-{FILM - 1}/{FILM}"))
        self.assertEqual(hashlib.sha256(broken.body + rest.body).hexdigest(), film.sha256)
        self.did("a personal link: code by mail, download broken and resumed", 1, [broken.body + rest.body])

    def test_others(self) -> None:
        """A blind copy has a link of its own, and neither opens the other's."""
        _, messages = self.both()
        carols, daves = link_in(messages[LATE]), link_in(messages[DAVE])
        self.assertNotEqual(carols, daves)
        self.assertNotIn(_name(daves).encode(), messages[LATE])
        self.assertNotIn(DAVE.encode(), messages[LATE])
        self.assertNotIn(_name(carols).encode(), messages[DAVE])
        carol, dave, before = self.browser(), self.browser(), self.codes(DAVE)
        (url,) = dave.open(daves, lambda: self.code_for(DAVE, before))
        self.assertEqual(carol.get(url).status, 403)
        carol.cookies = {path.replace(_name(daves), _name(carols)): pair for path, pair in dave.cookies.items()}
        self.assertEqual(carol.files(carols), [])
        self.assertEqual(carol.get(url.replace(_name(daves), _name(carols))).status, 403)
        self.did("a blind copy's link is personal; another one's cookie opens nothing", 2, list(messages.values()))

    def test_wrong_code(self) -> None:
        """Refused, and after five of them the right one too."""
        _, messages = self.both()
        link, dave, before = link_in(messages[DAVE]), self.browser(), self.codes(DAVE)
        dave.post(link)
        code = self.code_for(DAVE, before)
        for _ in range(5):
            self.assertEqual(dave.post(f"{link}/code", code="00000000").status, 403)
        answered = dave.post(f"{link}/code", code=code)
        self.assertEqual((answered.status, dave.files(link)), (403, []))
        self.did("five wrong codes, and the right one is over", 1, [messages[DAVE]])

    def test_ended(self) -> None:
        """By its time; or by the owner, and then what would have made a new one goes back to its sender. The page says
        no more than of a link that never was."""
        _, others = self.both()
        self.addCleanup(self.tell, "7d", "yes")
        self.tell("3s", "yes")
        _, messages = self.sent(LATE, seed=23)
        link, carol = link_in(messages[LATE]), self.browser()
        self.until("it is over", lambda: carol.get(link).status == 404)
        never = carol.get(f"https://foo.test/rrs/links/{'A' * 22}")
        self.assertEqual((never.status, never.body), (404, carol.get(link).body))
        self.assertEqual(carol.post(link).status, 404)
        self.assertEqual(carol.get(link_in(others[LATE])).status, 200)
        self.did("a link whose time is over", 1, list(messages.values()))

        self.tell("7d", "no")
        self.assertEqual(carol.get(link_in(others[LATE])).status, 404)
        head, files = self.letter(Attachment("film.mp4", FILM, 25), to=LATE)
        self.post(head, files, LATE)
        self.settle()
        self.assertEqual(len(self.inbox(LATE)), 1)
        reports = [each for each in self.inbox(ALICE, "Undelivered") if self.word.encode() in each]
        self.assertIn(b"552", self.only(reports))
        self.did("links switched off: 552 to the sender, the page is gone", 1, reports)


def _name(link: str) -> str:
    return link.rpartition("/")[2]
