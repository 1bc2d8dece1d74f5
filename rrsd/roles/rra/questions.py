"""What an operator's request says, read: filters, verbs and what they need."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TypeVar

from twisted.web.iweb import IRequest

from rrsd.core.refusals import Malformed
from rrsd.core.values.addresses import parse_address, parse_domain
from rrsd.core.values.instants import Instant
from rrsd.core.values.jobs import Priority, State
from rrsd.core.values.operations import Filter
from rrsd.core.values.peers import Origin, parse_origin
from rrsd.roles.rra.acting import Given
from rrsd.roles.rra.verbs import OF_A_JOB

T = TypeVar("T")

MOST_PAGE = 500
LONGEST_AGE = 100 * 365 * 86400


CONDITIONS = (
    "authorization", "destination", "issuer", "operator", "policy", "quota", "receipt", "space",
)  # fmt: skip
"""What the condition of a job may be."""
FILTERS = ("state", "origin", "recipient", "sender", "condition", "age", "at_risk")


def require_asked(request: IRequest, *names: str) -> None:
    """Returns None if the query has no other names, and none twice: what is misspelt would choose everything.

    Raises:
        Malformed: it has; the detail names it.
    """
    for name, values in (request.args or {}).items():
        said = decoded(name)
        if said not in names:
            raise Malformed(f"{said[:50]!r} is nothing that is asked here; known are {', '.join(names)}")
        if len(values) > 1:
            raise Malformed(f"{said!r} is there twice")


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


def text_of(value: object, name: str = "text") -> str:
    """A string of a body, "" for none; refuses with Malformed."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Malformed(f"{name}: it has to be a string")
    return value


def number_of(request: IRequest, name: bytes, default: int) -> int:
    """A number of the query; `most` is at least 1 and at most `MOST_PAGE`; refuses with Malformed."""
    text = first(request, name)
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise Malformed(f"{name.decode('ascii')}: it has to be a whole number")
    return max(1, min(int(text), MOST_PAGE)) if name == b"most" else int(text)


def whole(value: object, default: int = 0, name: str = "number") -> int:
    """A whole number of a body; refuses with Malformed."""
    if value is None:
        return default
    if type(value) is not int or not 0 <= value < 1 << 53:
        raise Malformed(f"{name}: it has to be a whole number")
    return value


def wanted_of(given: Mapping[str, object], now: Instant) -> Filter:
    """The filter that the fields `state`, `origin`, `recipient`, `sender`, `condition`, `age` (in seconds, at least)
    and `at_risk` make; refuses with Malformed."""
    texts = {name: text_of(given.get(name), name) for name in ("state", "origin", "recipient", "sender", "condition")}
    age, condition = whole(given.get("age"), name="age"), texts["condition"]
    if age > LONGEST_AGE:
        raise Malformed("age: it is more than a hundred years, in seconds")
    if condition and condition not in CONDITIONS:
        raise Malformed(f"condition: one of {', '.join(CONDITIONS)}")
    recipient, sender = texts["recipient"], texts["sender"]
    return Filter(
        state=_state(texts["state"]),
        origin=origin_of(texts["origin"]),
        recipient=str(named("recipient", parse_address, recipient)) if recipient else "",
        sender=named("sender", parse_domain, sender).name if sender else "",
        condition=condition,
        older=now - timedelta(seconds=age) if age else None,
        at_risk=given.get("at_risk") in (True, 1),
    )


def named(name: str, parse: Callable[[str], T], text: str) -> T:
    """The value of the field of that name; refuses with Malformed, and says which it is."""
    try:
        return parse(text)
    except Malformed as refusal:
        raise Malformed(f"{name}: {refusal.detail or 'it cannot be read'}") from None


def wanted_by(request: IRequest, now: Instant) -> Filter:
    """The same from a query."""
    names = ("state", "origin", "recipient", "sender", "condition")
    given: dict[str, object] = {name: first(request, name.encode()) for name in names}
    return wanted_of({**given, "age": number_of(request, b"age", 0), "at_risk": number_of(request, b"at_risk", 0)}, now)


ORDERED = frozenset(("all", "token", "after", "for", "priority", *FILTERS))
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
    within, priority = body.get("for"), text_of(body.get("priority"), "priority")
    return Given(
        timedelta(seconds=min(whole(within, name="for"), LONGEST_AGE)) if within is not None else None,
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
        raise Malformed(f"state: one of {', '.join(State)}") from None


def origin_of(text: str) -> Origin | None:
    """The origin, None for ""; refuses with Malformed."""
    return named("origin", parse_origin, text) if text else None


def needed_origin(text: object) -> Origin:
    """The origin; refuses with Malformed."""
    return named("name", parse_origin, text_of(text, "name"))


def verb_of(text: str) -> str:
    """A verb of a job; refuses with Malformed."""
    if text not in OF_A_JOB:
        raise Malformed(f"verb: one of {', '.join(OF_A_JOB)}")
    return text
