"""Metadata of issuers and resource servers."""

import contextlib
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Malformed
from rrsd.core.values.addresses import parse_client_identifier
from rrsd.core.values.peers import parse_issuer, parse_origin, parse_url
from rrsd.core.wire.metadata import (
    MOST_LISTED,
    IssuerMetadata,
    ResourceMetadata,
    parse_issuer_metadata,
    parse_resource_metadata,
    render_issuer_metadata,
    render_resource_metadata,
)

ISSUER = parse_issuer("https://bar.test/issuer1")
LEAST = IssuerMetadata(ISSUER, parse_url("https://bar.test/jwks"), parse_url("https://bar.test/token"))
MOST = IssuerMetadata(
    ISSUER,
    parse_url("https://bar.test/jwks"),
    parse_url("https://bar.test/token"),
    (parse_origin("https://rs.bar.test"), parse_origin("https://rs2.bar.test:8443")),
    parse_url("https://bar.test/authorize"),
    parse_url("https://bar.test/claims"),
    parse_url("https://bar.test/introspect"),
    parse_client_identifier("_rra.bar.test"),
)
RESOURCE = ResourceMetadata(parse_origin("https://rs.bar.test"), (ISSUER,))


class IssuerMetadataTests(SynchronousTestCase):
    """RFC 8414 documents."""

    def test_round_trip(self) -> None:
        """What is rendered parses to the same metadata, the least and the most of it."""
        for metadata in (LEAST, MOST):
            self.assertEqual(parse_issuer_metadata(render_issuer_metadata(metadata)), metadata)

    def test_w02_no_empty_arrays(self) -> None:
        """What is empty is left out; others' empty arrays are read."""
        self.assertNotIn("protected_resources", render_issuer_metadata(LEAST))
        self.assertEqual(parse_issuer_metadata(render_issuer_metadata(LEAST) | {"protected_resources": []}), LEAST)

    def test_endpoints_for_mutual_tls(self) -> None:
        """Their aliases stand in for the other endpoints (RFC 8705 5)."""
        aliases = {"token_endpoint": "https://mtls.bar.test/token"}
        found = parse_issuer_metadata(render_issuer_metadata(LEAST) | {"mtls_endpoint_aliases": aliases})
        self.assertEqual(str(found.token_endpoint), "https://mtls.bar.test/token")

    def test_other_resources_are_passed_over(self) -> None:
        """Protected resources that are not plain origins are not resource servers of ours."""
        listed = ["https://rs.bar.test", "https://rs.bar.test/mail", "http://x.test", "x"]
        found = parse_issuer_metadata(render_issuer_metadata(LEAST) | {"protected_resources": listed})
        self.assertEqual(found.protected_resources, (parse_origin("https://rs.bar.test"),))

    def test_k11_documents_that_are_none(self) -> None:
        """A missing or broken issuer, jwks_uri or token_endpoint is refused, and so is http."""
        good = render_issuer_metadata(MOST)
        changes: list[dict[str, Any]] = [
            {name: None} for name in good if name not in ("tls_client_certificate_bound_access_tokens",)
        ]
        changes += [{name: "http://bar.test/x"} for name in good if name.endswith(("endpoint", "uri", "issuer"))]
        changes += [
            {"mtls_endpoint_aliases": []}, {"mtls_endpoint_aliases": {"token_endpoint": 5}},
            {"protected_resources": "x"}, {"rrs_retrieval_agent": "_RRA.bar.test"}, {"rrs_retrieval_agent": "bar"},
            {"protected_resources": [5]}, {"protected_resources": ["https://x.test"] * (MOST_LISTED + 1)},
        ]  # fmt: skip
        for change in changes:
            self.assertRaises(Malformed, parse_issuer_metadata, good | change)
        for name in ("issuer", "jwks_uri", "token_endpoint"):
            self.assertRaises(
                Malformed, parse_issuer_metadata, {key: value for key, value in good.items() if key != name}
            )

    @settings(derandomize=True, max_examples=200)
    @given(
        st.dictionaries(
            st.sampled_from(["issuer", "jwks_uri", "token_endpoint", "protected_resources", "mtls_endpoint_aliases",
            "resource"]),
            st.sampled_from(["https://bar.test", "https://bar.test/x", [], {}]) | st.none() | st.text(max_size=9),
        )
    )  # fmt: skip
    def test_never_crashes(self, document: dict[str, Any]) -> None:
        """Any object is metadata or `Malformed`."""
        for parse in (parse_issuer_metadata, parse_resource_metadata):
            with contextlib.suppress(Malformed):
                parse(document)


class ResourceMetadataTests(SynchronousTestCase):
    """RFC 9728 documents."""

    def test_round_trip(self) -> None:
        """What is rendered parses to the same metadata and says how tokens are taken."""
        for metadata in (RESOURCE, ResourceMetadata(RESOURCE.resource, ())):
            rendered = render_resource_metadata(metadata)
            self.assertEqual(parse_resource_metadata(rendered), metadata)
            self.assertEqual(rendered["bearer_methods_supported"], ["header"])
            self.assertIs(rendered["tls_client_certificate_bound_access_tokens"], True)

    def test_documents_that_are_none(self) -> None:
        """A resource with a path, none, or servers that are no issuers are refused."""
        good = render_resource_metadata(RESOURCE)
        changes: tuple[dict[str, Any], ...] = (
            {"resource": "https://rs.bar.test/"}, {"resource": None}, {"authorization_servers": "x"},
            {"authorization_servers": ["http://bar.test"]}, {"authorization_servers": [None]},
        )  # fmt: skip
        for change in changes:
            self.assertRaises(Malformed, parse_resource_metadata, good | change)
