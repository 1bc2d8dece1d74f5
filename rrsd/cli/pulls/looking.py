"""What is being pulled, and why it waits."""

from collections.abc import Container
from typing import Any

import click

from rrsd.cli.output import bar, clean, facts, is_past, size, table, when
from rrsd.cli.pulls.choosing import chosen, wanted_of
from rrsd.cli.session import Session, pass_session
from rrsd.core.values.jobs import ENDED

_PAGE = 500
_NOTHING = "nothing speaks against any, and none has earned more than the others"


@click.command("list")
@chosen
@click.option("--most", type=click.IntRange(1, 100_000), default=100, show_default=True, help="At most so many.")
@click.option("--after", type=click.IntRange(0), default=0, help="Those with a higher number: the next page.")
@pass_session
def list_pulls(session: Session, /, most: int, after: int, **given: Any) -> None:
    """Pulls by number.

    \b
      rrsctl pulls list --state needs_auth
      rrsctl pulls list --destination https://rs.foo.test --age 1d
      rrsctl pulls list --recipient bob@bar.test --json
    """
    local, jobs, wanted = session.local(), list[dict[str, Any]](), wanted_of(**given)
    rulings: list[dict[str, Any]] = []
    while len(jobs) < most:
        page = local.pulls(wanted, after, min(_PAGE, most - len(jobs)))
        jobs += page.get("pulls", [])
        rulings = page.get("rulings") or []
        after = page.get("next") or 0
        if not after:
            break
    for each in rulings:
        session.console.note(ruling_text(each))
    rows = [_row(job, rulings, session.now()) for job in jobs]
    columns = ("PULL", "STATE", "FROM", "FOR", "SIZE", "HERE", "NEXT (UTC)")
    session.console.rows({"pulls": jobs, "next": after or None, "rulings": rulings}, columns, rows, "nothing to pull")
    if after and jobs:
        session.console.note(f"more: rrsctl pulls list --after {after}")


def ruling_text(each: dict[str, Any]) -> str:
    """What an operator laid down, as a person reads it."""
    what = {
        "drain": "drained: nothing new starts (rrsctl pulls undrain)",
        "pause": f"paused: {each.get('name')} (rrsctl pulls resume {each.get('name')})",
        "limit": f"limited: {each.get('name')} to {each.get('most')} at once",
    }.get(str(each.get("kind")), str(each.get("kind")))
    why = f": {each['reason']}" if each.get("reason") else ""
    return clean(f"{what}, since {when(each.get('at'))} UTC by {each.get('who')}{why}")


def _row(job: dict[str, Any], rulings: list[dict[str, Any]], now: float) -> tuple[object, ...]:
    total = int(job.get("size", 0))
    share = f"{done_of(job) * 100 // total}%" if total else "-"
    following = _following(job, rulings, now)
    return job.get("job", 0), job.get("state"), job.get("origin"), job.get("recipient"), size(total), share, following


def _following(job: dict[str, Any], rulings: list[dict[str, Any]], now: float) -> object:
    """Its next time or its condition; what an operator laid down, for one that is due and may not run."""
    if not job.get("due"):
        return job.get("condition") or "-"
    if not is_past(job["due"], now):
        return when(job["due"])
    kinds = {each.get("kind") for each in rulings if each.get("name") in ("", job.get("origin"))}
    return "drained" if "drain" in kinds else "paused" if "pause" in kinds else "due"


def done_of(job: dict[str, Any]) -> int:
    """The bytes of a job that are on this disk."""
    return int(job.get("done") or 0)


@click.command()
@click.argument("origin", default="")
@pass_session
def destinations(session: Session, origin: str) -> None:
    """How many pulls each resource server may have at once, and why.

    Four at first; one more for as many good pulls in a row as it has, one less at once when it pushes back or fails.
    One that does not answer is left alone (OPEN) and probed ever more rarely. Those that nothing speaks against, and
    that have earned nothing, are not listed. `sts` is the token service of our own domain. With ORIGIN its latest
    changes are shown, newest first.

    \b
      rrsctl pulls destinations
      rrsctl pulls destinations https://rs.foo.test
      rrsctl pulls retry-now --destination https://rs.foo.test     probe it now
    """
    document = session.local().destinations(origin)
    for each in document.get("rulings") or []:
        session.console.note(ruling_text(each))
    paused = {each.get("name") for each in document.get("rulings") or [] if each.get("kind") == "pause"}
    rows = [_destination(each, paused) for each in document.get("destinations", [])]
    text = table(("DESTINATION", "STATE", "AT ONCE", "ASKED AGAIN (UTC)", "WHY"), rows) if rows else _NOTHING
    if origin:
        text = text if rows else f"nothing speaks against {origin}"
        changes = [_change(each) for each in document.get("changes", [])]
        text += "\n\n" + table(("AT (UTC)", "EVENT", "AT ONCE", "WHY"), changes) if changes else ""
    session.console.result(document, text)


def _destination(each: dict[str, Any], paused: Container[Any]) -> tuple[object, ...]:
    state = "open" if each.get("opened") else "asked to wait" if each.get("until") else "closed"
    state = "paused" if each.get("name") in paused else state
    return each.get("name"), state, each.get("limit"), when(each.get("until")) or "-", each.get("reason") or "-"


def _change(each: dict[str, Any]) -> tuple[object, ...]:
    limits = f"{each.get('before')} to {each.get('after')}"
    return when(each.get("at")), each.get("event"), limits, each.get("reason")


@click.command()
@click.argument("job", type=click.IntRange(1))
@pass_session
def show(session: Session, job: int) -> None:
    """One pull with its history."""
    document = session.local().pull(job)
    session.console.result(document, pull_text(document))


def pull_text(document: dict[str, Any]) -> str:
    """A pull as a person reads it."""
    job, fetch = document.get("job", {}), document.get("fetch") or {}
    total, durable = int(job.get("size", 0)), int(fetch.get("offset") or 0)
    done = done_of(job) if job.get("state") in ENDED else max(done_of(job), durable)
    text = facts(
        (
            ("pull", job.get("job")),
            ("state", job.get("state")),
            ("resource", job.get("digest")),
            ("from", job.get("origin")),
            ("for", job.get("recipient")),
            ("message", job.get("message_id")),
            ("here", f"{bar(done, total)}  {size(done)} of {size(total)}"),
            ("attempts", job.get("attempts")),
            ("next", when(job["due"]) if job.get("due") else job.get("condition")),
            ("until", when(job.get("deadline"))),
            *_ends(job),
            ("blame", job.get("blame")),
            ("evidence", job.get("evidence")),
        )
    )
    rows = [
        (when(row.get("at")), row.get("before"), row.get("after"), row.get("event"), row.get("evidence"))
        for row in document.get("history", [])
    ]
    return text + ("\n\n" + table(("AT (UTC)", "FROM", "TO", "EVENT", "EVIDENCE"), rows) if rows else "")


def _ends(job: dict[str, Any]) -> list[tuple[str, object]]:
    """What else is known about its time."""
    named = (("sender's end", "not_after"), ("at risk since", "at_risk"), ("held since", "held"))
    return [(name, when(job[key])) for name, key in named if job.get(key)]


@click.command()
@click.argument("job", type=click.IntRange(1))
@pass_session
def explain(session: Session, job: int) -> None:
    """Why a pull is where it is, who is to blame, and what would unblock it.

    It names everything that it waits for, the outermost first, when it moves by itself, and how its last attempts
    ended. The same sentences stand in the notices that people get.
    """
    document = session.local().explain(job)
    session.console.result(document, explanation_text(document))


def explanation_text(document: dict[str, Any]) -> str:
    """The daemon's own sentences, and the facts below them."""
    found = document.get("facts") or {}
    named = ("state", "blame", "next", "ahead", "eta", "at_risk", "successor")
    shown = facts([(name, when(found[name]) if name in ("next", "eta", "at_risk") else found[name])
                   for name in named if found.get(name)])  # fmt: skip
    waits = ", ".join(found.get("waits_for") or ())
    lines = [clean(document.get("text") or ""), shown, f"waits for  {clean(waits)}" if waits else ""]
    rows = [(when(row.get("at")), row.get("event"), row.get("evidence")) for row in found.get("attempts") or ()]
    attempts = "\n" + table(("LAST ATTEMPTS (UTC)", "END", "EVIDENCE"), rows) if rows else ""
    return "\n".join([*(line for line in lines if line), attempts]).rstrip()


@click.command()
@click.option("--most", type=click.IntRange(1, 500), default=20, show_default=True, help="Destinations with a row.")
@pass_session
def shape(session: Session, most: int) -> None:
    """How many pulls wait, by destination and age (as qshape of Postfix).

    Each column has those that are at most so old and older than the column before. A long row with much on the right
    is a destination that has been failing for long; much on the left in many rows is a burst, or a host too slow.
    """
    document = session.local().shape(most)
    rows = [_shape_row(row) for row in document.get("rows", [])]
    ages = [_age(each) for each in document.get("ages", [])]
    columns = ("FROM", "T", *ages, f"{ages[-1] if ages else ''}+")
    total = [sum(column) for column in zip(*(row[1:] for row in rows), strict=True)]
    session.console.rows(document, columns, [("TOTAL", *total), *rows] if rows else [], "nothing waits")


def _shape_row(row: dict[str, Any]) -> tuple[Any, ...]:
    name = row.get("name") or f"({row.get('destinations', 0)} others)"
    return name, int(row.get("total", 0)), *(int(each) for each in row.get("counts", []))


def _age(seconds: int) -> str:
    for many, unit in ((86400, "d"), (3600, "h")):
        if seconds >= many:
            return f"{seconds // many}{unit}"
    return f"{seconds // 60}m"


COMMANDS = (list_pulls, show, explain, shape, destinations)
