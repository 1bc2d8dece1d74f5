"""What DNS says, and how far it may be believed (RFC 1035, RFC 2782, RFC 4035 4.3, RFC 6698)."""

from datetime import timedelta
from enum import StrEnum
from typing import TypeAlias

from attrs import field, frozen


class RecordType(StrEnum):
    """The types of records that are asked for."""

    TXT = "TXT"
    SRV = "SRV"
    TLSA = "TLSA"
    A = "A"
    AAAA = "AAAA"


class Verdict(StrEnum):
    """How far an answer may be believed; a validating resolver on this host decides, nobody else."""

    SECURE = "secure"
    INSECURE = "insecure"
    BOGUS = "bogus"
    TEMPORARY = "temporary"


@frozen
class Text:
    """One TXT record: its character strings joined, whatever bytes they are."""

    data: bytes


@frozen
class Tlsa:
    """One TLSA record as published, unusable ones included (RFC 6698 2.1)."""

    usage: int
    selector: int
    matching: int
    data: bytes


@frozen
class Service:
    """One SRV record; `target` is lower case without the final dot, "" for none (RFC 2782)."""

    priority: int
    weight: int
    port: int
    target: str


@frozen
class Host:
    """One A or AAAA record."""

    address: str


Record: TypeAlias = Text | Tlsa | Service | Host


@frozen
class Records:
    """The answer to one question: the records of the asked type, none when there are none.

    With `Verdict.BOGUS` or `Verdict.TEMPORARY` there are none, and `reason` says why. `life` is how long it may be
    kept, as the zone says.
    """

    verdict: Verdict
    life: timedelta
    records: tuple[Record, ...] = ()
    reason: str = field(default="", eq=False)
