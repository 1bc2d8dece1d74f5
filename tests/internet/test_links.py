"""Personal links for recipients whose domain has no rrsd, over TLS, with the codes that travel by mail."""

import base64
import re
from datetime import timedelta

from attrs import evolve

from rrsd.config.settings import Settings
from rrsd.core.values.digests import digest_of
from rrsd.core.values.envelopes import Notify, Reply
from rrsd.core.values.settings import Size
from rrsd.runtime.loops import Nursery
from tests.support.mailservers import Way, with_mail
from tests.support.personal import CAROL, DATA, NOWHERE, LinksCase
from tests.support.visitors import last_code

MAIL = (
    b"From: alice@foo.test\r\nTo: dave@post.test\r\nMessage-ID: <9@foo.test>\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nLook\r\n--b\r\n'
    b'Content-Type: video/mp4; name="holiday.mp4"\r\nContent-Disposition: attachment; filename="holiday.mp4"\r\n'
    b"Content-Transfer-Encoding: base64\r\n\r\n"
)


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
