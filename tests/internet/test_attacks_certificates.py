"""M-03, M-07, M-12: certificates that cost, are for something else, or say something else than they should."""

import math
import time
from functools import lru_cache
from typing import Any

from attrs import evolve
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from OpenSSL import crypto

from rrsd.core.values.addresses import parse_client_identifier
from rrsd.core.values.clients import Method
from rrsd.drivers.tls.credentials import Credential
from rrsd.roles.sts.settings import ClientSettings
from tests.support.attackers import AttackCase, Line, Response, client_context
from tests.support.certificates import END, START
from tests.support.forgery import agent_of, delegation, exchange_form, impersonation
from tests.support.pace import slowness
from tests.support.world import MemoryDomain

TOKEN = (401, "invalid_token", "unproven")
UNKNOWN = (401, "invalid_client", "unknown_client")
UNIT, NAME = NameOID.ORGANIZATIONAL_UNIT_NAME, NameOID.COMMON_NAME
MOST_SECONDS = 5.0
"""Processor time for a handshake and an answer, the client's own work included."""


@lru_cache
def many_primes(bits: int) -> rsa.RSAPrivateKey:
    """An RSA key of that size in no time: its two factors are products of small primes."""
    primes = [rsa.generate_private_key(65537, 2048).private_numbers().p for _ in range(bits // 1024)]
    p, q = math.prod(primes[::2]), math.prod(primes[1::2])
    orders = [math.lcm(*(prime - 1 for prime in some)) for some in (primes[::2], primes[1::2], primes)]
    dp, dq, d = (pow(65537, -1, order) for order in orders)
    public = rsa.RSAPublicNumbers(65537, p * q)
    numbers = rsa.RSAPrivateNumbers(p, q, d, dp, dq, pow(q, -1, p), public)
    return numbers.private_key(unsafe_skip_rsa_key_validation=True)


def issued(key: Any, *names: tuple[x509.ObjectIdentifier, str], extensions: Any = ()) -> Credential:
    """A self-signed certificate of those names; by default it claims to be bar.test's agent."""
    subject = x509.Name(
        [x509.NameAttribute(oid, value) for oid, value in names or ((UNIT, "_rra"), (NAME, "bar.test"))]
    )
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(START).not_valid_after(END)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    edwards = isinstance(key, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey)
    return Credential(key=key, chain=(builder.sign(key, None if edwards else hashes.SHA256()),))


class Certificates(AttackCase):
    """Whoever presents one gets an answer or the end of the connection, soon, and others are served."""

    def lax_line(self, domain: MemoryDomain, credential: Credential) -> Line:
        """A connection of a client that finds no key too weak."""
        context = client_context()
        context.set_cipher_list(b"ALL:@SECLEVEL=0")
        credential.use_in(context)
        return self.line(domain, context=context)

    def fetch(self, credential: Credential) -> Response | None:
        """Retrieve with a delegation that is bound to the certificate; None when the handshake was refused."""
        token = delegation(self.bar, self.foo, credential=credential).text()
        line = self.lax_line(self.foo, credential)
        return None if line.closed else line.ask("GET", self.target, Authorization=f"Bearer {token}")

    def require_nobody(self, credential: Credential) -> None:
        """The certificate makes nobody a client, neither at the resource server nor at the token service."""
        began = time.process_time()
        response = self.fetch(credential)
        if response is not None:
            self.require_refused(self.foo, response, *TOKEN)
        line = self.lax_line(self.bar, credential)
        if not line.closed:
            form = exchange_form(self.bar, self.foo, impersonation(self.bar).text())
            self.require_refused(self.bar, line.form("/token", form), *UNKNOWN)
        self.assertLess(time.process_time() - began, MOST_SECONDS * slowness())
        self.assertEqual(self.agent_line(self.foo).ask("GET", "/jwks").status, 200)

    def test_m12_large_rsa_keys(self) -> None:
        """RSA of 8192 bits is the most that is looked at; 16384 bits cost a bounded time and prove nothing."""
        for bits in (8192, 10240, 16384):
            with self.subTest(bits=bits):
                self.require_nobody(issued(many_primes(bits)))

    def test_m12_small_and_odd_keys(self) -> None:
        """Keys that are too short, and curves that are not spoken, prove nothing."""
        for key in (rsa.generate_private_key(65537, 1024),
                    ec.generate_private_key(ec.SECP384R1()), ec.generate_private_key(ec.SECP521R1()),
                    ed25519.Ed25519PrivateKey.generate(), ed448.Ed448PrivateKey.generate()):  # fmt: skip
            with self.subTest(key=type(key).__name__):
                self.require_nobody(issued(key))

    def test_m03_m07_other_purposes(self) -> None:
        """An authority's or a server's certificate in the agent's name: the domain publishes no such key."""
        server = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
        authority = x509.BasicConstraints(ca=True, path_length=None)
        unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.55555.2"), b"\x05\x00")
        for extensions in (
            ((server, True),),
            ((authority, True),),
            ((unknown, True),),
            ((server, False), (authority, False)),
        ):
            with self.subTest(extensions=extensions):
                self.require_nobody(issued(ec.generate_private_key(ec.SECP256R1()), extensions=extensions))

    def test_m03_subjects(self) -> None:
        """Names that only resemble the agent's: several, none, in another order, with what some parsers drop."""
        key, unit, name = agent_of(self.bar).key, (UNIT, "_rra"), (NAME, "bar.test")
        alike = "b\u0430r.test"  # a Cyrillic letter
        for names in (
            (unit, unit, name), (unit, name, name), ((NAME, "_rra.bar.test"),), ((UNIT, "_rra.bar"), name),
            (unit, (NAME, "bar")), (unit, (NAME, "bar.test,OU=_rra")),
            (unit, (NAME, "bar.test\0")), (unit, (NAME, "bar.test ")), ((UNIT, "_rra\n"), name), (unit, (NAME, alike)),
            ((UNIT, "_rr\u0430"), name), ((UNIT, "x"), name), (unit, (NAME, "*.test")),
        ):  # fmt: skip
            with self.subTest(names=[value for _, value in names]):
                self.require_nobody(issued(key, *names))

    def test_m12_chains_that_loop(self) -> None:
        """A chain of the leaf itself again and again, or of two that issued each other, proves nothing more."""
        agent = agent_of(self.bar)
        other = issued(ec.generate_private_key(ec.SECP256R1()))
        for extra in (agent.chain * 20, other.chain * 20, (agent.chain + other.chain) * 10):
            line = self.line(self.foo, credential=evolve(agent, chain=agent.chain + extra))
            if line.closed:
                continue
            token = delegation(self.bar, self.foo).text()
            self.assertEqual(line.ask("GET", self.target, Authorization=f"Bearer {token}").status, 200)
        self.require_nobody(evolve(other, chain=other.chain + agent.chain))

    def test_certificates_that_only_openssl_reads(self) -> None:
        """A version that does not exist, in the leaf or in what comes with it, proves nothing and is no fault."""
        agent = agent_of(self.bar)
        good = agent.chain[0].public_bytes(Encoding.DER)
        odd = good.replace(bytes.fromhex("a003020102"), bytes.fromhex("a003020105"), 1)
        self.assertNotEqual(odd, good)
        form = exchange_form(self.bar, self.foo, impersonation(self.bar).text())
        for chain, believed in (((odd,), False), ((good, odd), True)):
            with self.subTest(believed=believed):
                token = delegation(self.bar, self.foo).text()
                response = self.raw_line(self.foo, chain).ask("GET", self.target, Authorization=f"Bearer {token}")
                if believed:
                    self.assertEqual(response.status, 200)
                else:
                    self.require_refused(self.foo, response, *TOKEN)
                    self.require_refused(self.bar, self.raw_line(self.bar, chain).form("/token", form), *UNKNOWN)

    def raw_line(self, domain: MemoryDomain, chain: tuple[bytes, ...]) -> Line:
        """A connection of bar.test's agent that shows these bytes as certificates."""
        context = client_context(agent_of(self.bar))
        leaf, *others = (crypto.load_certificate(crypto.FILETYPE_ASN1, der) for der in chain)
        context.use_certificate(leaf)
        for each in others:
            context.add_extra_chain_cert(each)
        return self.line(domain, context=context)

    def test_names_that_nobody_reads(self) -> None:
        """An alternative name of a kind that is not read (X.400, EDI) is no name and no fault, before any proof."""
        pem = agent_of(self.foo).chain[0].public_bytes(Encoding.PEM)
        path = self.foo.plan.folder / "ca.pem"
        path.write_bytes(pem)
        partner = ClientSettings(
            parse_client_identifier("_rra.partner.test"),
            auth=Method.AUTHORITY,
            ca=(str(path),),
            san_dns="agent.partner.test",
        )
        domain = self.world.domain("baz.test", lambda each: evolve(each, sts=evolve(each.sts, clients=(partner,))))
        for raw in ("3002a300", "3002a500", "30028100", "3000", "0500", "30048202ffff", "ff"):
            with self.subTest(raw=raw):
                names = x509.UnrecognizedExtension(x509.SubjectAlternativeName.oid, bytes.fromhex(raw))
                line = self.lax_line(
                    domain, issued(ec.generate_private_key(ec.SECP256R1()), extensions=((names, False),))
                )
                form = exchange_form(self.bar, self.foo, impersonation(self.bar).text(), client_id="_rra.partner.test")
                self.require_refused(domain, line.form("/token", form), *UNKNOWN)
