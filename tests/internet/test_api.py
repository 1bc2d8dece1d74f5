"""What a user's program sees over TLS: sending, the inbox, parts as they are and as they come, news."""

import base64
import email
import json
from email import policy
from typing import Any

from rrsd.core.values.digests import digest_of
from rrsd.core.wire.fields import etag
from tests.support.attackers import AttackCase, Line, Response
from tests.support.forgery import access
from tests.support.world import MemoryDomain

FILES = {"a.bin": bytes(range(256)) * 500, "empty.txt": b"", "ü photo.jpg": b"\xff\xd8" + b"x" * 57}


class ApiCase(AttackCase):
    """alice sends by her program, bob reads by his."""

    def user(self, domain: MemoryDomain, local: str) -> "User":
        """A user with a program on a connection of its own."""
        return User(self.line(domain), access(domain, f"{local}@{domain.name}").text())

    def sent(self, **draft: Any) -> bytes:
        """The placeholder of a message with FILES that alice's program sent."""
        alice = self.user(self.foo, "alice")
        attachments = [
            {"digest": alice.upload(data), "filename": name, "media_type": "application/x-test"}
            for name, data in FILES.items()
        ]
        response = alice.post("/api/outgoing", {"attachments": attachments, **draft})
        self.assertEqual((response.status, response.headers["content-type"]), (201, "message/rfc822"), response)
        self.assertEqual(response.headers["cache-control"], "no-store")
        return response.body

    def arrived(self) -> dict[str, Any]:
        """bob's view of such a message after it has arrived."""
        self.bar.deliver(self.sent(to=["bob@bar.test"], subject="files", text="hello"), "bob@bar.test")
        self.world.advance(2)
        shown: dict[str, Any] = self.user(self.bar, "bob").get("/api/messages").json()["messages"][0]
        return shown


class User:
    """A user's program."""

    def __init__(self, line: Line, token: str) -> None:
        self.line = line
        self.bearer = f"Bearer {token}"

    def get(self, target: str, method: str = "GET", **headers: str) -> Response:
        """Ask for something."""
        return self.line.ask(method, target, b"", Authorization=self.bearer, **headers)

    def post(self, target: str, document: Any) -> Response:
        """Send a document."""
        body = json.dumps(document).encode()
        return self.line.ask("POST", target, body, Authorization=self.bearer, Content_Type="application/json")

    def upload(self, data: bytes) -> str:
        """Upload in two pieces; the digest."""
        begun = self.post("/api/uploads", {"size": len(data)})
        where, middle = begun.headers["location"], len(data) // 2
        for offset, piece in ((0, data[:middle]), (middle, data[middle:])) if data else ():
            self.line.ask("PATCH", where, piece, Authorization=self.bearer, Upload_Offset=str(offset))
        digest: str = self.get(where).json()["digest"]
        return digest


class Mailbox(ApiCase):
    """Sending and reading."""

    def test_inbox(self) -> None:
        """Every part is there, verified, with its name, size and digest."""
        message = self.arrived()
        self.assertEqual((message["sender"], message["subject"]), ("alice@foo.test", "files"))
        shown = {part["filename"]: part for part in message["parts"]}
        self.assertEqual({*shown}, {*FILES})
        for name, data in FILES.items():
            self.assertEqual(
                (shown[name]["digest"], shown[name]["size"], shown[name]["arrival"], shown[name]["done"]),
                (digest_of(data).b64, len(data), "stored", len(data)),
            )
        one = self.user(self.bar, "bob").get(f"/api/messages/{message['message']}")
        self.assertEqual((one.json(), one.headers["cache-control"]), (message, "no-store"))

    def test_parts_and_ranges(self) -> None:
        """The whole, a range, only the head, and nothing new."""
        message, bob, data = self.arrived(), self.user(self.bar, "bob"), FILES["a.bin"]
        target = f"/api/messages/{message['message']}/parts/0"
        whole = bob.get(target)
        self.assertEqual((whole.status, whole.body, whole.headers["etag"]), (200, data, etag(digest_of(data))))
        self.assertEqual(whole.headers["content-security-policy"], "sandbox; default-src 'none'")
        self.assertTrue(whole.headers["content-disposition"].startswith("attachment"))
        for value, status, body in (("bytes=5-9", 206, data[5:10]), ("bytes=-3", 206, data[-3:]),
                                    ("bytes=0-1,4-5", 200, data), (f"bytes={len(data)}-", 416, None)):  # fmt: skip
            part = bob.get(target, Range=value)
            self.assertEqual((part.status, part.body if body is not None else None), (status, body), value)
        head = bob.get(target, "HEAD")
        self.assertEqual((head.status, head.headers["content-length"]), (200, str(len(data))))
        self.assertEqual(bob.get(target, If_None_Match=etag(digest_of(data))).status, 304)
        self.assertEqual(bob.get(f"/api/messages/{message['message']}/parts/1").body, b"")
        self.assertEqual(bob.get(f"/api/messages/{message['message']}/parts/9").status, 404)

    def test_raw_message(self) -> None:
        """The complete message is the placeholder with every attachment in its place, byte for byte."""
        message, bob = self.arrived(), self.user(self.bar, "bob")
        raw = bob.get(f"/api/messages/{message['message']}/raw")
        self.assertEqual((raw.status, raw.headers["content-length"]), (200, str(len(raw.body))))
        read = email.message_from_bytes(raw.body, policy=policy.default)
        found = {part.get_filename(): part.get_payload(decode=True) for part in read.iter_attachments()}
        self.assertEqual({name: data for name, data in found.items() if name}, FILES)
        placeholder = b"".join(self.world.result(self.read(message["message"])))
        self.assertEqual(raw.body, restored(placeholder, list(FILES.values())))

    async def read(self, name: str) -> list[bytes]:
        """The placeholder as it is stored."""
        message = await self.bar.store.mailbox.message(self.bar.address("bob"), name)
        return [block async for block in self.bar.store.blobs.read(message.raw, 0, message.raw_size)]

    def test_others_mailboxes(self) -> None:
        """Nobody else's message is there, and no other token opens a mailbox."""
        message = self.arrived()
        carol = self.user(self.bar, "carol")
        self.assertEqual(carol.get("/api/messages").json()["messages"], [])
        for tail in ("", "/raw", "/parts/0"):
            self.assertEqual(carol.get(f"/api/messages/{message['message']}{tail}").status, 404)
        line = self.line(self.bar)
        for target in ("/api/messages", f"/api/messages/{message['message']}/raw", "/api/events"):
            self.assertEqual(line.ask("GET", target).status, 401)
            stranger = access(self.foo, "bob@bar.test", "https://bar.test").text()
            answer = line.ask("GET", target, Authorization=f"Bearer {stranger}")
            self.assertEqual((answer.status, answer.json()["reason"]), (401, "unproven"))
            narrow = access(self.bar, scope="openid").text()
            self.assertEqual(line.ask("GET", target, Authorization=f"Bearer {narrow}").status, 403)
            bound = access(self.bar, cnf={"x5t#S256": digest_of(b"x").b64}).text()
            self.assertEqual(line.ask("GET", target, Authorization=f"Bearer {bound}").status, 401)

    def test_posting(self) -> None:
        """A user puts what they hold into their own mailbox, and what they wrote into others' here."""
        raw = self.sent(to=["bob@bar.test"])
        line, token = self.line(self.bar), access(self.bar).text()

        def post(query: str) -> int:
            return line.ask("POST", f"/api/messages{query}", raw, Authorization=f"Bearer {token}",
                            Content_Type="message/rfc822").status  # fmt: skip

        self.assertEqual(post("?recipient=carol@bar.test"), 403, "bob did not write it")
        self.assertEqual(post("?recipient=nobody@bar.test"), 403)
        self.assertEqual(post(""), 201)
        self.world.advance(2)
        self.assertEqual([job.state.value for job in self.bar.jobs()], ["receipted"] * 3)

    def test_a_part_that_is_not_here_yet(self) -> None:
        """202 with the state; with `Prefer: wait` the bytes as soon as they come (RFC 7240 4.3)."""
        raw = self.sent(to=["bob@bar.test"])
        address = self.world.internet.hosts["foo.test"].address
        listener = self.world.internet.listeners.pop((address, 443))
        self.bar.deliver(raw, "bob@bar.test")
        self.world.advance(1)
        bob = self.user(self.bar, "bob")
        message = bob.get("/api/messages").json()["messages"][0]
        target = f"/api/messages/{message['message']}/parts/0"
        early = bob.get(target)
        self.assertEqual((early.status, early.headers["retry-after"], early.headers["cache-control"]),
                         (202, "1", "no-store"))  # fmt: skip
        self.assertIn(early.json()["arrival"], ("waiting", "arriving"))
        self.assertNotIn("etag", early.headers)
        self.assertEqual(bob.get(f"/api/messages/{message['message']}/raw").status, 503)
        self.world.internet.listeners[address, 443] = listener
        self.world.advance(10)
        bob = self.user(self.bar, "bob")
        lines = f"GET {target} HTTP/1.1\r\nHost: bar.test\r\nAuthorization: {bob.bearer}\r\nPrefer: wait=60\r\n\r\n"
        bob.line.send(lines.encode())
        self.world.advance(61)
        late = bob.line.response()
        self.assertEqual((late.status, late.body), (200, FILES["a.bin"]))

    def test_a_reader_exchanges_their_own_token(self) -> None:
        """Where a reader waits, the delegation is made from their own token (3-legged)."""
        raw = self.sent(to=["bob@bar.test"])
        address = self.world.internet.hosts["foo.test"].address
        listener = self.world.internet.listeners.pop((address, 443))
        self.bar.deliver(raw, "bob@bar.test")
        self.world.advance(1)
        self.world.internet.listeners[address, 443] = listener
        bob = self.user(self.bar, "bob")
        message = bob.get("/api/messages").json()["messages"][0]
        bob.get(f"/api/messages/{message['message']}/parts/0")
        self.world.advance(100)
        granted = [line["evidence"] for line in self.bar.trail.of("delegate") if line["outcome"] == "granted"]
        self.assertIn("access token", granted)
        self.assertIn("3-legged", [line["evidence"] for line in self.bar.trail.of("exchange")])
        self.assertEqual([job.state.value for job in self.bar.jobs()], ["receipted"] * 3)
        self.assertNotIn(bob.bearer[7:], str(self.bar.trail.lines) + "".join(self.logged))

    def test_news(self) -> None:
        """Server-sent events tell a recipient of their own pulls, until the token ends."""
        bob, carol = self.user(self.bar, "bob"), self.user(self.bar, "carol")
        for user in (bob, carol):
            user.line.send(
                f"GET /api/events HTTP/1.1\r\nHost: bar.test\r\nAuthorization: {user.bearer}\r\n\r\n".encode()
            )
            self.assertIn(b"text/event-stream", user.line.received)
        self.bar.deliver(self.sent(to=["bob@bar.test"]), "bob@bar.test")
        self.world.advance(2)
        news = [json.loads(line[6:]) for line in bob.line.response().body.splitlines() if line.startswith(b"data: ")]
        self.assertEqual({item["part"] for item in news}, {0, 1, 2})
        self.assertLessEqual({"arriving", "stored"}, {item["state"] for item in news})
        self.assertNotIn(b"data:", carol.line.received)
        self.world.advance(601, 10)
        self.assertTrue(carol.line.received.endswith(b"0\r\n\r\n"), "the token ended")

    def test_what_the_api_is(self) -> None:
        """The OpenAPI document is there for everybody and promises nothing without a token but itself."""
        document = self.line(self.bar).ask("GET", "/api/openapi.json").json()
        self.assertEqual(document["openapi"][:3], "3.1")
        self.assertLessEqual({"/api/messages", "/api/uploads", "/api/outgoing"}, {*document["paths"]})

    def test_bcc_is_never_visible(self) -> None:
        """A blind recipient gets a grant and a copy, and neither message nor API shows them to another one."""
        raw = self.sent(to=["bob@bar.test"], bcc=["carol@bar.test"], subject="x")
        self.assertNotIn(b"carol", raw)
        self.bar.deliver(raw, "bob@bar.test", "carol@bar.test")
        self.world.advance(3)
        self.assertEqual({job.state.value for job in self.bar.jobs()}, {"receipted"})
        bob, carol = self.user(self.bar, "bob"), self.user(self.bar, "carol")
        listed = bob.get("/api/messages")
        message = listed.json()["messages"][0]["message"]
        raws = [bob.get(f"/api/messages/{message}/raw"), carol.get(f"/api/messages/{message}/raw")]
        self.assertEqual(raws[0].body, raws[1].body)
        self.assertNotIn("carol", str([listed, *raws]))
        grants = self.user(self.foo, "alice").get("/api/outgoing").json()["messages"][0]["grants"]
        self.assertEqual({grant["recipient"] for grant in grants}, {"bob@bar.test", "carol@bar.test"})
        self.assertTrue(all(grant["receipted"] for grant in grants))

    def test_withdrawing(self) -> None:
        """The sender ends the grants of a message; a pull that comes later finds nothing."""
        raw = self.sent(to=["bob@bar.test"])
        alice = self.user(self.foo, "alice")
        message_id = alice.get("/api/outgoing").json()["messages"][0]["message_id"]
        self.assertEqual(alice.get(f"/api/outgoing/{message_id}", "DELETE").json(), {"withdrawn": 3})
        self.assertEqual(alice.get(f"/api/outgoing/{message_id}", "DELETE").status, 404)
        self.bar.deliver(raw, "bob@bar.test")
        self.world.advance(2)
        self.assertEqual([job.state.value for job in self.bar.jobs()], ["failed"] * 3)
        bob = self.user(self.bar, "bob")
        message = bob.get("/api/messages").json()["messages"][0]
        self.assertEqual(bob.get(f"/api/messages/{message['message']}/parts/0").status, 410)


def restored(placeholder: bytes, files: list[bytes]) -> bytes:
    """The placeholder with its external bodies replaced and without its notice, by plain string operations."""
    first, *parts = placeholder.split(b"Content-Type: message/external-body")
    left, whole = iter(files), first
    for part in parts:
        _, inner, rest = part.split(b"\r\n\r\n", 2)
        boundary = rest[rest.index(b"\r\n--") :] if not rest.startswith(b"--") else b"\r\n" + rest
        data = next(left)
        # RFC 2046 5.1.1: a body part that has no body ends with its header fields.
        blank = b"\r\n" if data else b""
        encoded = blank + base64.encodebytes(data).replace(b"\n", b"\r\n").removesuffix(b"\r\n")
        boundary, notice, _ = boundary.partition(b"\r\nContent-Type: text/plain; charset=utf-8\r\n")
        boundary += b"--\r\n" if notice else b""
        whole += inner + b"\r\nContent-Transfer-Encoding: base64\r\n" + encoded + boundary
    return whole
