"""Refusals become answers by one table; bugs become a reference and nothing else."""

import json
from collections.abc import AsyncIterator
from typing import Any, ClassVar

from attrs import define, field
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core import refusals
from rrsd.core.refusals import ALL, Damaged, Malformed, TooMany, Unauthenticated, Unavailable, Unproven
from rrsd.core.values.calls import Event
from rrsd.web import bearer, bodies, streams
from rrsd.web.refusals import TABLE, Shape
from rrsd.web.router import Router, answer
from rrsd.web.trail import Notes
from tests.support.calling import World, get
from tests.web.browsing import Browser


@define(eq=False)
class Role:
    """Routes that refuse whatever they are told to refuse."""

    raised: Exception
    resource_metadata: str = ""
    routes: ClassVar[Router] = Router(reference=lambda: "r-1")

    @routes.route("/refuse")
    async def refuse(self, request: Any) -> bytes:
        """Refuse."""
        request.setHeader("ETag", '"of the content"')
        raise self.raised

    @routes.route("/fine", methods=["GET"])
    async def fine(self, request: Any) -> bytes:
        """Answer."""
        return answer(request, {"fine": True}, 201, no_store=True, Access_Control_Allow_Origin="*")

    @routes.route("/bearer")
    def bearer(self, request: Any) -> str:
        """Tell the token back."""
        return bearer.bearer_of(request)

    @routes.route("/object", methods=["POST"])
    def object(self, request: Any) -> bytes:
        """Tell the object back."""
        return answer(request, bodies.read_object(request, 64))

    @routes.route("/form", methods=["POST"])
    def form(self, request: Any) -> str:
        """Tell the grant type back."""
        return bodies.form_of(request).required("grant_type")

    @routes.route("/late")
    async def late(self, request: Any) -> None:
        """Break off in the middle."""
        request.setHeader("content-length", "100")
        await streams.send(request, self.breaking())

    @routes.route("/early")
    async def early(self, request: Any) -> None:
        """Refuse before the first byte."""
        await streams.send(request, self.refusing())

    async def breaking(self) -> AsyncIterator[bytes]:
        """One block, then the refusal."""
        yield b"begun"
        raise self.raised

    async def refusing(self) -> AsyncIterator[bytes]:
        """The refusal, then nothing."""
        if self.raised is not None:
            raise self.raised
        yield b""


@define(eq=False)
class Paper:
    """A trail in memory; with `trouble` it cannot be written."""

    trouble: Unavailable | None = None
    lines: list[Event] = field(factory=list)

    def record(self, event: Event) -> None:
        """Keep it."""
        if self.trouble is not None:
            raise self.trouble
        self.lines.append(event)


class Table(SynchronousTestCase):
    """The table of refusals over HTTP."""

    def test_total(self) -> None:
        """Every refusal has a row."""
        self.assertEqual(set(TABLE), set(ALL))

    def test_each_refusal_is_answered_by_its_row(self) -> None:
        """Status and OAuth error follow the table; the body says nothing else, the detail least of all."""
        for kind, shape in TABLE.items():
            page = Browser(Role(kind("hush-hush"))).get("/refuse")
            self.assertEqual(page.status, shape.status, kind)
            self.assertEqual(page.document, {"error": shape.error, "reason": kind.reason})
            self.assertEqual(page.header("cache-control"), "no-store")
            self.assertEqual(page.header("etag"), "")
            self.assertEqual(page.header("content-type"), "application/json")

    def test_challenge_without_credential(self) -> None:
        """S-01: without a token the challenge names the metadata and no error code."""
        page = Browser(Role(Unauthenticated(), "https://rs.foo.test/m")).get("/refuse")
        self.assertEqual(page.header("www-authenticate"), 'Bearer resource_metadata="https://rs.foo.test/m"')

    def test_challenge_with_bad_credential(self) -> None:
        """A token that proves nothing is answered with invalid_token."""
        page = Browser(Role(Unproven())).get("/refuse")
        self.assertEqual(page.header("www-authenticate"), 'Bearer error="invalid_token"')

    def test_retry_after(self) -> None:
        """T-12: too many and unavailable say when to come back."""
        page = Browser(Role(TooMany("", 7))).get("/refuse")
        self.assertEqual(page.header("retry-after"), "7")
        self.assertTrue(
            page.transport.value().startswith(b"HTTP/1.1 429 Too Many Requests\r\n"), page.transport.value()
        )
        self.assertEqual(Browser(Role(Unavailable("", 9))).get("/refuse").header("retry-after"), "9")

    def test_shapes_of_one_router(self) -> None:
        """A token endpoint gives some refusals another shape."""
        routes = Router({Unproven: Shape(400, "invalid_request")})

        @routes.route("/")
        def refuse(request: Any) -> bytes:
            raise Unproven

        page = Browser(routes).get("/")
        self.assertEqual((page.status, page.document["error"]), (400, "invalid_request"))


class Routing(SynchronousTestCase):
    """What else can go wrong on the way to a handler."""

    def setUp(self) -> None:
        self.browser = Browser(Role(Malformed()))

    def test_json_answer(self) -> None:
        """T-11: an answer is typed, sized, and not stored when it must not be."""
        page = self.browser.get("/fine")
        self.assertEqual((page.status, page.body), (201, b'{"fine":true}'))
        self.assertEqual(page.header("cache-control"), "no-store")
        self.assertEqual(page.header("access-control-allow-origin"), "*")
        self.assertEqual(page.header("content-length"), "13")

    def test_unknown_path_and_method(self) -> None:
        """Klein's own noes are JSON of the same form."""
        self.assertEqual(self.browser.get("/nowhere").document, {"error": "not_found", "reason": "unknown"})
        page = self.browser.send("DELETE", "/fine")
        self.assertEqual((page.status, page.header("allow")), (405, "GET, HEAD"))
        self.assertEqual(page.document["reason"], "unsupported")

    def test_bug_shows_a_reference_only(self) -> None:
        """S-21: what is not a refusal is a 500 with a reference; the text stays in the log."""
        page = Browser(Role(ValueError("hush-hush"))).get("/refuse")
        self.assertEqual(page.status, 500)
        self.assertEqual(page.document, {"error": "server_error", "reason": "fault", "reference": "r-1"})
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_bug_left_no_line(self) -> None:
        """One in the trail, under the reference that answer and log have; in the middle of a body too."""
        paper = Paper()
        for path, status in (("/refuse", 500), ("/late", 200)):
            page = Browser(Role(ValueError("hush-hush")), notes=Notes(paper)).get(path)
            self.assertEqual(page.status, status)
            self.assertEqual(
                paper.lines.pop(),
                Event("fault", "failed", peer="20.0.0.9", resource=f"GET {path}", evidence="reference r-1"),
            )
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 2)
        self.assertEqual(paper.lines, [])

    def test_bug_while_the_trail_is_full(self) -> None:
        """The log has it all the same, and the answer is no other."""
        page = Browser(Role(ValueError("hush-hush")), notes=Notes(Paper(Unavailable("full")))).get("/refuse")
        self.assertEqual((page.status, page.document["reference"]), (500, "r-1"))
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_path_tricks(self) -> None:
        """S-18: paths that somebody may read differently lead nowhere."""
        for path in (
            "/..%2ffine",
            "/%2e%2e/fine",
            "/./fine",
            "//fine",
            "/fine%00",
            "/fine%5c",
            "/%2566ine",
            "/a\\fine",
        ):
            self.assertEqual(self.browser.get(path).status, 404, path)

    def test_no_banner(self) -> None:
        """Nothing tells which software and version answers."""
        self.assertEqual(self.browser.get("/fine").header("server"), "")

    def test_refusal_after_the_head_aborts(self) -> None:
        """A body that cannot be completed never looks complete: the connection is cut."""
        page = Browser(Role(Damaged())).get("/late")
        self.assertEqual(page.status, 200)
        self.assertTrue(page.cut)

    def test_refusal_before_the_head_answers(self) -> None:
        """A body that cannot begin is an ordinary refusal."""
        self.assertEqual(Browser(Role(refusals.Withdrawn())).get("/early").status, 410)

    def test_bug_in_the_middle_is_logged(self) -> None:
        """A bug in the middle of a body cuts the connection and is logged."""
        page = Browser(Role(ValueError())).get("/late")
        self.assertTrue(page.cut)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)


class Credentials(SynchronousTestCase):
    """Tokens, forms and objects are read in one way only."""

    def setUp(self) -> None:
        self.browser = Browser(Role(Malformed()))

    def test_one_token(self) -> None:
        """S-03: the scheme is read without case; two tokens are refused."""
        self.assertEqual(self.browser.send("GET", "/bearer", ("Authorization: bEaReR abc",)).body, b"abc")
        two = self.browser.send("GET", "/bearer", ("Authorization: Bearer a", "Authorization: Bearer b"))
        self.assertEqual(two.status, 400)
        self.assertEqual(self.browser.get("/bearer").status, 401)

    def test_object(self) -> None:
        """An object is read when it says that it is JSON and is small and strict."""
        self.assertEqual(self.post("/object", "application/json; charset=utf-8", b'{"a":1}').document, {"a": 1})
        self.assertEqual(self.post("/object", "text/plain", b'{"a":1}').status, 415)
        self.assertEqual(self.post("/object", "application/json", b'{"a":1,"a":2}').status, 400)
        self.assertEqual(self.post("/object", "application/json", b" " * 65).status, 413)

    def test_form(self) -> None:
        """T-02, T-03: parameters come in a form body, never in the query or another media type."""
        form = "application/x-www-form-urlencoded"
        self.assertEqual(self.post("/form", form, b"grant_type=x").body, b"x")
        self.assertEqual(self.post("/form?grant_type=x", form, b"grant_type=x").status, 400)
        self.assertEqual(self.post("/form", "application/json", b"{}").status, 415)
        self.assertEqual(self.post("/form", "multipart/form-data; boundary=x", b"--x--").status, 415)

    def post(self, path: str, kind: str, body: bytes) -> Any:
        """What the browser gets."""
        return self.browser.send("POST", path, (f"Content-Type: {kind}",), body)


class Events(SynchronousTestCase):
    """Server-sent events."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.streams: list[streams.EventStream] = []
        routes = Router()

        @routes.route("/events")
        async def events(request: Any) -> None:
            self.streams.append(streams.EventStream(request, self.clock, most=4))
            await self.streams[-1].run()

        self.browser = Browser(routes)

    def test_events_and_heartbeat(self) -> None:
        """Events come as they happen, a comment when nothing does, and the stream ends when told."""
        page = self.browser.get("/events")
        self.assertEqual(page.header("content-type"), "text/event-stream")
        self.streams[0].push("progress\n", {"done": 1})
        self.clock.advance(15)
        self.streams[0].close()
        page.refresh()
        self.assertIn(b'event: progress\ndata: {"done":1}\n\n', page.body)
        self.assertEqual(page.body.count(b": \n\n"), 2)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_client_leaves(self) -> None:
        """A client who leaves leaves nothing behind."""
        page = self.browser.get("/events")
        page.leave()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.streams[0].push("late", {})

    def test_slow_client(self) -> None:
        """A client who does not read is cut off when too much waits for it."""
        page = self.browser.get("/events")
        page.transport.producer.pauseProducing()
        for number in range(6):
            self.streams[0].push("event", {"number": number})
        self.assertTrue(page.cut)


class OverTls(SynchronousTestCase):
    """The same through the whole stack."""

    def test_body_stops_short(self) -> None:
        """The caller of a body that breaks off learns that it is not whole."""
        world = World()
        foo = world.internet.host("foo.test", "20.0.0.1")
        world.serve(foo, Role(Damaged()).routes)
        caller = world.outbound(world.internet.host("bar.test", "20.0.0.2"))
        self.failureResultOf(world.internet.run(caller.ask(get("foo.test", "/late"))), Unavailable)
        self.assertEqual(json.loads(_body(self, world, caller)), {"fine": True})


def _body(case: SynchronousTestCase, world: World, caller: Any) -> bytes:
    body: bytes = case.successResultOf(world.internet.run(caller.ask(get("foo.test", "/fine")))).body
    return body
