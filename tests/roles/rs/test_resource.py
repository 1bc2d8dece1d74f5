"""The Resource Server over HTTP in memory."""

import ssl
from datetime import timedelta
from typing import Any

from attrs import evolve

from rrsd.core.refusals import Damaged
from rrsd.core.values.digests import digest_of
from rrsd.core.values.resources import CHUNK, Custody
from rrsd.core.wire.chunks import parse_chunks
from rrsd.core.wire.fields import chunks_path, etag, ni_path, render_repr_digest
from rrsd.core.wire.mime import parse_placeholder
from rrsd.roles.rs.flow.admission import Gate
from rrsd.roles.rs.openapi import PATHS
from rrsd.roles.rs.resource.senders import SendersPages
from rrsd.roles.rs.resource.strangers import StrangersPages
from rrsd.roles.rs.settings import Settings
from tests.roles.rs.test_senders import SendersCase
from tests.roles.rs.world import BAR, DATA, FOO, StrangersCase
from tests.support.callers import Caller, Response
from tests.support.domains import Journal, Key, Meter, certificate, now

METADATA = "https://rs.foo.test/.well-known/oauth-protected-resource"


class Retrieval(StrangersCase):
    """GET and HEAD of a resource (protocol 5)."""

    def setUp(self) -> None:
        super().setUp()
        self.meter = Meter()
        gate = Gate(Settings(origin=FOO.origin), self.meter, Journal())
        self.pages = StrangersPages(METADATA, gate, self.flow, self.renewals)
        self.agent = Caller(self.pages.routes, BAR.certificate)
        self.path = ni_path(self.digest)

    def seen(self, method: str = "GET", path: str = "", **headers: str) -> Response:
        given = {"Authorization": f"Bearer {BAR.delegation(FOO.origin)}", **headers}
        return self.agent.ask(method, path or self.path, b"", **given)

    def test_whole(self) -> None:
        """The whole resource, with everything a puller and a browser need to be safe."""
        self.ledger.kept = [evolve(self.grant, media_type="text/html", filename='a"b.html')]
        seen = self.seen()
        self.assertEqual((seen.status, seen.body), (200, DATA))
        expected = {
            "content-length": str(len(DATA)), "etag": etag(self.digest), "accept-ranges": "bytes",
            "repr-digest": render_repr_digest(self.digest), "content-type": "text/html",
            "content-disposition": 'attachment; filename="a_b.html"', "cache-control": "private, no-transform",
            "x-content-type-options": "nosniff",
        }  # fmt: skip
        self.assertEqual({name: seen.headers.get(name) for name in expected}, expected)
        self.assertNotIn("server", seen.headers)

    def test_small(self) -> None:
        """A resource of one block is one write."""
        self.blobs.block = 1 << 20
        self.assertEqual(self.seen().body, DATA)

    def test_head(self) -> None:
        """HEAD says the same without the bytes."""
        whole, head = self.seen(), self.seen("HEAD")
        self.assertEqual((head.status, head.body), (200, b""))
        for name in ("content-length", "etag", "repr-digest", "content-type"):
            self.assertEqual(head.headers[name], whole.headers[name])

    def test_range(self) -> None:
        """A part is 206, and the digest is still that of the whole (RFC 9530 3)."""
        seen = self.seen(Range="bytes=100-")
        self.assertEqual((seen.status, seen.body), (206, DATA[100:]))
        self.assertEqual(seen.headers["content-range"], f"bytes 100-{len(DATA) - 1}/{len(DATA)}")
        self.assertEqual(seen.headers["repr-digest"], render_repr_digest(self.digest))
        self.assertEqual(seen.headers["content-length"], str(len(DATA) - 100))

    def test_range_outside(self) -> None:
        """A part past the end is 416."""
        self.assertEqual(self.seen(Range=f"bytes={len(DATA)}-").status, 416)

    def test_conditions(self) -> None:
        """304 where nothing changed, the whole where If-Range names other bytes."""
        seen = self.seen(If_None_Match=etag(self.digest))
        self.assertEqual((seen.status, seen.body), (304, b""))
        self.assertNotIn("content-length", seen.headers)
        self.assertEqual(self.seen(Range="bytes=1-2", If_Range='"x"').status, 200)

    def test_challenge(self) -> None:
        """Without a token: 401, where to learn more, and no error code (S-01)."""
        seen = self.agent.ask("GET", self.path)
        self.assertEqual(seen.status, 401)
        self.assertEqual(seen.headers["www-authenticate"], f'Bearer resource_metadata="{METADATA}"')

    def test_bad_token(self) -> None:
        """A bad token: 401 invalid_token, and never which check failed."""
        shown = {self.seen(Authorization=f"Bearer {token}").body for token in ("x", BAR.delegation(BAR.origin))}
        self.assertEqual(len(shown), 1)
        seen = self.seen(Authorization="Bearer x")
        self.assertEqual(seen.status, 401)
        self.assertIn('error="invalid_token"', seen.headers["www-authenticate"])

    def test_kept_connection(self) -> None:
        """Every request of a kept connection is judged for itself (M-10)."""
        self.assertEqual(self.seen().status, 200)
        self.assertEqual(self.agent.ask("GET", self.path).status, 401)
        other = BAR.delegation(FOO.origin, client_id="_x.bar.test", act={"sub": "_x.bar.test"})
        self.assertEqual(self.seen(Authorization=f"Bearer {other}").status, 401)

    def test_certificate_headers(self) -> None:
        """A certificate that a header claims is nothing (M-11)."""
        self.agent = Caller(self.pages.routes)
        claimed = {"X_Client_Cert": "x", "X_SSL_Client_S_DN": "OU=_rra,CN=bar.test", "Client_Cert": ":AA==:"}
        self.assertEqual(self.seen(**claimed).status, 401)
        self.agent = Caller(self.pages.routes, certificate("_rra.bar.test", Key("thief")))
        self.assertEqual(self.seen(**claimed).status, 401)

    def test_unknown_and_not_permitted(self) -> None:
        """One body and status for what does not exist and what is not for the requester."""
        unknown = self.seen(path=ni_path(digest_of(b"nothing")))
        other = self.seen(Authorization=f"Bearer {BAR.delegation(FOO.origin, local='carol')}")
        self.assertEqual((unknown.status, unknown.body), (other.status, other.body))
        self.assertEqual(unknown.status, 403)

    def test_gone(self) -> None:
        """A withdrawn grant is 410 for its grantee."""
        self.ledger.kept = [evolve(self.grant, withdrawn=True)]
        self.assertEqual(self.seen().status, 410)

    def test_path_tricks(self) -> None:
        """Whatever is no digest is not found (S-18)."""
        for name in ("..%2f..%2fetc", "%00", "a", f"{self.digest.b64}=", f"{self.digest.b64}/x", "%252e"):
            self.assertEqual(self.seen(path=f"/.well-known/ni/sha-256/{name}").status, 404, name)
        self.assertEqual(self.seen(path=f"/.well-known/ni/sha-512/{self.digest.b64}").status, 404)

    def test_too_many(self) -> None:
        """Who asks too often gets 429 and when to come back."""
        self.meter.wait = 3
        seen = self.seen()
        self.assertEqual((seen.status, seen.headers["retry-after"]), (429, "3"))

    def test_disk_fails(self) -> None:
        """A failing disk is 500 with the reason's name, and headers of the bytes are gone."""
        self.blobs.refusal = Damaged("/var/lib/secret")
        seen = self.seen()
        self.assertEqual(seen.status, 500)
        self.assertNotIn(b"/var", seen.body)
        self.assertNotIn("etag", seen.headers)

    def test_chunks(self) -> None:
        """The chunk list, as pullers read it."""
        seen = self.seen(path=chunks_path(self.digest))
        self.assertEqual(parse_chunks(seen.json(), self.digest).size, len(DATA))

    def receipts(self, body: str, **headers: str) -> Response:
        given = {"Authorization": f"Bearer {BAR.delegation(FOO.origin)}", "Content_Type": "application/jose", **headers}
        return self.agent.ask("POST", "/rrs/receipts", body.encode(), **given)

    def test_receipt(self) -> None:
        """One receipt is 201, and 204 when it was known."""
        receipt = BAR.receipt(self.grant, FOO.origin)
        seen = self.receipts(receipt)
        self.assertEqual((seen.status, seen.json()), (201, {"accepted": ["r-1"]}))
        seen = self.receipts(receipt)
        self.assertEqual((seen.status, seen.body), (204, b""))

    def test_receipts(self) -> None:
        """Several are 200 with those that were believed."""
        second = self.granted("m2")
        lines = [BAR.receipt(self.grant, FOO.origin), "x", BAR.receipt(second, FOO.origin, "r-2")]
        seen = self.receipts("\n".join(lines))
        self.assertEqual((seen.status, seen.json()), (200, {"accepted": ["r-1", "r-2"]}))

    def test_receipt_of_another_media_type(self) -> None:
        """A receipt is application/jose."""
        self.assertEqual(self.receipts("x", Content_Type="text/plain").status, 415)
        self.assertEqual(self.agent.ask("POST", "/rrs/receipts", b"x").status, 415)

    def test_endless_receipts(self) -> None:
        """More bytes than receipts can have are refused."""
        self.assertEqual(self.receipts("x" * (1024 * 1024 + 1)).status, 413)


class Sending(SendersCase):
    """The API for our own users."""

    def setUp(self) -> None:
        super().setUp()
        gate = Gate(Settings(origin=FOO.origin), Meter(), Journal())
        self.api = Caller(SendersPages(METADATA, gate, self.flow).routes)

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> Response:
        return self.api.ask(method, path, body, Authorization="Bearer alice", **headers)

    def post(self, path: str, document: Any) -> Response:
        return self.api.send("POST", path, document, Authorization="Bearer alice")

    def test_upload(self) -> None:
        """An upload from begin to digest."""
        begun = self.post("/api/uploads", {"size": 6})
        self.assertEqual((begun.status, begun.headers["upload-offset"]), (201, "0"))
        self.assertEqual(begun.json()["expires"], (now() + timedelta(days=2)).isoformat())
        place = begun.headers["location"]
        first = self.ask("PATCH", place, b"abc", Upload_Offset="0")
        self.assertEqual((first.status, first.headers["upload-offset"], first.body), (204, "3", b""))
        looked = self.ask("HEAD", place)
        self.assertEqual((looked.headers["upload-offset"], looked.headers["upload-length"]), ("3", "6"))
        self.assertIsNone(self.ask("GET", place).json()["digest"])
        last = self.ask("PATCH", place, b"def", Upload_Offset="3")
        self.assertEqual((last.status, last.json()["digest"]), (200, digest_of(b"abcdef").b64))
        self.assertEqual(last.headers["cache-control"], "no-store")

    def test_upload_refusals(self) -> None:
        """No offset, a wrong one, too much at once, somebody else's, and no JSON."""
        place = self.post("/api/uploads", {"size": CHUNK * 2}).headers["location"]
        self.assertEqual(self.ask("PATCH", place, b"a").status, 400)
        self.assertEqual(self.ask("PATCH", place, b"a", Upload_Offset="9").status, 409)
        self.assertEqual(self.ask("PATCH", place, b"a" * (CHUNK + 1), Upload_Offset="0").status, 413)
        self.assertEqual(self.api.ask("GET", place, b"", Authorization="Bearer carol").status, 404)
        self.assertEqual(self.ask("POST", "/api/uploads", b"{}").status, 415)
        self.assertEqual(self.post("/api/uploads", {}).status, 400)
        self.assertEqual(self.api.ask("GET", place).status, 401)

    def test_cancel(self) -> None:
        """A cancelled upload is not found."""
        place = self.post("/api/uploads", {"size": 3}).headers["location"]
        self.assertEqual(self.ask("DELETE", place).status, 204)
        self.assertEqual(self.ask("GET", place).status, 404)

    def test_message(self) -> None:
        """A message goes out, is listed with its grants, and is withdrawn."""
        digest = self.stored(b"film")
        draft = {"to": ["bob@bar.test"], "attachments": [{"digest": digest.b64, "filename": "film.mp4"}]}
        sent = self.post("/api/outgoing", draft)
        self.assertEqual((sent.status, sent.headers["content-type"]), (201, "message/rfc822"))
        message_id = parse_placeholder(sent.body).message_id
        self.assertEqual(sent.headers["location"], f"/api/outgoing/{message_id}")
        (message,) = self.ask("GET", "/api/outgoing").json()["messages"]
        self.assertEqual(message["message_id"], message_id)
        (grant,) = message["grants"]
        self.assertEqual((grant["recipient"], grant["receipted"], grant["withdrawn"]), ("bob@bar.test", None, False))
        self.ledger.kept = [evolve(self.ledger.kept[0], receipted=now())]
        (message,) = self.ask("GET", "/api/outgoing").json()["messages"]
        self.assertEqual(message["grants"][0]["receipted"], now().isoformat())
        self.assertEqual(message["grants"][0]["state"], "kept")
        self.assertEqual(self.ask("GET", sent.headers["location"]).json(), message)
        self.ledger.signed = [Custody(self.ledger.kept[0], "a.b.c", b"der", "dane dnssec")]
        shown = self.ask("GET", f"{sent.headers['location']}/receipts").json()
        self.assertEqual((shown["message_id"], shown["audience"]), (message_id, str(FOO.origin)))
        (receipt,) = shown["receipts"]
        self.assertEqual((receipt["receipt"], receipt["proof"]), ("a.b.c", "dane dnssec"))
        self.assertEqual(receipt["certificate"], ssl.DER_cert_to_PEM_cert(b"der"))
        self.assertEqual(self.ask("GET", "/api/outgoing/other@foo.test").status, 404)
        self.assertEqual(self.ask("GET", "/api/outgoing/other@foo.test/receipts").status, 404)
        self.assertEqual(self.ask("DELETE", sent.headers["location"]).json(), {"withdrawn": 1})
        self.assertEqual(self.ask("DELETE", "/api/outgoing/other@foo.test").status, 404)

    def test_description(self) -> None:
        """The OpenAPI paths are the routes."""
        described = {
            (path.replace("{", "<").replace("}", ">").replace("<upload>", "<upload_id>"), method.upper())
            for path, methods in PATHS.items()
            for method in methods
            if method != "parameters"
        }
        rules = SendersPages.routes.url_map.iter_rules()
        routed = {(rule.rule, method) for rule in rules for method in (rule.methods or set()) - {"HEAD"}}
        self.assertEqual(described, routed)
