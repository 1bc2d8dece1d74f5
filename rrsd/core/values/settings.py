"""How a room declares what it can be told: one frozen class, one `key` per INI key."""

from typing import Any

import attrs
from attrs import frozen

from rrsd.core.values.addresses import Address, Domain

HELP = "help"
EXAMPLE = "example"


class Size(int):
    """A number of bytes."""


@frozen
class NamedSize:
    """A number of bytes for a domain or for one address."""

    name: Domain | Address
    size: Size


def key(text: str, default: Any = attrs.NOTHING, *, example: str = "") -> Any:
    """An INI key of a settings class: `text` is its one-line reason in conf/rrsd.ini, no default means required.

    `example` is what conf/rrsd.ini shows where there is no default.
    """
    return attrs.field(default=default, kw_only=True, metadata={HELP: text, EXAMPLE: example})
