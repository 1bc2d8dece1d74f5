"""What the identity role can be told."""

from datetime import timedelta
from enum import StrEnum

from attrs import frozen

from rrsd.core.values.settings import key


class Method(StrEnum):
    """The ways in which a certificate's key is proved to belong to the client that it names."""

    DANE = "dane"
    WEBFINGER = "webfinger"
    TXT = "dns-txt"
    ISSUER = "issuer"


@frozen
class Settings:
    """Section `[identity]`."""

    methods: tuple[Method, ...] = key(
        "how the owner of a client identifier is proved; the first method that is published decides",
        (Method.DANE, Method.WEBFINGER, Method.TXT, Method.ISSUER),
    )
    require_dnssec: bool = key(
        "refuse a client's TXT record that DNSSEC does not protect; otherwise it is weak, and policy decides", False
    )
    allow_reserved: bool = key("accept domains like foo.test that public DNS never delegates (only for tests)", False)
    least_kept: timedelta = key("what other domains publish is kept at least this long", timedelta(minutes=1))
    most_kept: timedelta = key("and at most this long, whatever they ask for", timedelta(hours=24))
    negative_kept: timedelta = key("a definite no of another domain is kept this long", timedelta(minutes=1))
    outage_kept: timedelta = key("a domain that cannot be asked is left alone this long", timedelta(seconds=5))
    most_entries: int = key("how many domains, key sets and clients are remembered", 10000)
    max_age: timedelta = key("how long others may keep what this domain publishes", timedelta(hours=1))
