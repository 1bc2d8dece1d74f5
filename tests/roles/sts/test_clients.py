"""Registrations, whatever somebody writes into one."""

import contextlib
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Malformed, TooLarge
from rrsd.core.values.clients import Method
from rrsd.core.wire.subjects import NameKind
from rrsd.roles.sts.clients import parse_client
from tests.roles.sts.case import PAIR
from tests.support.parties import Signing

PEM = PAIR.certificate_pem.decode()
KEYS = Signing("_job.bar.test").jwks
WORDS = ("certificates", "ca", "jwks", "jwks_uri", "impersonate", "audiences", "targets", "introspect", "mtls", "more")
PLAIN = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=20), st.just(PEM), st.just("bar.test"),
                  st.just("https://bar.test"), st.just(KEYS))  # fmt: skip
VALUES = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
DOCUMENTS = st.dictionaries(st.sampled_from((*WORDS, *(kind.value for kind in NameKind))), VALUES, max_size=4)


class Documents(SynchronousTestCase):
    """What a document registers."""

    @settings(max_examples=300, deadline=None)
    @given(DOCUMENTS, st.sampled_from([*(each.value for each in Method), "none", 7, None]))
    def test_never_more_than_a_refusal(self, document: dict[str, Any], method: object) -> None:
        """Any document is a client or is refused, and a client has exactly one way to prove itself."""
        with contextlib.suppress(Malformed, TooLarge):
            client = parse_client("_rra.bar.test", {**document, "auth": method})
            ways = [bool(client.certificates), bool(client.authorities), bool(client.keys or client.keys_at)]
            self.assertEqual(ways.count(True), 1)
            self.assertEqual(client.named is not None, client.method is Method.AUTHORITY)

    def test_good(self) -> None:
        """One of each method, with nothing permitted that is not said."""
        documents: tuple[dict[str, Any], ...] = (
            {"certificates": [PEM, PEM]},
            {"auth": "tls_client_auth", "ca": [PEM], "subject_dn": "CN=bar.test,OU=_rra"},
            {"auth": "private_key_jwt", "jwks": KEYS},
            {"auth": "private_key_jwt", "jwks_uri": "https://bar.test/jwks"},
        )
        for document in documents:
            client = parse_client("_rra.bar.test", document)
            self.assertEqual(
                (client.impersonate, client.audiences, client.introspects), (frozenset(), frozenset(), False)
            )
            self.assertEqual((client.targets, client.compares), (None, True))
