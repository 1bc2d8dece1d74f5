"""Personal links for recipients whose domain has no rrsd, over TLS, with the codes that travel by mail."""

import base64
import re
from datetime import timedelta
from pathlib import Path

from attrs import evolve
from hypothesis import given
from hypothesis import settings as tried
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rrsd.config.settings import Settings
from rrsd.core.values.addresses import parse_address
from rrsd.core.values.digests import Digest, digest_of
from rrsd.core.values.envelopes import Notify, Reply
from rrsd.core.values.resources import Grant
from rrsd.core.values.settings import Size
from rrsd.roles.rs import rules_links as rules
from rrsd.runtime.loops import Nursery
from tests.support.attackers import Line, Response
from tests.support.domains import Bytes
from tests.support.mailservers import Post, Way, serve, start_mail, with_mail
from tests.support.visitors import Visitor, last_code
from tests.support.world import MemoryDomain, World

CAROL = "carol@post.test"
DATA = b"holiday" * 1000
NOWHERE = "A" * 22
MAIL = (
    b"From: alice@foo.test\r\nTo: dave@post.test\r\nMessage-ID: <9@foo.test>\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nLook\r\n--b\r\n'
    b'Content-Type: video/mp4; name="holiday.mp4"\r\nContent-Disposition: attachment; filename="holiday.mp4"\r\n'
    b"Content-Transfer-Encoding: base64\r\n\r\n"
)


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


class Download(LinksCase):
    """As it is meant."""

    def test_whole_story(self) -> None:
        """Look, have a code sent, enter it, download; the sender sees it."""
        page = self.carol.get(self.path)
        self.assertEqual(page.status, 200)
        for words in ("holiday.mp4", "6.8 KiB", "c•••@post.test", "Send me a code"):
            self.assertIn(words.encode(), page.body)
        self.assertEqual(self.post.kept, [])
        sent = self.carol.post(self.path)
        self.assertEqual((sent.status, sent.headers["location"]), (303, f"{self.path}/code"))
        self.assertIn(b"Enter the code", self.carol.get(f"{self.path}/code").body)
        code = last_code(self.post)
        entered = self.carol.post(f"{self.path}/code", {"code": f" {code[:4].lower()}-{code[4:]}"})
        self.assertEqual((entered.status, entered.headers["location"]), (303, self.path))
        self.assertIn(self.file().encode(), self.carol.get(self.path).body)
        found = self.carol.get(self.file())
        self.assertEqual((found.status, found.body), (200, DATA))
        (line,) = self.foo.trail.of("download")
        self.assertEqual((line["outcome"], line["subject"], line["resource"]), ("granted", CAROL, digest_of(DATA).ni))
        (grant,) = self.world.result(self.foo.store.grants.sent(self.foo.address("alice"), 9))
        self.assertEqual(grant.downloaded, self.world.now)

    def test_message(self) -> None:
        """Nobody answers it, and it bounces to nobody."""
        self.carol.post(self.path)
        envelope, message = self.post.kept[-1]
        self.assertEqual(envelope.sender.path, "")
        self.assertEqual([each.path for each in envelope.recipients], [CAROL])
        self.assertEqual(envelope.recipients[0].notify, {Notify.NEVER})
        for field in (b"From: postmaster@foo.test", b"To: carol@post.test", b"Auto-Submitted: auto-generated"):
            self.assertIn(field + b"\r\n", message)

    def test_headers(self) -> None:
        """Pages are kept out of frames, caches and the reach of scripts; the cookie is of this link and this site."""
        page = self.carol.get(self.path)
        policy = page.headers["content-security-policy"]
        self.assertTrue(policy.startswith("default-src 'none'; style-src 'sha256-"), policy)
        self.assertNotIn(b"<script", page.body)
        self.assertEqual(page.headers["cache-control"], "no-store")
        self.assertEqual(page.headers["referrer-policy"], "same-origin")
        cookie = self.carol.open(self.path, self.post).headers["set-cookie"]
        self.assertTrue(cookie.startswith("__Secure-rrs-link="))
        end = f"; Max-Age=7200; Path={self.path}; Secure; HttpOnly; SameSite=Strict"
        self.assertTrue(cookie.endswith(end), cookie)
        found = self.carol.get(self.file()).headers
        self.assertEqual(found["etag"], f'"sha-256:{digest_of(DATA).b64}"')
        self.assertEqual(found["content-disposition"], 'attachment; filename="holiday.mp4"')
        self.assertEqual(found["x-content-type-options"], "nosniff")
        self.assertEqual(found["content-security-policy"], "default-src 'none'; sandbox")
        self.assertIn("repr-digest", found)

    def test_resume(self) -> None:
        """A download that broke off goes on; only the end of it counts as having all."""
        self.carol.open(self.path, self.post)
        etag = self.carol.head(self.file()).headers["etag"]
        begin = self.carol.get(self.file(), Range="bytes=0-99", If_Range=etag)
        self.assertEqual((begin.status, begin.body), (206, DATA[:100]))
        alice = self.foo.address("alice")
        self.assertIsNone(self.world.result(self.foo.store.grants.sent(alice, 1))[0].downloaded)
        rest = self.carol.get(self.file(), Range="bytes=100-", If_Range=etag)
        self.assertEqual((rest.status, rest.body), (206, DATA[100:]))
        self.assertIsNotNone(self.world.result(self.foo.store.grants.sent(alice, 1))[0].downloaded)
        self.assertEqual(self.carol.get(self.file(), If_None_Match=etag).status, 304)
        self.assertEqual(self.carol.get(self.file(), Range="bytes=999999-").status, 416)
        self.assertEqual(self.carol.get(self.file(), Range="bytes=0-9", If_Range='"other"').status, 200)

    def test_several_files(self) -> None:
        """All of the message's, one of them empty."""
        self.grant("1@foo.test", CAROL, "empty", b"")
        self.carol.open(self.path, self.post)
        self.assertIn(b"2 files were", self.carol.get(self.path).body)
        empty = self.carol.get(self.file(b""))
        self.assertEqual((empty.status, empty.body, empty.headers["content-length"]), (200, b"", "0"))
        self.require_nothing(self.carol.get(f"{self.path}/files/{digest_of(b'other').b64}"))
        self.require_nothing(self.carol.get(f"{self.path}/files/x"))

    def test_survives_restart(self) -> None:
        """A code that the mail server did not take is handed over later, once."""
        self.post.says = lambda _: [Reply(451)]
        self.carol.post(self.path)
        self.assertEqual(self.post.kept, [])
        mail = self.foo.whole.mail
        self.world.result(mail.work.stop())
        self.post.says = lambda _: [Reply(250)]
        mail.work = Nursery()
        mail.begin()
        self.world.advance(20)
        self.assertEqual(len(self.post.kept), 1)
        self.assertEqual(self.carol.post(f"{self.path}/code", {"code": last_code(self.post)}).status, 303)

    def test_mail_server_says_no(self) -> None:
        """It is not tried again."""
        self.post.says = lambda _: [Reply(550, "5.1.1", ("no such user",))]
        self.carol.post(self.path)
        self.world.advance(3600)
        self.assertEqual(self.post.begun, 1)
        (line,) = self.foo.trail.of("notice")
        self.assertEqual((line["outcome"], line["evidence"]), ("failed", "the mail server: 550 5.1.1 no such user"))

    def test_mail_server_is_away(self) -> None:
        """A code that is no longer good is not sent."""
        del self.world.internet.listeners["127.0.0.1", 10026]
        self.carol.post(self.path)
        self.world.advance(700, 1)
        (line,) = self.foo.trail.of("notice")
        self.assertEqual((line["outcome"], line["refusal"]), ("failed", "expired"))


class FromMail(LinksCase):
    """From the sender's mail program to the recipient's browser."""

    def change(self, settings: Settings) -> Settings:
        """Mail elsewhere carries 4000 bytes, attachments of 1000 are taken out."""
        settings = with_mail(settings)
        mail = evolve(settings.mail, threshold=Size(1000), most_mail=Size(4000), discovery_wait=timedelta())
        return evolve(settings, mail=mail)

    def test_by_mail(self) -> None:
        """A link for each recipient, also for who stands in Bcc; one is withdrawn for all."""
        way = Way.to(self.world, 10025)
        self.assertEqual(way.say(b"EHLO foo\r\n"), [220, 250])
        to = b"RCPT TO:<dave@post.test>\r\nRCPT TO:<erin@post.test>\r\n"
        self.assertEqual(way.say(b"MAIL FROM:<alice@foo.test>\r\n" + to + b"DATA\r\n")[-1], 354)
        self.assertEqual(way.say(MAIL + base64.encodebytes(DATA).replace(b"\n", b"\r\n") + b"--b--\r\n.\r\n"), [250])
        links = {}
        for envelope, raw in self.post.kept:
            (links[envelope.recipients[0].path],) = re.findall(rb"https://foo.test(/rrs/links/\S+)", raw)
            self.assertNotIn(b"erin", raw)
        self.assertEqual(set(links), {"dave@post.test", "erin@post.test"})
        for who in links:
            self.path = links[who].decode()
            visitor = self.visitor()
            self.assertEqual(visitor.open(self.path, self.post).status, 303)
            self.assertEqual([each.path for each in self.post.kept[-1][0].recipients], [who])
            self.assertEqual(visitor.get(self.file()).body, DATA)
        self.world.result(self.foo.store.grants.withdraw(self.foo.address("alice"), "9@foo.test"))
        for path in links.values():
            self.require_nothing(self.visitor().get(path.decode()))


class Attacks(LinksCase):
    """What strangers, scanners and other recipients try."""

    def test_e30_flood_of_codes(self) -> None:
        """One link, one address, one network: each has its most, and says when to come again."""
        for _ in range(rules.MOST_PER_LINK):
            self.assertEqual(self.visitor().post(self.path).status, 303)
        refused = self.visitor().post(self.path)
        self.require_nothing(refused, 429)
        self.assertGreater(int(refused.headers["retry-after"]), 3000)
        others = [self.link(f"{n}@foo.test") for n in range(2, 9)]
        statuses = [self.visitor().post(path).status for path in others for _ in range(2)]
        self.assertEqual(statuses.count(303), rules.MOST_PER_RECIPIENT - rules.MOST_PER_LINK)
        self.assertEqual(len(self.post.kept), rules.MOST_PER_RECIPIENT)
        self.world.advance(3601, 60)
        self.assertEqual(self.visitor().post(self.path).status, 303)

    def test_flood_from_one_network(self) -> None:
        """Codes for many addresses are not sent for one visitor either."""
        paths = [self.link(f"{n}@foo.test", f"carol{n}@post.test") for n in range(rules.LINK_BURST + 5)]
        statuses = [self.carol.post(path).status for path in paths]
        self.assertEqual(statuses, [303] * rules.LINK_BURST + [429] * 5)
        self.assertEqual(self.visitor().post(paths[-1]).status, 303)

    def test_guessed_code(self) -> None:
        """Five tries, then even the right one is over, and a new one has to be sent."""
        self.carol.post(self.path)
        code = last_code(self.post)
        for _ in range(rules.MOST_TRIES):
            wrong = self.carol.post(f"{self.path}/code", {"code": "00000000"})
            self.assertEqual((wrong.status, wrong.headers.get("set-cookie")), (403, None))
            self.assertIn(b"That is not the code", wrong.body)
        over = self.carol.post(f"{self.path}/code", {"code": code})
        self.assertIn(b"no longer good", over.body)
        self.require_locked(self.carol)
        self.assertEqual(self.carol.open(self.path, self.post).status, 303)

    def require_locked(self, visitor: Visitor) -> None:
        """Neither page nor file is open to the visitor."""
        self.assertIn(b"Send me a code", visitor.get(self.path).body)
        self.require_nothing(visitor.get(self.file()), 403)

    def test_code_is_used_once(self) -> None:
        """What somebody reads over a shoulder opens nothing any more."""
        self.carol.open(self.path, self.post)
        eve = self.visitor()
        self.assertEqual(eve.post(f"{self.path}/code", {"code": last_code(self.post)}).status, 403)
        self.require_locked(eve)

    def test_code_before_the_newest(self) -> None:
        """Only the newest is good."""
        self.carol.post(self.path)
        old = last_code(self.post)
        self.carol.post(self.path)
        self.assertNotEqual(old, last_code(self.post))
        self.assertEqual(self.carol.post(f"{self.path}/code", {"code": old}).status, 403)

    def test_old_code(self) -> None:
        """Ten minutes."""
        self.carol.post(self.path)
        self.world.advance(601, 10)
        self.assertEqual(self.carol.post(f"{self.path}/code", {"code": last_code(self.post)}).status, 403)

    def test_code_of_another_link(self) -> None:
        """A code that mallory got by her own link does not open carol's."""
        other = self.link("2@foo.test", "mallory@post.test")
        mallory = self.visitor()
        mallory.post(other)
        code = last_code(self.post)
        self.carol.post(self.path)
        self.assertEqual(mallory.post(f"{self.path}/code", {"code": code}).status, 403)
        self.require_locked(mallory)

    def test_cookie_of_another_link(self) -> None:
        """Nor does her cookie."""
        other = self.link("2@foo.test", "mallory@post.test")
        mallory = self.visitor()
        mallory.open(other, self.post)
        mallory.cookies[self.path] = mallory.cookies[other]
        self.require_locked(mallory)
        for text in ("__Secure-rrs-link=", f"__Secure-rrs-link={NOWHERE}", "__Secure-rrs-link"):
            mallory.cookies[self.path] = text
            self.require_locked(mallory)

    def test_file_of_another_link(self) -> None:
        """The digest of a file that was sent to somebody else opens nothing."""
        self.grant("2@foo.test", "mallory@post.test", "secret", b"secret")
        self.carol.open(self.path, self.post)
        self.require_nothing(self.carol.get(self.file(b"secret")))

    def test_old_cookie(self) -> None:
        """Two hours."""
        self.carol.open(self.path, self.post)
        self.world.advance(7201, 60)
        self.require_locked(self.carol)

    def test_guessed_links(self) -> None:
        """Unknown, withdrawn and past its end look the same; who tries many is slowed down."""
        answers = {self.answer(f"/rrs/links/{NOWHERE}"), self.answer("/rrs/links/x"), self.answer("/rrs/links/%41")}
        withdrawn, old = self.path, self.link("2@foo.test")
        self.world.result(self.foo.store.grants.withdraw(self.foo.address("alice"), "1@foo.test"))
        answers.add(self.answer(withdrawn))
        self.world.advance(7 * 86400 + 1, 86400)
        answers.add(self.answer(old))
        self.assertEqual(len(answers), 1)
        mallory = self.visitor()
        statuses = [mallory.get(f"/rrs/links/{NOWHERE}").status for _ in range(rules.LINK_BURST + 1)]
        self.assertEqual(statuses, [404] * rules.LINK_BURST + [429])

    @tried(max_examples=60, deadline=None)
    @given(
        st.lists(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=60), max_size=3),
        st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=80),
        st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE"]),
    )
    def test_any_path_and_cookie(self, parts: list[str], cookie: str, method: str) -> None:
        """Whatever is made up leads nowhere, and to no fault of ours."""
        path = "/".join(["/rrs/links", *(part.replace("?", "").replace("#", "") for part in parts)])
        answer = Line.to(self.world, "foo.test").ask(method, path, b"", Cookie=f"__Secure-rrs-link={cookie}")
        self.assertIn(answer.status, (400, 404, 405, 429))

    def answer(self, path: str) -> tuple[object, ...]:
        """What a visitor sees there, everywhere below and by every method."""
        eve = self.visitor()
        asked = [eve.get(path), eve.get(f"{path}/code"), eve.get(f"{path}/files/{'A' * 43}")]
        asked += [eve.post(path), eve.post(f"{path}/code", {"code": "00000000"})]
        return tuple((each.status, each.body, tuple(sorted(each.headers))) for each in asked)

    def test_scanner(self) -> None:
        """A program that follows links in mails changes nothing, however often it comes."""
        before = self.post.begun
        for _ in range(50):
            for path in (self.path, f"{self.path}/code", self.file()):
                self.assertIn(self.carol.get(path).status, (200, 403))
                self.assertIn(self.carol.head(path).status, (200, 403))
        self.assertEqual(self.post.begun, before)
        self.assertEqual(self.carol.open(self.path, self.post).status, 303)

    def test_form_of_another_site(self) -> None:
        """Another site cannot have codes sent by its visitors' browsers."""
        for headers in (
            {"Origin": "https://evil.test"},
            {"Origin": "null"},
            {"Sec_Fetch_Site": "cross-site"},
            {"Sec_Fetch_Site": "same-site"},
        ):
            self.require_nothing(self.carol.post(self.path, None, **headers), 403)
            self.require_nothing(self.carol.post(f"{self.path}/code", {"code": "00000000"}, **headers), 403)
        self.assertEqual(self.post.kept, [])

    def test_forms_that_are_none(self) -> None:
        """Refused with a page."""
        for fields in ({}, {"code": ""}, {"kode": "x"}):
            self.require_nothing(self.carol.post(f"{self.path}/code", fields), 400)
        self.require_nothing(self.carol.post(f"{self.path}/code?code=00000000", {"code": "x"}), 400)
        self.assertEqual(self.carol.post(f"{self.path}/code", {"code": "é" * 5000}).status, 403)

    def test_withdrawn_in_the_middle(self) -> None:
        """What runs ends in the middle, and nothing goes on."""
        data = b"0123456789abcdef" * (1 << 20)
        self.path = self.link("2@foo.test", data=data)
        self.carol.open(self.path, self.post)
        grants, alice = self.foo.store.grants, self.foo.address("alice")
        seen: list[int] = []

        def withdraw(*_: object) -> None:
            if not seen:
                seen.append(self.world.result(grants.withdraw(alice, "2@foo.test")))

        blobs = self.foo.whole.serving.sharing.blobs
        self.patch(self.foo.whole.serving.sharing, "blobs", Meanwhile(blobs, withdraw))
        found = self.carol.get(self.file(data))
        self.assertEqual(found.headers["content-length"], str(len(data)))
        self.assertLessEqual(len(found.body), len(data) // 2)
        self.require_nothing(self.carol.get(self.file(data), Range="bytes=9000000-"))
        newest = self.world.result(grants.sent(alice, 1))[0]
        self.assertEqual((newest.withdrawn, newest.downloaded), (True, None))

    def test_bytes_that_are_gone(self) -> None:
        """A disk that lost them says no more than a link that leads nowhere."""
        self.carol.open(self.path, self.post)
        self.patch(self.foo.whole.serving.sharing, "blobs", Bytes())
        self.require_nothing(self.carol.get(self.file()))

    def test_names_of_files(self) -> None:
        """A name is text on the page, a harmless name in the header, and not in the mail at all."""
        name = 'a"><script>alert(1)</script>\u202egpj.exe\r\nBcc: x@y.test'
        self.path = self.link("2@foo.test", name=name, data=b"x")
        self.carol.open(self.path, self.post)
        page = self.carol.get(self.path).body
        self.assertNotIn(b"<script", page)
        self.assertNotIn("\u202e".encode(), page)
        found = self.carol.get(self.file(b"x"))
        self.assertNotIn("bcc", found.headers)
        self.assertNotIn(b"Bcc", self.post.kept[-1][1])
        self.assertNotIn(b"script", self.post.kept[-1][1])

    def test_secrets_are_not_written_down(self) -> None:
        """Neither link nor code nor cookie is in the trail or, in the clear, in the database."""
        self.carol.open(self.path, self.post)
        self.carol.get(self.file())
        self.carol.post(f"{self.path}/code", {"code": "00000000"}, Origin="https://evil.test")
        (cookie,) = self.carol.cookies.values()
        secrets = (self.path.rpartition("/")[2], last_code(self.post), cookie.partition("=")[2])
        dump = self.world.result(self.foo.store._engine.read(lambda connection: "\n".join(connection.iterdump())))
        for secret in secrets:
            self.assertNotIn(secret, str(self.foo.trail.lines))
            self.assertNotIn(secret, dump)

    def test_s21_no_trace_no_download(self) -> None:
        """When the trail cannot be written, nothing is given out."""
        self.carol.open(self.path, self.post)
        self.foo.trail.broken = OSError(28, "no space")
        for path in (self.path, self.file()):
            self.require_nothing(self.carol.get(path), 503)


class SwitchedOff(LinksCase):
    """The owner wants no links."""

    def change(self, settings: Settings) -> Settings:
        """Links = no."""
        settings = with_mail(settings)
        return evolve(settings, mail=evolve(settings.mail, links=False))

    def test_no_link(self) -> None:
        """None is made, and none leads anywhere."""
        self.assertEqual(self.path, "")
        self.require_nothing(self.carol.get(f"/rrs/links/{NOWHERE}"))


class Meanwhile:
    """Blobs during whose reading something happens."""

    def __init__(self, blobs: object, happens: object) -> None:
        self._blobs, self._happens = blobs, happens

    def __getattr__(self, name: str) -> object:
        return getattr(self._blobs, name)

    async def read(self, digest: Digest, start: int, end: int):  # type: ignore[no-untyped-def]
        """The blocks, and what happens after each."""
        async for block in self._blobs.read(digest, start, end):  # type: ignore[attr-defined]
            yield block
            self._happens()  # type: ignore[operator]
