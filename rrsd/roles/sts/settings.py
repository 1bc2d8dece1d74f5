"""What the Security Token Service can be told."""

from datetime import timedelta

from attrs import frozen

from rrsd.core.values.addresses import ClientIdentifier, Domain
from rrsd.core.values.clients import Method
from rrsd.core.values.peers import Url
from rrsd.core.values.settings import key


@frozen
class ClientSettings:
    """One `[sts.client.OU.CN]` section: a client that may exchange tokens here."""

    client: ClientIdentifier
    auth: Method = key("how it proves itself, in this one way only", Method.SELF_SIGNED)
    certificate: tuple[str, ...] = key(
        "with self_signed_tls_client_auth: its certificates in PEM, a file per line; two while one replaces the other",
        (),
        example="/etc/rrsd/clients/_rra.foo.test.pem",
    )
    ca: tuple[str, ...] = key(
        "with tls_client_auth: the CAs that may issue its certificate, in PEM; never those of the system",
        (),
        example="/etc/rrsd/clients/partner-ca.pem",
    )
    subject_dn: str | None = key("with tls_client_auth: the subject of its certificate, as RFC 4514 writes it", None)
    san_dns: str | None = key("or instead a host name that its certificate has", None)
    san_uri: str | None = key("or instead a URI that its certificate has", None)
    san_ip: str | None = key("or instead an IP address that its certificate has", None)
    san_email: str | None = key("or instead a mail address that its certificate has", None)
    jwks: str | None = key("with private_key_jwt: a file with its public keys, a JWK set", None)
    jwks_uri: Url | None = key("or instead where it publishes them, asked at most once a minute", None)
    impersonate: tuple[Domain, ...] = key("domains whose users it may name by itself, without a token of theirs", ())
    audiences: tuple[str, ...] = key(
        "the resources that it serves: it may exchange, and introspect, tokens that were issued for one of these",
        (),
        example="https://foo.test",
    )
    targets: tuple[str, ...] = key("resource servers that it may ask for, as https origins, or * for any", ("*",))
    introspect: bool = key("it may ask whether tokens for its audiences are active", False)
    mtls: bool = key("it compares its callers' certificates; with no, bound tokens are inactive to it", True)


@frozen
class Settings:
    """Section `[sts]`. The agent of this daemon is registered without a section of its own."""

    life: timedelta = key("a delegation is good this long at most; never more than 5 minutes", timedelta(minutes=5))
    longest_chain: int = key("actors that a token may name, those before the client included; at most 16", 4)
    exchanges_per_second: int = key("requests that one client may make in a second, on average", 200)
    failures_per_address: int = key("refused requests of one network address in a minute before it has to wait", 60)
    inactive_per_client: int = key("tokens that are not active, asked by one client in a minute before it waits", 120)
    clients: tuple[ClientSettings, ...] = ()
