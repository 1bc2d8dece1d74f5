"""The small pieces that plug the roles together."""

import os
import shutil
import socket
import tempfile
import time
from collections.abc import Mapping
from typing import Any, cast

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.epollreactor import EPollReactor
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource

from rrsd.app.audit import Audit
from rrsd.app.effects import go_forward
from rrsd.app.notify import notify
from rrsd.app.token_endpoint import INTROSPECTION_JWT, Revoke, TokenEndpoint
from rrsd.app.urls import Mount, Switchboard, switchboard
from rrsd.core.refusals import Unavailable
from rrsd.core.values.calls import Event
from rrsd.core.values.digests import digest_of
from rrsd.core.values.instants import instant
from rrsd.core.values.jobs import Counts
from rrsd.core.values.peers import Certificate
from rrsd.core.wire.oauth import Form
from rrsd.roles.admin.meters import Meters
from tests.support.callers import Caller, Response

FORM = "application/x-www-form-urlencoded"


class Plate(Resource):
    """Says its own name."""

    isLeaf = True  # noqa: N815 (Twisted's name)

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def render(self, request: object) -> bytes:
        """The name."""
        return self._name.encode()


@define(eq=False)
class _Board:
    """A switchboard where a caller expects routes."""

    board: Switchboard

    def resource(self) -> Switchboard:
        return self.board


class Urls(SynchronousTestCase):
    """Which role answers at which path."""

    def ask(self, board: Switchboard, path: str) -> Response:
        """The answer at the path."""
        routes: Any = _Board(board)
        return Caller(routes).ask("GET", path)

    def test_the_longest_prefix_answers_and_ends_with_a_segment(self) -> None:
        """/rrs is not /rrsx, and the exact path is its own."""
        board = switchboard(
            (Mount(Plate("rrs"), ("/rrs", "/.well-known/")), Mount(Plate("receipts"), ("/rrs/receipts",)))
        )
        self.assertEqual(board.prefixes[-1], "/rrs")
        for path, name in (
            ("/rrs", "rrs"), ("/rrs/x", "rrs"), ("/rrs/receipts", "receipts"), ("/rrs/receipts/1", "receipts"),
            ("/rrs/receiptsx", "rrs"), ("/.well-known/webfinger", "rrs"), ("/rrs?x=1", "rrs"),
        ):  # fmt: skip
            self.assertEqual(self.ask(board, path).body.decode(), name, path)
        for path in ("/", "/rrsx", "/RRS", "//rrs", "/.well-known", "/%72rs"):
            response = self.ask(board, path)
            self.assertEqual((response.status, response.json()["reason"]), (404, "unknown"), path)

    def test_two_roles_never_claim_one_path(self) -> None:
        """That is a defect of ours, and found at the start."""
        with self.assertRaisesRegex(ValueError, "/rrs"):
            switchboard((Mount(Plate("a"), ("/rrs",)), Mount(Plate("b"), ("/rrs",))))


@define(eq=False)
class Paper:
    """A trail that may be full."""

    lines: list[Mapping[str, Any]] = field(factory=list)
    full: bool = False

    def record(self, event: Mapping[str, Any]) -> None:
        """Keep it."""
        if self.full:
            raise OSError(28, "No space left on device")
        self.lines.append(event)


@define(eq=False)
class Counting:
    """Refusals, counted by address."""

    audit: Audit
    failed: list[str] = field(factory=list)

    def count_failure(self, peer: str) -> None:
        """One more."""
        self.failed.append(peer)


class Tokens(SynchronousTestCase):
    """One token endpoint for the grants of two roles."""

    def setUp(self) -> None:
        """One grant."""
        self.asked: list[tuple[Form, Certificate | None, str]] = []

        async def grant(form: Form, certificate: Certificate | None, address: str) -> dict[str, Any]:
            self.asked.append((form, certificate, address))
            return {"access_token": "t"}

        self.trail = Paper()

        async def introspect(
            form: Form, certificate: Certificate | None, peer: str, *, signed: bool
        ) -> dict[str, Any] | str:
            return "h.c.s" if signed else {"active": False}

        def revoke(role: str) -> Revoke:
            async def note(form: Form, certificate: Certificate | None, address: str) -> None:
                self.revoked.append(role)

            return note

        self.revoked: list[str] = []
        self.endpoint = TokenEndpoint(
            {"password": grant},
            Counting(Audit(self.trail, Meters())),
            introspect,
            revoke("sts"),
            {"rrsctl": revoke("idp")},
        )
        self.caller = Caller(self.endpoint.routes)

    def post(self, body: bytes, content_type: str = FORM) -> Response:
        """The answer to a form."""
        return self.caller.ask("POST", "/token", body, Content_Type=content_type)

    def test_revocation_by_client(self) -> None:
        """The provider's own clients are its own business, all others are the token service's."""
        for name in ("rrsctl", "_rra.bar.test", ""):
            response = self.caller.ask("POST", "/revoke", f"token=t&client_id={name}".encode(), Content_Type=FORM)
            self.assertEqual((response.status, response.json()), (200, {}))
            self.assertEqual(response.headers["cache-control"], "no-store")
        self.assertEqual(self.revoked, ["idp", "sts", "sts"])

    def test_introspection_by_accept(self) -> None:
        """JSON, or a JWT where that is what is accepted (RFC 9701 4)."""
        for accept, kind, body in (
            ("", "application/json", b'{"active":false}'),
            ("*/*", "application/json", b'{"active":false}'),
            (INTROSPECTION_JWT, INTROSPECTION_JWT, b"h.c.s"),
            (f"{INTROSPECTION_JWT.upper()}; q=1", INTROSPECTION_JWT, b"h.c.s"),
        ):
            response = self.caller.ask("POST", "/introspect", b"token=t", Content_Type=FORM, Accept=accept)
            self.assertEqual((response.status, response.headers["content-type"], response.body), (200, kind, body))
            self.assertEqual(response.headers["cache-control"], "no-store")

    def test_the_grants_role_answers(self) -> None:
        """With the form, the certificate and the address; the answer is never stored."""
        response = self.post(b"grant_type=password&x=1")
        self.assertEqual((response.status, response.json()), (200, {"access_token": "t"}))
        self.assertEqual(response.headers["cache-control"], "no-store")
        self.assertEqual(self.asked[0][1:], (None, "192.0.2.1"))

    def test_what_nobody_offers(self) -> None:
        """unsupported_grant_type; without a grant type, without a form, and in the query: invalid_request."""
        self.assertEqual(self.post(b"grant_type=implicit").json()["error"], "unsupported_grant_type")
        for response in (self.post(b""), self.post(b"{}", "application/json")):
            self.assertIn(response.status, (400, 415))
        self.assertEqual(self.caller.ask("POST", "/token?grant_type=password", b"", Content_Type=FORM).status, 400)
        self.assertEqual(self.caller.ask("GET", "/token").status, 405)
        self.assertEqual(self.asked, [])
        self.assertEqual(self.trail.lines[0]["refusal"], "unsupported_grant")

    def test_a_clients_password_is_not_taken(self) -> None:
        """401 without a certificate, and with one they are two ways at once (RFC 6749 2.3)."""
        now = instant(1_800_000_000)
        certificate = Certificate(digest_of(b"x5t"), digest_of(b"spki"), b"", None, now, now)
        for client, status in ((None, 401), (certificate, 400)):
            caller = Caller(self.endpoint.routes, client)
            fields = {"Content_Type": FORM, "Authorization": "Basic eDp5"}
            self.assertEqual(caller.ask("POST", "/token", b"grant_type=password", **fields).status, status)
        self.assertEqual(self.asked, [])


class Trails(SynchronousTestCase):
    """Every decision is written down and counted."""

    EVENT = Event("retrieve", "granted", who="_rra.bar.test", claims={"jti": "1"})

    def test_a_line(self) -> None:
        """What is empty is left out; claims are kept only where that was asked for."""
        for claims in (False, True):
            paper = Paper()
            Audit(paper, Meters(), claims).record(self.EVENT)
            expected: dict[str, Any] = {"what": "retrieve", "outcome": "granted", "who": "_rra.bar.test"}
            self.assertEqual(paper.lines, [{**expected, "claims": {"jti": "1"}} if claims else expected])

    def test_z08_what_cannot_be_written_is_not_decided(self) -> None:
        """Unavailable, and not counted as a decision."""
        meters = Meters()
        with self.assertRaisesRegex(Unavailable, "No space left"):
            Audit(Paper(full=True), meters).record(self.EVENT)
        self.assertNotIn(b"retrieve", meters.text(Counts()))

    def test_z08_trouble_is_told_and_ends_by_itself(self) -> None:
        """The log says it once, `/ready` says it while it lasts and tries again."""
        said: list[str] = []
        observer = cast(ILogObserver, lambda event: said.append(formatEvent(event)))
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        paper = Paper(full=True)
        audit = Audit(paper, Meters())
        self.successResultOf(Deferred.fromCoroutine(audit.check()))
        for _ in range(2):
            self.assertRaises(Unavailable, audit.record, self.EVENT)
            self.failureResultOf(Deferred.fromCoroutine(audit.check()), Unavailable)
        paper.full = False
        self.successResultOf(Deferred.fromCoroutine(audit.check()))
        self.assertEqual([line["what"] for line in paper.lines], ["probe"])
        self.assertEqual([line.partition(";")[0] for line in said if line.startswith("audit trail")],
                         ["audit trail: No space left on device", "audit trail: it works again"])  # fmt: skip


class Notifications(SynchronousTestCase):
    """The service manager hears of it."""

    def setUp(self) -> None:
        """A manager that listens."""
        folder = tempfile.mkdtemp(prefix="rrsd")
        self.addCleanup(shutil.rmtree, folder)
        self.place = f"{folder}/notify"
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.manager.close)
        self.manager.settimeout(1)
        before = os.environ.get("NOTIFY_SOCKET")
        self.addCleanup(self.at, before)

    def at(self, place: str | None) -> None:
        """Where the manager listens."""
        os.environ.pop("NOTIFY_SOCKET", None)
        if place is not None:
            os.environ["NOTIFY_SOCKET"] = place

    def test_ready(self) -> None:
        """One datagram, by path or by abstract name."""
        abstract = f"rrsd-test-{os.getpid()}"
        for place, address in ((self.place, self.place), (f"@{abstract}", f"\0{abstract}")):
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
                manager.settimeout(1)
                manager.bind(address)
                self.at(place)
                self.assertTrue(notify("READY=1"))
                self.assertEqual(manager.recv(100), b"READY=1")

    def test_nobody_listens(self) -> None:
        """No manager, or one that went away, is no error."""
        self.at(None)
        self.assertFalse(notify("READY=1"))
        self.at(self.place)
        self.assertFalse(notify("READY=1"))


class Waits(SynchronousTestCase):
    """By which clock the reactor waits."""

    def test_r10_a_clock_that_is_set_stops_no_loop(self) -> None:
        """What is to happen in a minute happens a minute later by a clock that nobody sets."""
        reactor = EPollReactor()
        self.addCleanup(reactor.disconnectAll)
        go_forward(reactor)
        before = time.monotonic()
        call = reactor.callLater(60, self.fail)
        self.assertTrue(before + 60 <= call.getTime() <= time.monotonic() + 60)
        call.cancel()

    def test_what_waits_already_is_left_alone(self) -> None:
        """A clock that changes under a call would put it off by years; a clock of tests stays one."""
        reactor, clock = EPollReactor(), Clock()
        self.addCleanup(reactor.disconnectAll)
        call = reactor.callLater(60, self.fail)
        go_forward(reactor)
        go_forward(clock)
        self.assertLessEqual(call.getTime() - reactor.seconds(), 60)
        self.assertEqual(clock.seconds(), 0)
        call.cancel()
