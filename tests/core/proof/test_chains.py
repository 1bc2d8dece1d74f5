"""M-06, M-07: certification paths of client certificates."""

from datetime import timedelta

from attrs import evolve
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.proof.chains import MOST_CHAIN, prove_chain
from rrsd.core.refusals import Unproven
from tests.core import signing
from tests.support.authorities import CA, CLIENT, SERVER, Issued, root, subject, usage, weakened
from tests.support.certificates import START

NOW = signing.NOW
DAY = timedelta(days=1)


def alternative(*names: x509.GeneralName) -> tuple[x509.ExtensionType, bool]:
    """A subject alternative name."""
    return x509.SubjectAlternativeName(names), False


def only(*names: x509.GeneralName, critical: bool = True) -> tuple[x509.ExtensionType, bool]:
    """A constraint to those names."""
    return x509.NameConstraints(permitted_subtrees=names, excluded_subtrees=None), critical


class ChainTests(SynchronousTestCase):
    """Paths to a CA that is trusted for one client."""

    def setUp(self) -> None:
        """One CA."""
        self.root = root()

    def accept(self, leaf: Issued, *anchors: Issued) -> None:
        """There is a path."""
        prove_chain(leaf.peer, [each.der for each in anchors or (self.root,)], NOW)

    def refuse(self, leaf: Issued, *anchors: Issued) -> None:
        """There is none that is good."""
        with self.assertRaises(Unproven):
            prove_chain(leaf.peer, [each.der for each in anchors or (self.root,)], NOW)

    def test_good(self) -> None:
        """Directly below the CA or below others of its, with and without the extensions that a leaf may have."""
        self.accept(self.root.client("_rra", "bar.test"))
        self.accept(self.root.client("_rra", "bar.test", CLIENT, (usage(signatures=True), True)))
        self.accept(self.root.authority("I").client("_rra", "bar.test"), root("Other"), self.root)
        self.accept(self.root.issue(subject(None, "x"), key=ed25519.Ed25519PrivateKey.generate()))

    def test_m07_right_subject_from_another_ca(self) -> None:
        """Another CA's certificate proves nothing, though the CA has the same name; nor does a self-signed one."""
        self.refuse(root("Other").client("_rra", "bar.test"))
        self.refuse(root("Root").client("_rra", "bar.test"))
        self.refuse(root("bar.test"))

    def test_m07_leaf_that_is_a_ca(self) -> None:
        """A CA's certificate is no client's, and a certificate is not its own anchor."""
        self.refuse(self.root.client("_rra", "bar.test", (CA, True)))
        leaf = self.root.client("_rra", "bar.test")
        self.refuse(leaf, leaf)
        self.refuse(self.root)

    def test_m07_leaf_that_issues(self) -> None:
        """A client that signs for another one is no CA; nor is a CA whose key is for other things."""
        self.refuse(self.root.client("_rra", "foo.test").client("_rra", "bar.test"))
        other = ((CA, True), (usage(signatures=True), True))
        self.refuse(self.root.issue(subject(None, "I"), other).client("_rra", "bar.test"))

    def test_m07_usages(self) -> None:
        """A certificate for servers, or for key agreement, proves no client; nor does a CA for servers."""
        self.refuse(self.root.client("_rra", "bar.test", SERVER))
        self.refuse(self.root.client("_rra", "bar.test", (usage(agreement=True), True)))
        self.refuse(self.root.authority("I", SERVER).client("_rra", "bar.test"))
        self.accept(self.root.authority("J", CLIENT).client("_rra", "bar.test"))

    def test_m07_name_constraints(self) -> None:
        """A CA that may issue for one domain proves nothing about another; constraints that nobody checks refuse."""
        limited = self.root.authority("I", only(x509.DNSName("foo.test")))
        self.accept(limited.client("_rra", "x", alternative(x509.DNSName("a.foo.test"))))
        self.refuse(limited.client("_rra", "x", alternative(x509.DNSName("a.bar.test"))))
        post = self.root.authority("M", only(x509.RFC822Name("foo.test")))
        self.refuse(post.client("_rra", "x", alternative(x509.RFC822Name("a@bar.test"))))
        for critical in (True, False):
            named = only(x509.DirectoryName(subject("_rra", "foo.test")), critical=critical)
            self.refuse(self.root.authority("D", named).client("_rra", "bar.test"))

    def test_m07_long_chains(self) -> None:
        """Five in between are enough; six are too many, needed or not."""
        ca = self.root
        for number in range(MOST_CHAIN):
            ca = ca.authority(f"I{number}")
        leaf = ca.client("_rra", "bar.test")
        self.accept(leaf)
        self.refuse(evolve(leaf, above=(*leaf.above, root("Other").certificate)))
        self.refuse(ca.authority("I5").client("_rra", "bar.test"))

    def test_m07_old_signatures(self) -> None:
        """SHA-1 and MD5 sign nothing, whoever the CA is."""
        key = signing.rsa_key()
        old = root("Old", key)
        good = old.client("_rra", "bar.test")
        self.accept(good, old)
        for algorithm in (hashes.SHA1(), hashes.MD5()):
            self.refuse(weakened(good, key, algorithm), old)

    def test_m06_dates(self) -> None:
        """Whatever of the path is over, or has not begun, proves nothing."""
        self.refuse(self.root.issue(subject("_rra", "bar.test"), end=NOW - DAY))
        self.refuse(self.root.issue(subject("_rra", "bar.test"), start=NOW + DAY))
        above = ((CA, True), (usage(certificates=True), True))
        self.refuse(self.root.issue(subject(None, "I"), above, start=START, end=NOW - DAY).client("_rra", "bar.test"))

    def test_unknown_critical_extension(self) -> None:
        """What must be understood and is not refuses (RFC 5280 4.2)."""
        odd = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.55555.1"), b"\x04\x00")
        self.refuse(self.root.client("_rra", "bar.test", (odd, True)))
        self.accept(self.root.client("_rra", "bar.test", (odd, False)))

    def test_no_certificates(self) -> None:
        """Bytes that are none, and no anchors at all, prove nothing."""
        leaf = self.root.client("_rra", "bar.test").peer
        for chain, anchors in (((b"x",), [self.root.der]), ((), [b"x"]), ((), [])):
            with self.assertRaises(Unproven):
                prove_chain(evolve(leaf, chain=chain), anchors, NOW)

    def test_certificates_that_only_openssl_reads(self) -> None:
        """One of a version that does not exist, among those that came with the leaf, is no way to a CA and no fault."""
        odd = self.root.der.replace(bytes.fromhex("a003020102"), bytes.fromhex("a003020105"), 1)
        self.assertNotEqual(odd, self.root.der)
        leaf = self.root.client("_rra", "bar.test").peer
        for chain, anchors in (((odd,), [self.root.der]), ((), [odd])):
            with self.assertRaises(Unproven):
                prove_chain(evolve(leaf, chain=chain), anchors, NOW)
