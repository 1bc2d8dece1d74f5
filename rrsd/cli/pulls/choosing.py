"""The options that choose pulls, the same for `list` and for every verb about many."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from rrsd.config.convert import read_duration
from rrsd.core.refusals import Malformed
from rrsd.core.values.jobs import State
from rrsd.roles.rra.questions import CONDITIONS

C = TypeVar("C", bound=Callable[..., Any])

_OPTIONS = (
    click.option("--state", type=click.Choice([state.value for state in State]), default=None, help="In this state."),
    click.option(
        "--destination", "--origin", "origin", metavar="ORIGIN", default="", help="From it, as in https://rs.foo.test."
    ),
    click.option("--recipient", metavar="ADDRESS", default="", help="For this recipient."),
    click.option("--sender", metavar="DOMAIN", default="", help="Sent by this domain."),
    click.option("--condition", type=click.Choice(CONDITIONS), default=None, help="Its own condition."),
    click.option("--age", metavar="SPAN", default="", help="Accepted so long ago or longer, as in 90s, 10min, 4h, 2d."),
    click.option("--at-risk", is_flag=True, help="Those whose time will hardly do."),
)

_AGAIN = (
    ("state", "--state", ""), ("origin", "--destination", ""), ("recipient", "--recipient", ""),
    ("sender", "--sender", ""), ("condition", "--condition", ""), ("age", "--age", "s"), ("for", "--for", "s"),
    ("priority", "--to", ""),
)  # fmt: skip
"""What a part of an order is called here, and the unit of it."""


def chosen(command: C) -> C:
    """The command with these options."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def seconds_of(text: str) -> int:
    """The whole seconds of a span.

    Raises:
        Malformed: it is none.
    """
    try:
        return int(read_duration(text).total_seconds())
    except ValueError:
        raise Malformed(f"{text!r} is no span of time: write 90s, 10min, 4h or 2d") from None


def wanted_of(age: str = "", at_risk: bool = False, **given: Any) -> dict[str, Any]:
    """What was chosen, by the names that the daemon has for it; what was not is left out."""
    chosen = {name: value for name, value in given.items() if value}
    if age:
        chosen["age"] = seconds_of(age)
    if at_risk:
        chosen["at_risk"] = 1
    return chosen


def words_of(order: Mapping[str, Any]) -> list[str]:
    """The options that an order was made of, to be typed again."""
    words: list[str] = []
    for name, option, unit in _AGAIN:
        if name in order:
            words += [option, f"{order[name]}{unit}"]
    return [*words, *(["--at-risk"] if order.get("at_risk") else [])]
