"""What an operator's request says, read: filters, verbs and what they need."""

from collections.abc import Mapping
from datetime import timedelta

from twisted.web.iweb import IRequest

from rrsd.core.refusals import Malformed
from rrsd.core.values.addresses import parse_address, parse_domain
from rrsd.core.values.instants import Instant
from rrsd.core.values.jobs import Priority, State
from rrsd.core.values.operations import Filter
from rrsd.core.values.peers import Origin, parse_origin
from rrsd.roles.rra.acting import Given
from rrsd.roles.rra.verbs import OF_A_JOB

MOST_PAGE = 500
LONGEST_AGE = 100 * 365 * 86400


def first(request: IRequest, name: bytes) -> str:
    """The first value of that name in the query, "" for none; refuses with Malformed."""
    values = (request.args or {}).get(name, [b""])
    return decoded(values[0])


def decoded(value: bytes) -> str:
    """UTF-8; refuses with Malformed."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed("query") from None


def text_of(value: object) -> str:
    """A string of a body, "" for none; refuses with Malformed."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Malformed("filter")
    return value


def number_of(request: IRequest, name: bytes, default: int) -> int:
    """A number of the query; `most` is at least 1 and at most `MOST_PAGE`; refuses with Malformed."""
    text = first(request, name)
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise Malformed("number")
    return max(1, min(int(text), MOST_PAGE)) if name == b"most" else int(text)


def whole(value: object, default: int = 0) -> int:
    """A whole number of a body; refuses with Malformed."""
    if value is None:
        return default
    if type(value) is not int or not 0 <= value < 1 << 53:
        raise Malformed("number")
    return value


def wanted_of(given: Mapping[str, object], now: Instant) -> Filter:
    """The filter that the fields `state`, `origin`, `recipient`, `sender`, `condition`, `age` (in seconds, at least)
    and `at_risk` make; refuses with Malformed."""
    recipient, sender = text_of(given.get("recipient")), text_of(given.get("sender"))
    age = whole(given.get("age"))
    if age > LONGEST_AGE:
        raise Malformed("age")
    return Filter(
        state=_state(text_of(given.get("state"))),
        origin=origin_of(text_of(given.get("origin"))),
        recipient=str(parse_address(recipient)) if recipient else "",
        sender=parse_domain(sender).name if sender else "",
        condition=text_of(given.get("condition")),
        older=now - timedelta(seconds=age) if age else None,
        at_risk=given.get("at_risk") in (True, 1),
    )


def wanted_by(request: IRequest, now: Instant) -> Filter:
    """The same from a query."""
    names = ("state", "origin", "recipient", "sender", "condition")
    given: dict[str, object] = {name: first(request, name.encode()) for name in names}
    return wanted_of({**given, "age": number_of(request, b"age", 0), "at_risk": number_of(request, b"at_risk", 0)}, now)


ORDERED = frozenset(
    (
        "all",
        "token",
        "after",
        "for",
        "priority",
        "state",
        "origin",
        "recipient",
        "sender",
        "condition",
        "age",
        "at_risk",
    )
)
"""What the order of a bulk verb may say."""


def require_known(order: Mapping[str, object]) -> None:
    """Returns None if the order says nothing that is not known: a filter that is misspelt would mean every pull.

    Raises:
        Malformed: it does; the detail names it.
    """
    unknown = sorted(order.keys() - ORDERED)
    if unknown:
        raise Malformed(f"{unknown[0][:50]!r} is nothing that an order says; known are {', '.join(sorted(ORDERED))}")


def given_of(body: Mapping[str, object]) -> Given:
    """What a verb needs beside its name: `for` (seconds), `priority`; refuses with Malformed."""
    within, priority = body.get("for"), text_of(body.get("priority"))
    return Given(
        timedelta(seconds=min(whole(within), LONGEST_AGE)) if within is not None else None,
        _priority(priority) if priority else None,
    )


def _priority(text: str) -> Priority:
    try:
        return Priority(text)
    except ValueError:
        raise Malformed("priority: interactive, normal or bulk") from None


def _state(text: str) -> State | None:
    try:
        return State(text) if text else None
    except ValueError:
        raise Malformed("state") from None


def origin_of(text: str) -> Origin | None:
    """The origin, None for ""; refuses with Malformed."""
    return parse_origin(text) if text else None


def needed_origin(text: object) -> Origin:
    """The origin; refuses with Malformed."""
    return parse_origin(text_of(text))


def verb_of(text: str) -> str:
    """A verb of a job; refuses with Malformed."""
    if text not in OF_A_JOB:
        raise Malformed(f"verb: one of {', '.join(OF_A_JOB)}")
    return text
