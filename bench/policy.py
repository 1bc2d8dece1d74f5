"""What one decision of policy costs: `python -m bench.policy`.

The policies that come with rrsd and twenty of an operator, one process, processor time. "Again" is a request for the
same grant, "new" one for a grant that was never asked about before.
"""

import time
from collections.abc import Callable, Sequence
from datetime import timedelta

import click

from bench.figures import COLUMNS, Sheet, rows
from rrsd.cli.output import table
from rrsd.core.values.addresses import parse_address, parse_client_identifier
from rrsd.core.values.digests import digest_of
from rrsd.core.values.instants import instant
from rrsd.core.values.peers import Strength, parse_issuer, parse_origin
from rrsd.core.values.policies import Action, Question
from rrsd.core.values.resources import Grant
from rrsd.drivers.policy.engine import Engine, compile_policies
from rrsd.drivers.policy.service import find_policies, read_schema
from rrsd.drivers.policy.settings import Settings
from rrsd.drivers.policy.texts import parse_policies
from rrsd.roles.rs.flow.permission import Asked, question
from rrsd.roles.sts import permission as sts

GOAL = 150.0
"""Microseconds of processor time."""

NOW = instant(1_790_000_000)
_OWN = """
@id("own-{0}")
forbid (principal is User, action == Action::"retrieve", resource)
when {{ resource.size > 10{0:02} && principal.domain == "d{0}.test" }}
unless {{ context.now.toTime() < duration("{1}h") }};
"""


def engine(number: int) -> Engine:
    """The defaults and `number` policies of an operator."""
    schema = read_schema()
    shipped = find_policies(Settings(), schema)[0]
    own, flaws = parse_policies("".join(_OWN.format(each, each % 24) for each in range(number)), "own", schema)
    if flaws:
        raise ValueError(flaws)
    return Engine(schema, compile_policies([*shipped, *own]))


def retrieval(number: int = 0) -> Question:
    """bob asks for what alice sent."""
    bob, alice = parse_address("bob@bar.test"), parse_address("alice@foo.test")
    client, issuer = parse_client_identifier("_rra.bar.test"), parse_issuer("https://bar.test")
    digest = digest_of(str(number).encode())
    grant = Grant("1@foo.test", digest, 65536, alice, bob, NOW + timedelta(days=7), "video/mp4", "holiday.mp4")
    asked = Asked(bob, client, "webfinger", Strength.TLS, issuer, NOW + timedelta(seconds=number))
    return question(Action.RETRIEVE, asked, grant)


def exchange() -> Question:
    """bar.test's agent asks for a token for bob."""
    bob = parse_address("bob@bar.test")
    client, origin = parse_client_identifier("_rra.bar.test"), parse_origin("https://rs.foo.test")
    return sts.question(sts.Wish(client, [bob.domain], None, bob, "impersonation", origin, NOW))


def cost(run: Callable[[Question], object], questions: Sequence[Question], times: int) -> float:
    """Microseconds of processor time for one question, by the whole batch, `times` over."""
    began = time.process_time()
    for _ in range(times):
        for each in questions:
            run(each)
    return (time.process_time() - began) / (times * len(questions)) * 1e6


def measure(sheet: Sheet, decisions: int) -> None:
    """One run of everything."""
    for number in (0, 20):
        asked = engine(number)
        again, other = [retrieval()], [exchange()]
        new = [retrieval(each) for each in range(decisions)]
        if not asked.decide(again[0]).is_permitted or not asked.decide(other[0]).is_permitted:
            raise ValueError("the measured questions are to be permitted")
        figures = {
            "retrieve, again": cost(asked.decide, again, decisions),
            "retrieve, new": cost(asked.decide, new, 1),
            "exchange": cost(asked.decide, other, decisions),
            "retrieve, checked against the schema": cost(asked.explain, again, decisions),
        }
        name = f"defaults and {number}" if number else "defaults"
        sheet.add("policy", name, {quantity: (value, "µs") for quantity, value in figures.items()})
    sheet.add("policy", "question", {"made": (cost(lambda _: retrieval(1), again, decisions), "µs")})


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--runs", type=click.IntRange(1, 50), default=5, show_default=True, help="Runs.")
@click.option("--decisions", type=click.IntRange(100), default=5000, show_default=True, help="Decisions of each kind.")
def bench(runs: int, decisions: int) -> None:
    """Measure what one decision costs, with the defaults alone and with twenty policies of an operator."""
    sheet = Sheet({})
    for _ in range(runs):
        measure(sheet, decisions)
    click.echo(table(COLUMNS, rows(sheet.figures)))
    for quantity in ("retrieve, again", "retrieve, new", "exchange"):
        found = sheet.find("policy", "defaults and 20", quantity)
        if found is not None:
            said = "met" if found.median <= GOAL else "MISSED"
            click.echo(f"{said}  {quantity} \u2264 {GOAL:.0f} µs: {found.median:.0f} µs")


if __name__ == "__main__":
    bench()
