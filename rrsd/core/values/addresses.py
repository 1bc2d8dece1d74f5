"""Names of domains, users and clients (RFC 5321 4.1.2, RFC 5890, RFC 8705)."""

import re
from functools import lru_cache
from string import ascii_lowercase, ascii_uppercase

import idna
from attrs import field, frozen

from rrsd.core.refusals import Malformed

MOST_ADDRESS = 254  # RFC 5321 4.5.3.1.3, less the angle brackets
MOST_LOCAL = 64  # RFC 5321 4.5.3.1.1
MOST_DOMAIN = 253

_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_UNIT = re.compile(r"_?[a-z0-9](?:[a-z0-9-]{0,60}[a-z0-9])?", re.ASCII)
_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*", re.ASCII)
_TO_LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)
MOST_REMEMBERED = 4096
"""Texts of names whose reading is remembered: the same few come with every request."""
_RESERVED = frozenset({"local", "localhost", "internal", "invalid", "onion", "test", "example", "arpa", "lan", "home"})


@frozen(order=True)
class Domain:
    """A fully qualified domain name: A-labels, lower case, no trailing dot, two labels or more, never an IP address."""

    name: str

    def __str__(self) -> str:
        return self.name

    @property
    def is_reserved(self) -> bool:
        """Whether the top label is one that the public name space never delegates (RFC 6761, RFC 8375)."""
        return self.name.rpartition(".")[2] in _RESERVED


@lru_cache(MOST_REMEMBERED)
def parse_domain(text: str) -> Domain:
    """The domain that `text` names, U-labels converted by strict IDNA 2008.

    Raises:
        Malformed: it is no such name; an address literal and a single label are not.
    """
    lowered = _lower(text)
    if not 0 < len(lowered) <= MOST_DOMAIN:
        raise Malformed("domain length")
    if not lowered.isascii():
        lowered = _a_labels(lowered)
    labels = lowered.split(".")
    if len(labels) < 2 or not all(_LABEL.fullmatch(label) for label in labels):
        raise Malformed("domain labels")
    if labels[-1].isdigit() or labels[-1].startswith("0x"):
        raise Malformed("domain is an address literal")
    return Domain(lowered)


def _lower(text: str) -> str:
    # ASCII only: str.lower() turns some other letters, the Kelvin sign for one, into ASCII ones.
    return text.translate(_TO_LOWER)


def _a_labels(text: str) -> str:
    try:
        return idna.encode(text, strict=True, std3_rules=True).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        raise Malformed("domain is not IDNA 2008") from None


@frozen(order=True)
class Address:
    """One mailbox, `local@domain`. Equal by `key`: ASCII letters of the local part compare without case."""

    local: str = field(eq=False, order=False)
    domain: Domain = field(eq=False, order=False)
    key: str = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "key", f"{self.local.lower()}@{self.domain.name}")

    def __str__(self) -> str:
        return f"{self.local}@{self.domain.name}"


def parse_address(text: str) -> Address:
    """The mailbox that `text` names: exactly one dot-atom addr-spec, nothing around it.

    Raises:
        Malformed: anything else, quoted local parts and control characters included.
    """
    if len(text) > MOST_ADDRESS or text.count("@") != 1:
        raise Malformed("address form")
    local, _, domain = text.partition("@")
    if len(local) > MOST_LOCAL or not _LOCAL.fullmatch(local):
        raise Malformed("address local part")
    return Address(local, parse_domain(domain))


def without_extension(address: Address, delimiters: str) -> Address | None:
    """The address up to the first of these characters in its local part: whose mailbox `user+detail` is (RFC 5233 4).

    None when there is none, or no local part before it.
    """
    found = [at for each in delimiters if (at := address.local.find(each)) > 0]
    local = address.local[: min(found, default=0)]
    return Address(local, address.domain) if _LOCAL.fullmatch(local) else None


@frozen(order=True)
class ClientIdentifier:
    """The global name of a client: `OU.CN` of its certificate's subject, as in `_rra.bar.test`."""

    unit: str
    domain: Domain

    def __str__(self) -> str:
        return f"{self.unit}.{self.domain.name}"


def parse_client_identifier(text: str) -> ClientIdentifier:
    """The client that `text` names: its first label is the OU, the rest the CN.

    Raises:
        Malformed: there is no such split, or a part is not a name.
    """
    unit, _, domain = text.partition(".")
    return join_client_identifier(unit, domain)


def join_client_identifier(unit: str, common_name: str) -> ClientIdentifier:
    """The client named by the OU and the CN of a certificate's subject.

    Raises:
        Malformed: the OU is not one label or the CN not a domain.
    """
    lowered = _lower(unit)
    if not _UNIT.fullmatch(lowered):
        raise Malformed("client identifier unit")
    return ClientIdentifier(lowered, parse_domain(common_name))
