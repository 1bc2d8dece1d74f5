"""The user's API: statuses, headers, documents."""

from datetime import timedelta
from typing import Any, cast

from attrs import define, evolve, field
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Expired, Malformed
from rrsd.core.values.digests import digest_of
from rrsd.core.values.messages import Arrival
from rrsd.core.values.peers import Certificate
from rrsd.core.values.tokens import VerifiedAccess
from rrsd.core.wire.fields import etag, render_repr_digest
from rrsd.roles.rra.api import MailboxPages
from rrsd.roles.rra.mailbox import Posting
from rrsd.runtime.timers import Timers
from tests.roles.rra.mailboxes import (
    BOB,
    CAROL,
    DAY,
    FILM,
    NOTE,
    RAW,
    File,
    Gateway,
    Paper,
    Sessions,
    Transfer,
    World,
    message,
)
from tests.roles.rra.peers import Trail
from tests.roles.rra.test_mailbox import ACCESS
from tests.support.callers import Caller, Response

PART = "/api/messages/m1/parts/0"


@define(eq=False)
class Site:
    """The API on a world, and one connection of Bob's client to it."""

    world: World = field(factory=World)
    gateway: Gateway = field(factory=Gateway)
    paper: Paper = field(factory=Paper)
    sessions: Sessions = field(init=False)
    trail: Trail = field(factory=Trail)
    caller: Caller = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.world.clock.advance(DAY.timestamp())
        live = evolve(ACCESS, expires=DAY + timedelta(minutes=10))
        self.sessions = Sessions({"bob": live, "old": Expired("access token")})
        self.caller = Caller(self.pages.routes)

    @property
    def pages(self) -> MailboxPages:
        return MailboxPages(
            trust=self.sessions,
            reader=self.world.reader,
            posting=Posting(self.gateway),
            feed=self.paper,
            timers=Timers(self.world.clock),
            clock=self.world.clock,
            document={"openapi": "3.1.1"},
            most_message=len(RAW),
            audit=self.trail,
            resource_metadata="https://bar.test/.well-known/oauth-protected-resource",
        )

    def ask(self, method: str, target: str, body: bytes = b"", **headers: str) -> Response:
        """Bob's client asks."""
        return self.caller.ask(method, target, body, **{"Authorization": "Bearer bob", **headers})


class Case(SynchronousTestCase):
    """An API on a world where nothing has arrived."""

    def setUp(self) -> None:
        """One message, nothing arrived."""
        self.site = Site()
        self.ask = self.site.ask


class Access(Case):
    """Who may use it."""

    def test_no_token(self) -> None:
        """Every route but the description wants a token, and says where tokens come from."""
        for target in ("/api/messages", "/api/messages/m1", "/api/messages/m1/raw", PART, "/api/events"):
            reply = self.site.caller.ask("GET", target)
            self.assertEqual(reply.status, 401)
            self.assertIn("resource_metadata=", reply.headers["www-authenticate"])
        self.assertEqual(self.site.caller.ask("POST", "/api/messages", RAW).status, 401)
        self.assertEqual(self.site.caller.ask("GET", "/api/openapi.json").json(), {"openapi": "3.1.1"})

    def test_refused_tokens(self) -> None:
        """An expired token and one for another purpose open nothing."""
        self.assertEqual(self.ask("GET", "/api/messages", Authorization="Bearer old").status, 401)
        self.grant(evolve(ACCESS, scope=frozenset({"rrs"})))
        self.assertEqual(self.ask("GET", "/api/messages").status, 403)

    def test_what_is_no_token_is_an_invalid_token(self) -> None:
        """A bearer that cannot be read gets the challenge of one that proves nothing."""
        self.site.sessions = Sessions({"bob": Malformed("not a JWS")})
        self.site.caller = Caller(self.site.pages.routes)
        reply = self.ask("GET", "/api/messages")
        self.assertEqual((reply.status, reply.json()["error"]), (401, "invalid_token"))

    def test_every_refusal_leaves_a_line(self) -> None:
        """Whoever is refused at the mailbox is in the audit trail, with the reason and without a token."""
        self.site.caller.ask("GET", "/api/messages")
        self.ask("GET", "/api/messages/nothing")
        lines = [(each.what, each.outcome, each.refusal) for each in self.site.trail.events]
        self.assertEqual(lines, [("read", "refused", "unauthenticated"), ("read", "refused", "unknown")])

    def test_stolen_bound_token(self) -> None:
        """A bound token works over the connection that it is bound to, and over no other (RFC 8705)."""
        bound = Certificate(digest_of(b"certificate"), digest_of(b"key"), b"", None, DAY, DAY)
        self.grant(evolve(ACCESS, confirmation=bound.x5t))
        self.assertEqual(self.ask("GET", "/api/messages").status, 401)
        self.site.caller = Caller(self.site.pages.routes, bound)
        self.assertEqual(self.ask("GET", "/api/messages").status, 200)

    def grant(self, access: VerifiedAccess) -> None:
        """Bob's token is this one from now on."""
        self.site.sessions.known["bob"] = access


class Messages(Case):
    """Lists and single messages."""

    def test_list(self) -> None:
        """Messages with their parts, without a page after the last."""
        reply = self.ask("GET", "/api/messages")
        self.assertEqual((reply.status, reply.headers["cache-control"]), (200, "no-store"))
        found = reply.json()
        self.assertIsNone(found["next"])
        shown = found["messages"][0]
        self.assertEqual((shown["message"], shown["sender"], shown["subject"]), ("m1", "alice@foo.test", "Holiday"))
        self.assertEqual(
            shown["parts"][0],
            {
                "index": 0, "digest": digest_of(FILM).b64, "size": len(FILM), "media_type": "video/mp4",
                "filename": "film.mp4", "arrival": "waiting", "done": 0, "explanation": "",
            },
        )  # fmt: skip

    def test_pages(self) -> None:
        """`next` leads to the page after."""
        older = evolve(message(Arrival.WAITING, Arrival.WAITING, name="m0"), received=DAY - timedelta(days=1))
        self.site.world.box.kept.append(older)
        first = self.ask("GET", "/api/messages?most=1").json()
        second = self.ask("GET", f"/api/messages?most=1&before={first['next']}").json()
        self.assertEqual([page["messages"][0]["message"] for page in (first, second)], ["m1", "m0"])

    def test_bad_pages(self) -> None:
        """Numbers and moments that are none are refused."""
        for query in ("most=0", "most=501", "most=x", "most=", "before=now", "before=2026-01-01", "most=%D9%A3"):
            self.assertEqual(self.ask("GET", f"/api/messages?{query}").status, 400, query)

    def test_one(self) -> None:
        """One message; those of others are not there."""
        self.assertEqual(self.ask("GET", "/api/messages/m1").json()["message_id"], "1@foo.test")
        self.site.world.box.kept.append(message(Arrival.STORED, Arrival.STORED, recipient=CAROL, name="m2"))
        for target in (
            "/api/messages/m2",
            "/api/messages/m2/raw",
            "/api/messages/m2/parts/0",
            "/api/messages/m1/parts/7",
        ):
            self.assertEqual(self.ask("GET", target).status, 404)
        self.assertEqual(self.ask("GET", "/api/messages/m1/parts/-1").status, 404)
        self.assertEqual(self.ask("DELETE", "/api/messages/m1").status, 405)

    def test_post(self) -> None:
        """A message goes into one's own mailbox, or where its author may send it."""
        reply = self.ask("POST", "/api/messages", RAW, Content_Type="message/rfc822")
        self.assertEqual((reply.status, reply.json()["messages"][0]["recipient"]), (201, "bob@bar.test"))
        self.assertEqual(self.site.gateway.taken, [(RAW, (BOB,))])
        self.ask("POST", "/api/messages?recipient=carol@bar.test", RAW, Content_Type="message/rfc822")
        self.assertEqual(self.site.gateway.authors, [BOB, BOB], "who brings it is known where it is judged")

    def test_bad_post(self) -> None:
        """Another media type, an address that is none, and too much are refused."""
        self.assertEqual(self.ask("POST", "/api/messages", RAW, Content_Type="text/plain").status, 415)
        self.assertEqual(self.ask("POST", "/api/messages", RAW).status, 415)
        self.assertEqual(self.ask("POST", "/api/messages", RAW + b"x", Content_Type="message/rfc822").status, 413)
        bad = self.ask("POST", "/api/messages?recipient=x", RAW, Content_Type="message/rfc822")
        self.assertEqual(bad.status, 400)


class Parts(Case):
    """The bytes of attachments."""

    def test_stored(self) -> None:
        """All bytes, with everything that a careful client needs and a browser cannot misunderstand."""
        self.site.world.arrive(0)
        reply = self.ask("GET", PART)
        self.assertEqual((reply.status, reply.body), (200, FILM))
        expected = {
            "content-length": str(len(FILM)),
            "content-type": "video/mp4",
            "content-disposition": 'attachment; filename="film.mp4"',
            "etag": etag(digest_of(FILM)),
            "repr-digest": render_repr_digest(digest_of(FILM)),
            "accept-ranges": "bytes",
            "cache-control": "private, no-transform",
            "x-content-type-options": "nosniff",
            "content-security-policy": "sandbox; default-src 'none'",
        }
        self.assertEqual({name: reply.headers.get(name) for name in expected}, expected)

    def test_head(self) -> None:
        """The head is the same, without bytes."""
        self.site.world.arrive(0)
        reply = self.ask("HEAD", PART)
        self.assertEqual((reply.status, reply.headers["content-length"], reply.body), (200, str(len(FILM)), b""))

    def test_range(self) -> None:
        """A range is 206, one outside 416, an unchanged part 304."""
        self.site.world.arrive(0)
        reply = self.ask("GET", PART, Range="bytes=5-9")
        self.assertEqual((reply.status, reply.body), (206, FILM[5:10]))
        self.assertEqual(reply.headers["content-range"], f"bytes 5-9/{len(FILM)}")
        self.assertEqual(self.ask("GET", PART, Range=f"bytes={len(FILM)}-").status, 416)
        self.assertEqual(self.ask("GET", PART, If_None_Match=etag(digest_of(FILM))).status, 304)

    def test_unnamed(self) -> None:
        """A part without a name gets one."""
        self.site.world.arrive(1)
        reply = self.ask("GET", "/api/messages/m1/parts/1")
        self.assertEqual((reply.body, reply.headers["content-disposition"]), (NOTE, 'attachment; filename="part-1"'))

    def test_not_arrived(self) -> None:
        """202 says how far it is, after as long a wait as the client prefers."""
        reply = self.ask("GET", PART, Prefer="wait=7")
        self.assertEqual((reply.status, reply.json()["arrival"]), (202, "waiting"))
        self.assertEqual(reply.headers["retry-after"], "1")
        self.assertEqual(self.site.world.clock.seconds(), DAY.timestamp() + 7)
        self.assertEqual(self.site.world.pulls.hurried, [(1, "bob")])
        self.assertEqual(self.ask("HEAD", PART).status, 202)

    def test_never(self) -> None:
        """410 says that it will not arrive."""
        self.site.world.box.arrive(0, Arrival.FAILED)
        self.assertEqual(self.ask("GET", PART).status, 410)

    def test_arriving(self) -> None:
        """Bytes are sent as they arrive, without a promise that only the whole can keep."""
        transfer = self.site.world.pulls.transfers[1] = Transfer(partial=File(FILM[:1000]))
        reply = self.ask("GET", PART)
        self.assertEqual((reply.status, reply.body), (200, FILM[:1000]))
        self.assertEqual(reply.headers["content-length"], str(len(FILM)))
        self.assertFalse({"etag", "accept-ranges", "repr-digest"} & reply.headers.keys())
        self.site.world.arrive(0)
        transfer.grow(FILM[1000:])
        self.assertTrue(self.site.caller.transport.value().endswith(FILM))

    def test_wrong_bytes_are_cut_off(self) -> None:
        """A transfer that fails ends the connection before the announced length."""
        transfer = self.site.world.pulls.transfers[1] = Transfer(partial=File(FILM[:1000]))
        self.ask("GET", PART)
        self.site.world.stop(0)
        transfer.end(stored=False)
        self.assertTrue(self.site.caller.transport.disconnecting)
        self.assertTrue(self.site.caller.transport.value().endswith(FILM[:1000]))
        # The transport in memory minds that the request is finished after its connection was aborted.
        self.flushLoggedErrors(RuntimeError)


class Raw(Case):
    """The complete message."""

    def test_complete(self) -> None:
        """It comes as a file, as long as announced."""
        self.site.world.arrive(0)
        self.site.world.arrive(1)
        reply = self.ask("GET", "/api/messages/m1/raw")
        self.assertEqual((reply.status, reply.headers["content-type"]), (200, "message/rfc822"))
        self.assertEqual(reply.headers["content-length"], str(len(reply.body)))
        self.assertEqual(reply.headers["content-disposition"], 'attachment; filename="m1.eml"')
        self.assertTrue(reply.body.endswith(b"--b1--\r\n"))
        head = self.ask("HEAD", "/api/messages/m1/raw")
        self.assertEqual((head.headers["content-length"], head.body), (reply.headers["content-length"], b""))

    def test_incomplete(self) -> None:
        """503 while a part is missing."""
        reply = self.ask("GET", "/api/messages/m1/raw")
        self.assertEqual((reply.status, reply.json()["reason"]), (503, "unavailable"))
        self.assertIn("retry-after", reply.headers)


class Events(Case):
    """News as they happen."""

    def test_news(self) -> None:
        """News of the user's own pulls are sent until the client leaves."""
        self.site.paper.printed.append({"state": "arriving"})
        reply = self.ask("GET", "/api/events")
        self.assertEqual((reply.status, reply.headers["content-type"]), (200, "text/event-stream"))
        self.assertIn(b'event: progress\ndata: {"to":"bob@bar.test","state":"arriving"}\n\n', reply.body)
        self.assertEqual(self.site.paper.readers, 1)
        cast(Any, self.site.caller)._channel.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.site.paper.readers, 0)

    def test_ends_with_the_token(self) -> None:
        """Nobody listens longer than their token lives."""
        self.ask("GET", "/api/events")
        self.site.world.clock.advance(599)
        self.assertEqual(self.site.paper.readers, 1)
        self.site.world.clock.advance(1)
        self.assertEqual(self.site.paper.readers, 0)
        self.assertTrue(self.site.caller.transport.value().endswith(b"0\r\n\r\n"))
