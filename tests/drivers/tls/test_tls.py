"""TLS as it is served and called: who is believed, and what is dropped."""

import contextlib
import os
from datetime import UTC, datetime
from typing import Any

from klein import Klein
from OpenSSL import SSL
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Forbidden, Malformed, Unavailable
from rrsd.drivers.tls.client import ClientTls
from rrsd.drivers.tls.credentials import Credential, parse_credential
from rrsd.drivers.tls.reload import read_credential, read_file
from rrsd.drivers.tls.server import ServerTls
from rrsd.drivers.tls.settings import Version
from rrsd.web.peers import certificate_of
from tests.support.calling import AUTHORITY, World, get
from tests.support.certificates import START, Authority, Pair, client

PAST = datetime(2021, 1, 1, tzinfo=UTC)
SERVER = AUTHORITY.server("foo.test")


def shake(one: SSL.Connection, other: SSL.Connection) -> None:
    """Run both handshakes to their end, and let what follows them pass; an alert is raised."""
    done: set[int] = set()
    for _ in range(20):
        for side in (one, other):
            with contextlib.suppress(SSL.WantReadError):
                side.do_handshake()
                done.add(id(side))
                side.recv(1)
        for source, target in ((one, other), (other, one)):
            with contextlib.suppress(SSL.WantReadError):
                target.bio_write(source.bio_read(1 << 20))
    assert len(done) == 2, "the handshake hangs"


def calling(credential: Credential | None = None, alpn: bytes = b"http/1.1", version: int = 0) -> SSL.Connection:
    """A client that trusts everybody, as an attacker does."""
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_alpn_protos([alpn])
    if version:
        context.set_max_proto_version(version)
    if credential is not None:
        credential.use_in(context)
    connection = SSL.Connection(context, None)
    connection.set_connect_state()
    return connection


def serving(tls: ServerTls) -> SSL.Connection:
    """The server's side."""
    connection = tls.serverConnectionForTLS(object())
    connection.set_accept_state()
    return connection


class Serving(SynchronousTestCase):
    """The server asks for a certificate and leaves the judgement to the application."""

    def setUp(self) -> None:
        self.tls = ServerTls(SERVER.credential)

    def presented(self, pair: Pair | None) -> Any:
        """The certificate that the server sees."""
        far, near = serving(self.tls), calling(pair.credential if pair else None)
        shake(near, far)
        return far.get_peer_certificate()

    def test_no_certificate(self) -> None:
        """A client without a certificate is served."""
        self.assertIsNone(self.presented(None))

    def test_self_signed(self) -> None:
        """A self-signed certificate passes TLS, its key proved."""
        self.assertEqual(self.presented(client("_rra", "bar.test")).get_subject().CN, "bar.test")

    def test_expired_client_certificate(self) -> None:
        """M-06: an expired one passes TLS; the application decides."""
        self.assertIsNotNone(self.presented(client("_rra", "bar.test", start=START, end=PAST)))

    def test_certificate_of_10_kb(self) -> None:
        """M-12: a certificate of 10 kB is bounded work."""
        self.assertIsNotNone(self.presented(client("_rra", "bar.test", padding=10_000)))

    def test_chain_of_1000(self) -> None:
        """M-12: a chain of a thousand certificates is dropped."""
        pair = client("_rra", "bar.test", padding=60_000)
        many = Credential((pair.certificate,) * 1000, pair.credential.key)
        self.assertRaises(SSL.Error, shake, calling(many), serving(self.tls))

    def test_resumption(self) -> None:
        """M-09: a session of a connection with a certificate lends no identity to one without."""
        pair = client("_rra", "bar.test").credential
        for version in (SSL.TLS1_3_VERSION, SSL.TLS1_2_VERSION):
            tls = ServerTls(SERVER.credential, Version.TLS12)
            first, far = calling(version=version), serving(tls)
            first.use_certificate(pair.chain[0])
            first.use_privatekey(pair.key)
            shake(first, far)
            self.assertIsNotNone(far.get_peer_certificate())
            second, far = SSL.Connection(first.get_context(), None), serving(tls)
            second.set_connect_state()
            session = first.get_session()
            if session is not None:
                second.set_session(session)
            shake(second, far)
            self.assertIsNone(far.get_peer_certificate())

    def test_renegotiation(self) -> None:
        """M-12: renegotiation in TLS 1.2 is refused."""
        near, far = calling(version=SSL.TLS1_2_VERSION), serving(ServerTls(SERVER.credential, Version.TLS12))
        shake(near, far)
        near.renegotiate()
        self.assertRaises((SSL.Error, AssertionError), shake, near, far)
        self.assertEqual(far.total_renegotiations(), 0)

    def test_old_versions(self) -> None:
        """TLS 1.2 is spoken by setting only, older ones never."""
        self.assertRaises(SSL.Error, shake, calling(version=SSL.TLS1_2_VERSION), serving(self.tls))
        old = calling(version=SSL.TLS1_1_VERSION)
        self.assertRaises(SSL.Error, shake, old, serving(ServerTls(SERVER.credential, Version.TLS12)))

    def test_alpn(self) -> None:
        """M-14: HTTP/1.1 is named when it is offered; nothing else is ever claimed."""
        for offered, chosen in ((b"http/1.1", b"http/1.1"), (b"h2", b"")):
            near = calling(alpn=offered)
            shake(near, serving(self.tls))
            self.assertEqual(near.get_alpn_proto_negotiated(), chosen)

    def test_broken_credentials(self) -> None:
        """A credential that does not fit together is refused with a fact and no key."""
        other = client("_rra", "bar.test")
        for chain, key in (
            (b"x", other.key_pem),
            (other.certificate_pem, b"x"),
            (SERVER.certificate_pem, other.key_pem),
        ):
            self.assertRaises(Malformed, parse_credential, chain, key)


class Calling(SynchronousTestCase):
    """F-08: a server that does not prove its name is not talked to."""

    def setUp(self) -> None:
        self.world = World()
        self.bar = self.world.internet.host("bar.test", "20.0.0.2")

    def call(self, pair: Pair, name: str = "foo.test") -> Any:
        """What a call to `name` comes to when the server presents `pair`."""
        foo = self.world.internet.host(name, "20.0.0.1")
        made = self.world.serve_raw(foo, lambda raw: raw.transport.write(b"HTTP/1.1 204 fine\r\n\r\n"), pair)
        result = self.world.internet.run(self.world.outbound(self.bar).ask(get(name)))
        return result, made

    def assert_refused(self, pair: Pair, name: str = "foo.test") -> None:
        """Unavailable because of TLS, and the server saw no request."""
        result, made = self.call(pair, name)
        self.assertEqual(self.failureResultOf(result, Unavailable).value.detail, "tls")
        self.assertEqual(made[0].received, b"")

    def test_right_name(self) -> None:
        """The right certificate is believed."""
        result, _ = self.call(AUTHORITY.server("foo.test"))
        self.assertEqual(self.successResultOf(result).status, 204)

    def test_wildcard_over_one_label(self) -> None:
        """A wildcard stands for one label."""
        result, _ = self.call(AUTHORITY.server("*.foo.test"), "rs.foo.test")
        self.assertEqual(self.successResultOf(result).status, 204)

    def test_wildcard_over_two_labels(self) -> None:
        """F-08: and not for two."""
        self.assert_refused(AUTHORITY.server("*.foo.test"), "a.rs.foo.test")

    def test_wrong_name(self) -> None:
        """F-08: another name."""
        self.assert_refused(AUTHORITY.server("evil.test"))

    def test_name_in_subject_only(self) -> None:
        """F-08: a common name proves nothing."""
        self.assert_refused(client("_rra", "foo.test"))

    def test_unknown_authority(self) -> None:
        """F-08: an authority that is not trusted."""
        self.assert_refused(Authority("Test authority").server("foo.test"))

    def test_expired(self) -> None:
        """F-08: an expired certificate."""
        self.assert_refused(AUTHORITY.server("foo.test", start=START, end=PAST))

    def test_roots_that_are_none(self) -> None:
        """Roots that cannot be read are told at once."""
        self.assertRaises(Malformed, ClientTls, roots_pem=b"no roots")

    def test_system_roots(self) -> None:
        """Without configured roots those of the system hold."""
        connection = ClientTls().creator_for("foo.test").clientConnectionForTLS(object())
        self.assertEqual(connection.get_verify_mode(), SSL.VERIFY_PEER)


class Listening(SynchronousTestCase):
    """The public listener over the whole stack."""

    def setUp(self) -> None:
        self.world = World()
        self.foo = self.world.internet.host("foo.test", "20.0.0.1")
        self.bar = self.world.internet.host("bar.test", "20.0.0.2")
        self.gate: Deferred[bytes] = Deferred()
        self.tls = self.world.serve(self.foo, self.app())

    def app(self) -> Klein:
        """Tells who called."""
        app = Klein()

        @app.route("/")
        def who(request: Any) -> str:
            return str(certificate_of(request))

        @app.route("/long")
        async def long(request: Any) -> bytes:
            return await self.gate

        return app

    def test_certificate_in_a_header(self) -> None:
        """M-11: certificates in header fields are not certificates."""
        call = get("foo.test")
        fields = tuple((name, "x") for name in ("X-Client-Cert", "X-SSL-Client-Cert", "Client-Cert", "X-Forwarded-For"))
        forged = type(call)(call.peer, "GET", "/", fields)
        answer = self.successResultOf(self.world.internet.run(self.world.outbound(self.bar).ask(forged)))
        self.assertEqual(answer.body, b"None")

    def test_half_open_handshakes(self) -> None:
        """M-13: a hundred half-open handshakes end after their time, and others are served meanwhile."""
        wires = [self.world.internet.connect("20.0.0.3", "20.0.0.1", 443, Protocol()) for _ in range(100)]
        self.world.internet.advance(14)
        self.assertTrue(all(wire is not None and wire.connected for wire in wires))
        answer = self.world.internet.run(self.world.outbound(self.bar).ask(get("foo.test")))
        self.assertEqual(self.successResultOf(answer).status, 200)
        self.world.internet.advance(2)
        self.assertFalse(any(wire is not None and wire.connected for wire in wires))

    def test_http_to_the_tls_port(self) -> None:
        """M-14: plain HTTP gets no answer and no connection."""
        wire = self.world.internet.connect("20.0.0.3", "20.0.0.1", 443, Protocol())
        assert wire is not None
        wire.write(b"GET / HTTP/1.1\r\nHost: foo.test\r\n\r\n")
        self.world.internet.pump()
        self.assertFalse(wire.connected)

    def test_reload_does_not_break_a_transfer(self) -> None:
        """A new certificate serves new connections; the answer on the way arrives on its old one."""
        running = self.world.internet.run(self.world.outbound(self.bar).ask(get("foo.test", "/long")))
        renewed = AUTHORITY.server("foo.test")
        self.tls.replace(renewed.credential)
        far, near = serving(self.tls), calling()
        shake(near, far)
        self.assertEqual(near.get_peer_certificate().get_serial_number(), renewed.certificate.serial_number)  # type: ignore[union-attr]
        self.gate.callback(b"arrived")
        self.world.internet.pump()
        self.assertEqual(self.successResultOf(running).body, b"arrived")

    def test_files(self) -> None:
        """A credential comes from two PEM files; what is missing is named; a key is not for everybody (Z-05)."""
        chain, key = self.mktemp(), self.mktemp()
        for path, data in ((chain, SERVER.certificate_pem + AUTHORITY.pem), (key, SERVER.key_pem)):
            with open(path, "wb") as file:
                file.write(data)
        os.chmod(key, 0o644)
        everybody = self.assertRaises(Forbidden, read_credential, chain, key)
        self.assertIn("chmod 640", everybody.detail)
        os.chmod(key, 0o640)
        self.assertEqual(len(read_credential(chain, key).chain), 2)
        problem = self.assertRaises(Malformed, read_file, "/nowhere/chain.pem")
        self.assertIn("/nowhere/chain.pem: No such file", problem.detail)

    def test_client_certificate_is_replaced(self) -> None:
        """A caller's new certificate is presented on new connections."""
        tls = ClientTls(roots_pem=AUTHORITY.pem)
        tls.replace(client("_rra", "bar.test").credential)
        near, far = tls.creator_for("foo.test").clientConnectionForTLS(object()), serving(self.tls)
        near.set_connect_state()
        shake(near, far)
        self.assertIsNotNone(far.get_peer_certificate())
