"""Z-08, Z-11: every decision leaves one line, no line holds a credential, and without lines nothing is decided."""

import errno
from collections.abc import Mapping
from typing import Any

from rrsd.core.refusals import Unavailable
from rrsd.core.values.digests import digest_of
from rrsd.core.wire.fields import ni_path
from rrsd.runtime.logs import HIDDEN, rendered
from tests.support.attackers import AttackCase, Response
from tests.support.forgery import access, delegation, exchange_form, impersonation, receipt
from tests.support.world import MemoryDomain


class Lost(AttackCase):
    """Requests that reach no flow used to leave nothing."""

    def require_line(self, domain: MemoryDomain, what: str, reason: str, response: Response | None = None) -> None:
        """Exactly one line, of that decision, with that reason."""
        lines = [(line["what"], line["outcome"], line.get("refusal")) for line in domain.trail.lines]
        self.assertEqual(lines, [(what, "refused", reason)], response)
        domain.trail.lines.clear()

    def test_names_that_are_no_digests(self) -> None:
        """A path that can be no resource."""
        line = self.agent_line(self.foo)
        for path, what in (("/.well-known/ni/sha-256/x", "retrieve"), ("/rrs/chunks/sha-256/x", "query")):
            self.assertEqual(line.ask("GET", path).status, 404)
            self.require_line(self.foo, what, "unknown")

    def test_receipts_of_another_type(self) -> None:
        """Not application/jose."""
        response = self.agent_line(self.foo).ask("POST", "/rrs/receipts", b"{}", Content_Type="application/json")
        self.assertEqual(response.status, 415)
        self.require_line(self.foo, "acknowledge", "unsupported")

    def test_bodies_that_cannot_be_read(self) -> None:
        """Of our own users' programs."""
        token = access(self.foo, "alice@foo.test").text()
        given = {"Authorization": f"Bearer {token}", "Content_Type": "application/json"}
        for method, path, what in (
            ("POST", "/api/uploads", "upload"),
            ("PATCH", "/api/uploads/1", "upload"),
            ("POST", "/api/outgoing", "send"),
        ):
            self.assertEqual(self.line(self.foo).ask(method, path, b"nonsense", **given).status, 400)
            self.require_line(self.foo, what, "malformed")
        mail = {**given, "Content_Type": "text/plain"}
        self.assertEqual(self.line(self.foo).ask("POST", "/api/messages", b"x", **mail).status, 415)
        self.require_line(self.foo, "accept", "unsupported")

    def test_s18_requests_with_two_readings(self) -> None:
        """Path tricks and two hosts are turned away by the site itself."""
        line = self.line(self.foo)
        for path in ("/a/../token", "/%2e%2e/token", "/a%2fb", "//token", "/token%00"):
            self.assertEqual(line.ask("GET", path).status, 404)
            self.require_line(self.foo, "request", "unknown")
        line.send(b"GET /token HTTP/1.1\r\nHost: foo.test\r\nHost: bar.test\r\n\r\n")
        self.assertEqual(line.response().status, 400)
        self.require_line(self.foo, "request", "malformed")

    def test_bodies_beyond_every_limit(self) -> None:
        """Refused in the middle of the request."""
        line = self.line(self.foo)
        line.send(b"POST /token HTTP/1.1\r\nHost: foo.test\r\nContent-Length: 99999999999\r\n\r\n")
        self.assertEqual(line.response().status, 413)
        self.require_line(self.foo, "request", "too_large")

    def test_what_goes_back_to_the_client(self) -> None:
        """An authorization request that is answered with an error is refused, however politely."""
        query = "client_id=rrsctl&redirect_uri=http%3A%2F%2F127.0.0.1%3A49152%2Fcallback&response_type=token"
        self.assertEqual(self.line(self.foo).ask("GET", f"/authorize?{query}").status, 303)
        self.require_line(self.foo, "authorize", "malformed")

    def test_reading_the_mailbox(self) -> None:
        """Who read what."""
        token = access(self.bar).text()
        for path, status, outcome in (("/api/messages", 200, "granted"), ("/api/messages/none", 404, "refused")):
            response = self.line(self.bar).ask("GET", path, Authorization=f"Bearer {token}")
            self.assertEqual(response.status, status)
            (line,) = self.bar.trail.lines
            self.assertEqual((line["what"], line["outcome"], line["resource"]), ("read", outcome, f"GET {path}"))
            self.bar.trail.lines.clear()

    def test_an_exchange_that_is_refused(self) -> None:
        """The agent's own side: for whom, where, and what the token service said."""
        registry = self.bar.whole.people.registry
        registry.own_name = "_nobody.bar.test"
        self.bar.deliver(self.foo.send(["bob@bar.test"], {"film": self.DATA}), "bob@bar.test")
        self.world.advance(1)
        (line,) = self.bar.trail.of("exchange")
        self.assertEqual((line["outcome"], line["refusal"]), ("refused", "forbidden"))
        self.assertEqual((line["subject"], line["resource"]), ("bob@bar.test", "https://foo.test"))
        self.assertIn("401 invalid_client", line["evidence"])


class Down(AttackCase):
    """Z-08: the trail cannot be written."""

    def setUp(self) -> None:
        """Every line of both domains is lost from now on."""
        super().setUp()
        for domain in (self.foo, self.bar):
            domain.trail.broken = OSError(errno.ENOSPC, "no space left on device")

    def require_nothing(self, response: Response) -> None:
        """503, and not a byte or token of what was asked for."""
        self.assertEqual((response.status, response.json()["reason"]), (503, "unavailable"))
        self.assertEqual(set(response.json()), {"error", "reason"})
        self.assertIn("retry-after", response.headers)

    def test_no_resource(self) -> None:
        """Neither the bytes, nor their chunks, nor a receipt."""
        bearer = f"Bearer {delegation(self.bar, self.foo).text()}"
        line = self.agent_line(self.foo)
        for target in (self.target, f"/rrs/chunks/sha-256/{self.digest.b64}"):
            self.require_nothing(line.ask("GET", target, Authorization=bearer))
        body = receipt(self.bar, self.foo, self.DATA).text().encode()
        jose = "application/jose"
        self.require_nothing(line.ask("POST", "/rrs/receipts", body, Content_Type=jose, Authorization=bearer))

    def test_no_refusal_either(self) -> None:
        """What would have been refused says that it cannot be decided, and nothing else."""
        self.require_nothing(self.agent_line(self.foo).ask("GET", self.target))
        self.require_nothing(self.line(self.bar).ask("GET", "/api/messages"))
        self.require_nothing(self.line(self.foo).ask("GET", "/%2e%2e/"))
        missing = ni_path(digest_of(b"nothing"))
        token = delegation(self.bar, self.foo).text()
        self.require_nothing(self.agent_line(self.foo).ask("GET", missing, Authorization=f"Bearer {token}"))

    def test_no_token(self) -> None:
        """The token service signs nothing that is not on record; the assertion is used up all the same."""
        form = exchange_form(self.bar, self.foo, impersonation(self.bar).text())
        self.require_nothing(self.exchange(form))
        self.bar.trail.broken = None
        response = self.exchange(form)
        self.assertEqual((response.status, response.json()["reason"]), (400, "malformed"))

    def test_no_login_and_no_refresh(self) -> None:
        """The provider neither."""
        form = {"grant_type": "refresh_token", "client_id": "rrsctl", "refresh_token": "x" * 22}
        self.require_nothing(self.line(self.bar).form("/token", form))
        self.require_nothing(self.line(self.bar).form("/revoke", {"client_id": "rrsctl", "token": "x" * 22}))

    def test_no_new_user(self) -> None:
        """An administrator changes nothing that is not on record."""
        members = self.foo.whole.people.administration
        for change in (
            members.add(self.foo.address("eve"), "correct horse battery"),
            members.suspend(self.foo.address("alice")),
            members.remove(self.foo.address("alice")),
        ):
            with self.assertRaises(Unavailable):
                self.world.result(change)
        users = self.world.result(self.foo.store.users.all())
        self.assertEqual([(str(user.address), user.suspended) for user in users], [("alice@foo.test", False)])

    def test_no_pull(self) -> None:
        """The agent asks for nothing, and goes on when the trail is back."""
        for domain in (self.foo, self.bar):
            domain.trail.broken = None
        self.bar.deliver(self.foo.send(["bob@bar.test"], {"film": self.DATA}), "bob@bar.test")
        self.bar.trail.broken = OSError(errno.ENOSPC, "no space left on device")
        before = len(self.foo.trail.of("retrieve"))
        self.world.advance(5)
        self.assertEqual(len(self.foo.trail.of("retrieve")), before)
        self.bar.trail.broken = None
        self.world.advance(3600, 5)
        self.assertEqual(self.bar.content(digest_of(self.DATA)), self.DATA)


class Misplaced(AttackCase):
    """Z-11: credentials where none belong."""

    def test_tokens_in_paths_and_names(self) -> None:
        """A token in a path, as a client's name or as a user's is not passed on to whoever reads the trail."""
        token = delegation(self.bar, self.foo).text()
        kept = _Kept()
        self.foo.whole.means.audit.trail = kept
        self.line(self.foo).ask("GET", f"/.well-known/ni/sha-256/{token}")
        self.line(self.foo).form("/token", {"grant_type": "refresh_token", "client_id": token, "refresh_token": "r"})
        self.assertEqual(len(kept.lines), 2)
        for line in kept.lines:
            self.assertNotIn(token.split(".")[1][:40], line)
            self.assertIn(HIDDEN, line)


class _Kept:
    """The lines of a real trail, kept in memory."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def record(self, event: Mapping[str, Any]) -> None:
        """What would stand in the file."""
        self.lines.append(rendered(event))
