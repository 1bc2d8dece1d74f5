"""Damaged resources over real TLS: chunk lists that help, that lie, that are missing, endless or late."""

import json
from collections.abc import Callable, Sequence

from rrsd.core.values.digests import Digest, digest_of
from rrsd.core.values.jobs import State
from rrsd.core.values.resources import CHUNK, Blob
from rrsd.core.wire.chunks import render_chunks
from rrsd.core.wire.fields import etag
from rrsd.drivers.store.blobs.blobs import Blobs
from tests.internet.test_hostile import Answer, Hostile, HostileCase, status, whole

BODY = (b"0123456789abcdef" * (CHUNK // 16)) * 2 + b"the end"
"""Three chunks."""
SIZE = len(BODY)
DIGEST = digest_of(BODY)
ETAG = etag(DIGEST)
SECOND = f"bytes={CHUNK}-{2 * CHUNK - 1}"
CHUNKS = tuple(digest_of(BODY[start : start + CHUNK]) for start in range(0, SIZE, CHUNK))


def spoiled(*places: int) -> bytes:
    """The body with other bytes at these places."""
    data = bytearray(BODY)
    for place in places:
        data[place] ^= 1
    return bytes(data)


def listed(chunks: Sequence[Digest] = CHUNKS, raw: dict[str, object] | None = None, **changes: object) -> Answer:
    """The chunk list, changed as asked."""
    document = {**render_chunks(Blob(DIGEST, SIZE, tuple(chunks))), **changes, **(raw or {})}
    return text(json.dumps(document).encode())


def text(body: bytes) -> Answer:
    """A body that is called JSON."""
    return Answer(headers=(f"content-length: {len(body)}", "content-type: application/json"), body=body)


def part(head: str, data: bytes = BODY, tag: str = ETAG, shift: int = 0) -> Answer:
    """What the Range field of the request asks for."""
    (line,) = [each for each in head.lower().split("\r\n") if each.startswith("range: ")]
    first, _, last = line.partition("=")[2].partition("-")
    start, end = int(first) + shift, (int(last) + 1 if last else SIZE) + shift
    headers = (f"content-length: {end - start}", f"content-range: bytes {start}-{end - 1}/{SIZE}", f"etag: {tag}")
    return Answer("206 Partial Content", headers, data[start:end])


GOOD = whole(BODY, etag=ETAG)
LISTED = listed()
WRONG = whole(spoiled(CHUNK + 5), etag=ETAG)
Told = Answer | Callable[[str], Answer]


class Mending(HostileCase):
    """One pull of three chunks from a scripted server."""

    def served(
        self, wholes: Sequence[Answer], lists: Told = LISTED, parts: Sequence[Told] = (part,), seconds: float = 2
    ) -> Hostile:
        """Whole answers one after the other, the last again and again; the same answer to who asks for the list; parts
        as wholes."""
        left, pieces = list(wholes), list(parts)

        def answer(head: str) -> Answer:
            if "/rrs/chunks/" in head:
                told: Told = lists
            elif "\r\nrange:" in head.lower():
                told = pieces.pop(0) if len(pieces) > 1 else pieces[0]
            elif head.startswith("HEAD"):
                return Answer(headers=GOOD.headers)
            else:
                told = left.pop(0) if len(left) > 1 else left[0]
            return told if isinstance(told, Answer) else told(head)

        hostile = self.pull(answer, data=BODY)
        self.world.advance(seconds)
        return hostile

    def asked(self, hostile: Hostile) -> list[str]:
        """What was asked for, in order: "list", the range, or "" for the whole."""
        found = zip([head for head in hostile.heads if head.startswith("GET ")], hostile.ranges(), strict=True)
        return ["list" if "/rrs/chunks/" in head else span for head, span in found]

    def test_a_damaged_chunk_is_fetched_again_alone(self) -> None:
        """Eight MiB instead of everything; the audit trail says so."""
        hostile = self.served([WRONG])
        self.assertEqual(self.asked(hostile), ["", "list", SECOND])
        self.assert_kept(BODY)
        (line,) = [each for each in self.bar.trail.of("pull") if each["outcome"] == "granted"]
        self.assertIn(f"{CHUNK} were damaged and fetched again", line["evidence"])
        self.assertEqual((self.job().attempts, self.job().restarts), (1, 0))

    def test_neighbours_are_fetched_together_and_the_last_chunk_is_short(self) -> None:
        """Of many chunks several may be damaged; one request for those side by side."""
        hostile = self.served([whole(spoiled(SIZE - 1), etag=ETAG)])
        self.assertEqual(self.asked(hostile), ["", "list", f"bytes={2 * CHUNK}-{SIZE - 1}"])
        self.assert_kept(BODY)

    def test_damaged_again_is_fetched_whole_once_and_then_quarantined(self) -> None:
        """The second time for good: nobody goes on mending."""
        hostile = self.served([WRONG], parts=[lambda head: part(head, spoiled(CHUNK + 5))])
        self.assertEqual(self.asked(hostile), ["", "list", SECOND, ""])
        self.assertIs(self.job().state, State.QUARANTINED)
        self.assert_nothing_kept(BODY)

    def test_damaged_again_and_then_good(self) -> None:
        """The clean transfer counts."""
        hostile = self.served([WRONG, GOOD], parts=[lambda head: part(head, spoiled(CHUNK + 5))])
        self.assertEqual(self.asked(hostile), ["", "list", SECOND, ""])
        self.assert_kept(BODY)

    def test_lists_that_do_not_help(self) -> None:
        """Missing, about others, of lies, not JSON, too long, a million chunks, redirected, refused: all is fetched
        again, as without any list."""
        other, million = digest_of(b"other"), [DIGEST.b64] * 1_000_000
        cases: dict[str, Told] = {
            "none": status("404 Not Found"),
            "gone": status("410 Gone"),
            "error": status("500 Internal Server Error"),
            "redirected": status("302 Found", "location: https://evil.test/"),
            "empty": text(b""),
            "not JSON": text(b"\xff\xfe{"),
            "array": text(b"[]"),
            "of another": listed(resource=other.ni),
            "another chunk size": listed(chunk_size=CHUNK // 2),
            "another size": listed(CHUNKS[:1], size=CHUNK),
            "too few": listed(CHUNKS[:1]),
            "too many": listed((*CHUNKS, other)),
            "no digests": listed(raw={"chunks": [1, 2, 3]}),
            "not canonical": listed(raw={"chunks": ["x" * 43] * 3}),
            "a million": listed(raw={"chunks": million, "size": CHUNK * 1_000_000}),
            "says all is well": listed([CHUNKS[0], digest_of(spoiled(CHUNK + 5)[CHUNK : 2 * CHUNK]), CHUNKS[2]]),
            "says all is damaged": listed([other] * 3),
        }
        for name, told in cases.items():
            with self.subTest(name):
                self.setUp()
                hostile = self.served([WRONG, GOOD], told)
                self.assertEqual(self.asked(hostile), ["", "list", ""], name)
                self.assert_kept(BODY)

    def test_a_list_that_lies_about_a_good_chunk_spoils_nothing(self) -> None:
        """It leads to the wrong chunk; the whole decides, and all is fetched again."""
        lie = listed([digest_of(b"lie"), digest_of(spoiled(CHUNK + 5)[CHUNK : 2 * CHUNK]), CHUNKS[2]])
        hostile = self.served([WRONG, GOOD], lie)
        self.assertEqual(self.asked(hostile), ["", "list", f"bytes=0-{CHUNK - 1}", ""])
        self.assert_kept(BODY)

    def test_a_list_that_never_comes(self) -> None:
        """Ten seconds are waited for it, whether nothing comes or a byte now and then."""
        for told in (Answer(headers=("content-length: 300",), body=b"{"), Answer(headers=(), body=b"", end="hang")):
            with self.subTest(told):
                self.setUp()
                hostile = self.served([WRONG, GOOD], told, seconds=20)
                self.assertEqual(self.asked(hostile), ["", "list", ""])
                self.assert_kept(BODY)

    def test_parts_that_are_others_than_asked_for(self) -> None:
        """Another range, another validator, the whole, or none: they are not put anywhere."""
        cases: dict[str, Told] = {
            "shifted": lambda head: part(head, shift=16),
            "another validator": lambda head: part(head, tag='"other"'),
            "the whole": GOOD,
            "unsatisfiable": status("416 Range Not Satisfiable"),
        }
        for name, told in cases.items():
            with self.subTest(name):
                self.setUp()
                hostile = self.served([WRONG, GOOD], parts=[told])
                self.assertEqual(self.asked(hostile), ["", "list", SECOND, ""])
                self.assert_kept(BODY)

    def test_a_part_that_breaks_off_or_is_refused_for_now(self) -> None:
        """What is here stays: it is mended at the next attempt, and nothing is fetched from byte 0 again."""

        def cut(head: str) -> Answer:
            good = part(head)
            return Answer(good.status, good.headers, good.body[:1000], "cut")

        cases: dict[str, Told] = {"cut": cut, "429": status("429 Slow", "retry-after: 5"), "503": status("503 Later")}
        for name, told in cases.items():
            with self.subTest(name):
                self.setUp()
                hostile = self.served([WRONG], parts=[told, part])
                self.assertIs(self.job().state, State.DEFERRED)
                self.world.advance(120, 5)
                self.assert_kept(BODY)
                self.assertEqual(self.asked(hostile)[:3], ["", "list", SECOND])
                self.assertNotIn("", self.asked(hostile)[1:])

    def test_without_a_validator_nothing_is_mended(self) -> None:
        """Parts of one resource and parts of another must not come together."""
        hostile = self.served([whole(spoiled(5), etag=""), GOOD])
        self.assertEqual(self.asked(hostile), ["", ""])
        self.assert_kept(BODY)

    def test_with_our_own_server(self) -> None:
        """Its list is one that our agent can use."""
        real, times = Blobs.read, [0]

        def read(blobs: Blobs, digest: Digest, start: int, end: int) -> object:
            return self._damaged(real(blobs, digest, start, end), times)

        foo = self.world.domain("baz.test")
        raw = foo.send(["bob@bar.test"], {"f": BODY})
        self.world.result(self._with_chunks(foo.store))
        patch = self.patch(Blobs, "read", read)
        self.bar.deliver(raw, "bob@bar.test")
        self.world.advance(2)
        patch.restore()
        self.assertIn("fetched again", self.job().evidence)
        self.assert_kept(BODY)

    @staticmethod
    async def _with_chunks(store: object) -> None:
        """As an upload leaves it: with its chunk list."""
        from rrsd.drivers.store.sql.references import save_chunks

        await store._engine.write(lambda connection: save_chunks(connection, DIGEST, CHUNKS))  # type: ignore[attr-defined]

    @staticmethod
    async def _damaged(blocks: object, times: list[int]) -> object:
        """The first block that anybody reads is spoiled."""
        async for block in blocks:  # type: ignore[attr-defined]
            times[0] += 1
            yield bytes(len(block)) if times[0] == 1 else block
