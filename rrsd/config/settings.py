"""The frozen whole: what the INI file says, section by section, each section's class written by its room."""

import re
from collections.abc import Iterator
from datetime import timedelta
from enum import StrEnum

from attrs import frozen

from rrsd.config.ini import Mistake
from rrsd.config.least import mistaken_limits
from rrsd.config.load import parse_whole
from rrsd.config.mail import mistaken_mail
from rrsd.config.resolver import mistaken_resolver
from rrsd.core.proof.times import SKEW
from rrsd.core.values.addresses import Domain
from rrsd.core.values.peers import Issuer
from rrsd.core.values.settings import key
from rrsd.drivers.dns.settings import Settings as Dns
from rrsd.drivers.fetch.settings import Settings as Fetch
from rrsd.drivers.imap.settings import Settings as Imap
from rrsd.drivers.keys.settings import Settings as Keys
from rrsd.drivers.policy.settings import Settings as Policy
from rrsd.drivers.smtp.settings import Settings as Smtp
from rrsd.drivers.store.settings import Settings as Store
from rrsd.drivers.tls.settings import Settings as Tls
from rrsd.roles.admin.settings import Settings as Admin
from rrsd.roles.identity.settings import Settings as Identity
from rrsd.roles.idp.settings import Settings as Idp
from rrsd.roles.mail.settings import Settings as Mail
from rrsd.roles.rra.settings import Settings as Rra
from rrsd.roles.rs.settings import Settings as Rs
from rrsd.roles.sts.settings import Settings as Sts


class Format(StrEnum):
    """How log lines are written."""

    AUTO = "auto"
    TEXT = "text"
    JSON = "json"


class Level(StrEnum):
    """The least important lines that are still written."""

    DEBUG = "debug"
    INFO = "info"
    WARN = "warn"
    ERROR = "error"
    CRITICAL = "critical"


@frozen
class Served:
    """Section `[domain]`: who we are."""

    name: Domain = key("The mail domain that this daemon serves.", example="foo.test")
    issuer: Issuer = key(
        "The issuer identifier of the domain: its host is the domain or lies in it, and this daemon answers there.",
        example="https://id.foo.test",
    )


@frozen
class Front:
    """Section `[front]`: the public listeners."""

    listen: tuple[str, ...] = key(
        "Twisted endpoint descriptions, one per line; systemd:domain=INET6:index=0 takes the socket of rrsd.socket.",
        ("tcp6:443",),
    )
    certificate: str = key(
        "The server's certificate chain in PEM, leaf first, for every host name that is served.",
        "/etc/rrsd/tls/fullchain.pem",
    )
    key: str = key("The private key of that certificate in PEM.", "/etc/rrsd/tls/privkey.pem")


@frozen
class Log:
    """Section `[log]`: what goes to standard error."""

    format: Format = key("How lines are written; auto is text on a terminal and JSON elsewhere.", Format.AUTO)
    level: Level = key("The least important lines that are written.", Level.INFO)


@frozen
class Audit:
    """Section `[audit]`: the trail of every decision."""

    path: str = key(
        "The file that each decision is appended to, one JSON line each; it is opened again on SIGHUP.",
        "/var/lib/rrsd/audit.jsonl",
    )
    claims: bool = key("Write down the decoded claims of assertions too, never their signatures.", False)


@frozen
class Settings:
    """Everything that the operator can say. Field names are the names of sections."""

    domain: Served
    front: Front
    log: Log
    audit: Audit
    store: Store
    keys: Keys
    tls: Tls
    dns: Dns
    fetch: Fetch
    smtp: Smtp
    imap: Imap
    policy: Policy
    identity: Identity
    idp: Idp
    sts: Sts
    rs: Rs
    rra: Rra
    mail: Mail
    admin: Admin


def parse_settings(text: str) -> Settings:
    """The settings that the text of an INI file writes.

    Raises:
        Misconfigured: there are errors; it holds all of them.
    """
    return parse_whole(text, Settings, contradictions)


def contradictions(settings: Settings) -> Iterator[Mistake]:
    """Values that are each right and cannot be right together."""
    yield from _foreign(settings)
    yield from mistaken_resolver(settings.dns)
    yield from mistaken_limits(settings)
    yield from mistaken_mail(settings.mail)
    for section, shorter, longer in _ORDERED:
        room = getattr(settings, section)
        if getattr(room, shorter) > getattr(room, longer):
            yield Mistake(section, shorter, 0, f"it is more than {longer}", f"write no more than {longer} has")
    yield from _short_lived_keys(settings)
    yield from _mistaken_methods(settings.identity)
    if not settings.front.listen:
        yield Mistake("front", "listen", 0, "nobody could connect", "write an endpoint, as in tcp6:443")
    for section, listens in (("front", settings.front.listen), ("admin", (settings.admin.listen or "",))):
        for each in listens:
            port = _PORT.match(each)
            if port is not None and int(port[1]) > 65535:
                yield Mistake(section, "listen", 0, f"{each} names no port", "write a port from 0 to 65535")


def _mistaken_methods(identity: Identity) -> Iterator[Mistake]:
    methods = identity.methods
    if not methods:
        yield Mistake("identity", "methods", 0, "nobody could be proved", "write at least one, as in webfinger")
    if len(set(methods)) < len(methods):
        yield Mistake("identity", "methods", 0, "a method is there twice", "write each method once")


_PORT = re.compile(r"tcp[46]?:(?:port=)?([0-9]+)", re.ASCII)

_ORDERED = (
    ("dns", "least_kept", "most_kept"),
    ("dns", "patience", "deadline"),
    ("identity", "least_kept", "most_kept"),
    ("rs", "lifetime", "longest"),
    ("rra", "active_per_destination", "active"),
)
"""Section, key, and the key that it may not exceed."""


def _short_lived_keys(settings: Settings) -> Iterator[Mistake]:
    """Keys that would be gone before what they signed."""
    keys = settings.keys
    lives = {"[idp] access_life": settings.idp.access_life, "[sts] life": settings.sts.life}
    for name, life in lives.items():
        if keys.grace < life + SKEW:
            wrong = f"tokens outlive the key that signed them: {name} is longer"
            yield Mistake("keys", "grace", 0, wrong, f"write {SKEW.seconds}s more than {name} has, or longer")
    if timedelta(0) < keys.rotate_every < max(keys.grace, settings.identity.max_age):
        wrong = "the next key would sign before everybody knows it"
        yield Mistake("keys", "rotate_every", 0, wrong, "write no less than [keys] grace and [identity] max_age have")


def _foreign(settings: Settings) -> Iterator[Mistake]:
    """Names that have to be the domain's own and are not."""
    domain = settings.domain.name
    if not is_within(settings.domain.issuer.origin.host, domain):
        wrong = f"its host is neither {domain} nor in it"
        yield Mistake("domain", "issuer", 0, wrong, f"write an https URL in {domain}, as in https://id.{domain}")
    client = settings.rra.client
    if client is not None and client.domain != domain:
        yield Mistake("rra", "client", 0, f"it does not belong to {domain}", f"write OU.{domain}, as in _rra.{domain}")


def is_within(host: Domain, domain: Domain) -> bool:
    """Whether `host` is `domain` or a name below it."""
    return host == domain or host.name.endswith(f".{domain.name}")
