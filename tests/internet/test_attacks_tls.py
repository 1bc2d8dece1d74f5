"""M: what TLS itself lets through, and what the application makes of certificates."""

from datetime import UTC, datetime

from attrs import evolve
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from OpenSSL import SSL

from rrsd.config.settings import Settings
from rrsd.drivers.tls.credentials import Credential
from rrsd.drivers.tls.settings import Version
from tests.support.attackers import AttackCase, Line, client_context
from tests.support.certificates import END, START, client
from tests.support.forgery import agent_of, delegation, exchange_form, impersonation, x5t_of

UNKNOWN = (401, "invalid_client", "unknown_client")
TOKEN = (401, "invalid_token", "unproven")
_LIB, _FFI = SSL._lib, SSL._ffi  # type: ignore[attr-defined]


def reused(line: Line) -> bool:
    """Whether the connection resumed a session."""
    return bool(_LIB.SSL_session_reused(line.wire.tls._ssl))  # type: ignore[union-attr]


def reissued(credential: Credential) -> Credential:
    """Another certificate for the same name and key."""
    name = credential.chain[0].subject
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(credential.key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(START).not_valid_after(END)
    return evolve(credential, chain=(builder.sign(credential.key, hashes.SHA256()),))


def older(settings: Settings) -> Settings:
    """TLS 1.2 is spoken too."""
    return evolve(settings, tls=evolve(settings.tls, minimum=Version.TLS12))


class Certificates(AttackCase):
    """Who a certificate makes somebody, and who not."""

    def present(self, credential: Credential) -> Line:
        """A connection to foo.test with a certificate."""
        return self.line(self.foo, credential=credential)

    def test_m04_same_key_new_certificate(self) -> None:
        """A token that is bound to the old certificate is nothing over the new one, though the key is the same."""
        token = delegation(self.bar, self.foo).text()
        renewed = reissued(agent_of(self.bar))
        response = self.present(renewed).ask("GET", self.target, Authorization=f"Bearer {token}")
        self.require_refused(self.foo, response, *TOKEN, token)
        form = exchange_form(self.bar, self.foo, impersonation(self.bar).text(cnf={"x5t#S256": x5t_of(renewed).b64}))
        response = self.line(self.bar, credential=renewed).form("/token", form)
        self.require_refused(self.bar, response, *UNKNOWN)
        rebound = delegation(self.bar, self.foo, credential=renewed).text()
        response = self.present(renewed).ask("GET", self.target, Authorization=f"Bearer {rebound}")
        self.assertEqual(response.status, 200, "one bound to the new one is good: the domain publishes the key")

    def test_m06_expired_certificate(self) -> None:
        """The dates of a certificate are not looked at (RFC 7671 5.1): that its domain publishes the key decides, and
        for one that it does not publish no date helps."""
        past = datetime(2001, 1, 1, tzinfo=UTC)
        old = client("_rra", "bar.test", start=datetime(2000, 1, 1, tzinfo=UTC), end=past)
        token = delegation(self.bar, self.foo, credential=old.credential).text()
        response = self.present(old.credential).ask("GET", self.target, Authorization=f"Bearer {token}")
        self.require_refused(self.foo, response, *TOKEN, token)
        form = exchange_form(self.bar, self.foo, impersonation(self.bar).text())
        response = self.line(self.bar, credential=old.credential).form("/token", form)
        self.require_refused(self.bar, response, *UNKNOWN)

    def test_m12_large_certificates(self) -> None:
        """A certificate of 10 kB is a certificate; one of 100 kB ends the handshake; others are served."""
        for padding in (10_000, 15_000, 20_000, 60_000, 200_000):
            with self.subTest(padding=padding):
                pair = client("_rra", "bar.test", padding=padding)
                line = self.present(pair.credential)
                token = delegation(self.bar, self.foo, credential=pair.credential).text()
                head = f"GET {self.target} HTTP/1.1\r\nHost: foo.test\r\nAuthorization: Bearer {token}\r\n\r\n"
                line.send(head.encode())
                if line.closed:
                    self.assertGreater(padding, 100_000)
                else:
                    self.require_refused(self.foo, line.response(), *TOKEN, token)
        self.assertEqual(self.agent_line(self.foo).ask("GET", "/jwks").status, 200)

    def test_m12_long_chains(self) -> None:
        """A chain of a hundred certificates is read or ends the handshake; it proves nothing."""
        pair = client("_rra", "bar.test")
        extra = tuple(client("_rra", f"x{number}.test").certificate for number in range(5))
        chain = evolve(pair.credential, chain=(pair.certificate, *extra * 20))
        line = self.present(chain)
        form = exchange_form(self.bar, self.foo, impersonation(self.bar).text())
        self.assertTrue(line.closed or line.form("/token", form).status >= 400)
        good = evolve(agent_of(self.bar), chain=(agent_of(self.bar).chain[0], *extra))
        token = delegation(self.bar, self.foo).text()
        self.assertEqual(self.present(good).ask("GET", self.target, Authorization=f"Bearer {token}").status, 200)

    def test_m12_key_types(self) -> None:
        """A certificate whose subject or key is none that we know makes nobody a client; the answer is an answer."""
        for name in (("_rra", "bar.test."), ("_rra", "*.bar.test"), ("_rra", "bar test"), ("x" * 64, "b.test")):
            with self.subTest(name=name):
                pair = client(*name)
                token = delegation(self.bar, self.foo, credential=pair.credential).text()
                response = self.present(pair.credential).ask("GET", self.target, Authorization=f"Bearer {token}")
                self.require_refused(self.foo, response, *TOKEN, token)


class Handshakes(AttackCase):
    """Sessions, renegotiation and half-open handshakes."""

    def test_m09_no_resumption(self) -> None:
        """A session of a connection with a certificate gives nobody the identity of that certificate."""
        context, agent = client_context(), agent_of(self.bar)
        tls = SSL.Connection(context, None)
        tls.use_certificate(agent.chain[0])
        tls.use_privatekey(agent.key)
        form = exchange_form(self.bar, self.foo, impersonation(self.bar).text())
        self.assertEqual(Line.over(self.world, "bar.test", tls).form("/token", form).status, 200)
        session = tls.get_session()
        assert session is not None
        self.assertEqual(_LIB.SSL_SESSION_get_max_early_data(session._session), 0, "no 0-RTT")  # type: ignore[attr-defined]
        self.bar.trail.lines.clear()
        again = SSL.Connection(context, None)
        again.set_session(session)
        line = Line.over(self.world, "bar.test", again)
        self.assertFalse(reused(line))
        form = exchange_form(self.bar, self.foo, impersonation(self.bar).text())
        self.require_refused(self.bar, line.form("/token", form), *UNKNOWN)

    def test_m09_no_resumption_in_tls12(self) -> None:
        """Neither by ticket nor by session identifier where TLS 1.2 is spoken."""
        self.world.domain("old.test", older)
        context = client_context(maximum=SSL.TLS1_2_VERSION)
        first = Line.to(self.world, "old.test", context=context)
        self.assertEqual(first.ask("GET", "/jwks").status, 200)
        assert first.wire.tls is not None
        session = first.wire.tls.get_session()
        tls = SSL.Connection(context, None)
        assert session is not None
        tls.set_session(session)
        line = Line.over(self.world, "old.test", tls)
        self.assertEqual(line.ask("GET", "/jwks").status, 200)
        self.assertFalse(reused(line))

    def test_m12_no_renegotiation(self) -> None:
        """A client that asks for a new handshake in TLS 1.2 gets none."""
        self.world.domain("old.test", older)
        line = Line.to(self.world, "old.test", context=client_context(maximum=SSL.TLS1_2_VERSION))
        self.assertEqual(line.ask("GET", "/jwks").status, 200)
        tls = line.wire.tls
        assert tls is not None
        tls.renegotiate()
        line.wire.up = False
        line.send(b"")
        self.assertFalse(line.wire.up, "it never ends")
        self.world.advance(61)
        self.assertTrue(line.closed)
        self.assertEqual(Line.to(self.world, "old.test").ask("GET", "/jwks").status, 200)

    def test_m14_old_versions(self) -> None:
        """TLS 1.2 is not spoken unless it is told to be, and nothing older ever."""
        for name, versions in (("foo.test", (SSL.TLS1_2_VERSION, SSL.TLS1_1_VERSION, SSL.TLS1_VERSION)),
                               ("old.test", (SSL.TLS1_1_VERSION, SSL.TLS1_VERSION))):  # fmt: skip
            if name not in self.world.domains:
                self.world.domain(name, older)
            for version in versions:
                with self.subTest(name=name, version=version):
                    context = client_context(maximum=version)
                    context.set_cipher_list(b"ALL:@SECLEVEL=0")
                    line = Line.to(self.world, name, context=context)
                    line.send(b"GET /jwks HTTP/1.1\r\nHost: foo.test\r\n\r\n")
                    self.assertTrue(line.closed)
                    self.assertEqual(line.received, b"")

    def test_m14_alpn(self) -> None:
        """HTTP/1.1 is spoken and said; to who offers only others nothing is said."""
        for offered, expected in (((b"h2", b"http/1.1"), b"http/1.1"), ((b"h2",), b""), ((), b"")):
            with self.subTest(offered=offered):
                line = Line.to(self.world, "foo.test", context=client_context(alpn=offered))
                assert line.wire.tls is not None
                self.assertEqual(line.wire.tls.get_alpn_proto_negotiated(), expected)

    def test_m13_half_open_handshakes(self) -> None:
        """Whoever does not finish is gone after 15 s, and others are served meanwhile."""
        lines = [Line.over(self.world, "foo.test", None) for _ in range(300)]
        for number, line in enumerate(lines):
            line.send(b"\x16\x03\x01\x02\x00\x01" if number % 2 else b"")
        self.assertEqual(self.line(self.foo).ask("GET", "/jwks").status, 200)
        self.world.advance(10)
        for line in lines:
            line.send(b"\x00")
        self.world.advance(6)
        self.assertTrue(all(line.closed for line in lines))

    def test_m13_one_address(self) -> None:
        """One address cannot take all connections."""
        lines = [Line.over(self.world, "foo.test", None, "45.8.8.8") for _ in range(520)]
        self.assertEqual(len([line for line in lines if not line.closed]), 512)
        self.assertEqual(self.line(self.foo).ask("GET", "/jwks").status, 200)
