"""What strangers, scanners and other recipients try with personal links."""

from hypothesis import given
from hypothesis import settings as tried
from hypothesis import strategies as st

from rrsd.core.values.digests import Digest
from rrsd.roles.rs import rules_links as rules
from tests.support.attackers import Line
from tests.support.domains import Bytes
from tests.support.personal import NOWHERE, LinksCase
from tests.support.visitors import Visitor, last_code


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
