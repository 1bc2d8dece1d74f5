"""`rrsctl pulls`: what is being pulled, why it waits, and how to change that."""

from typing import Any

import click

from rrsd.cli.output import bar, facts, size, table, when
from rrsd.cli.session import Session, pass_session
from rrsd.core.refusals import Malformed
from rrsd.core.values.jobs import State

_PAGE = 500


@click.group(short_help="The pull queue.")
def pulls() -> None:
    """The queue of pulls of the local daemon.

    \b
      rrsctl pulls list --state deferred
      rrsctl pulls explain 17
      rrsctl pulls destinations
      rrsctl pulls retry-now 17
      rrsctl pulls retry-now --origin https://rs.foo.test --all
    """


@pulls.command("list")
@click.option("--state", type=click.Choice([state.value for state in State]), default=None, help="Only these.")
@click.option("--origin", default="", help="Only those from this resource server, as in https://rs.foo.test.")
@click.option("--most", type=click.IntRange(1, 100_000), default=100, show_default=True, help="At most so many.")
@pass_session
def list_pulls(session: Session, state: str | None, origin: str, most: int) -> None:
    """Pulls by number."""
    local, jobs, after = session.local(), list[dict[str, Any]](), 0
    while len(jobs) < most:
        page = local.pulls(state or "", origin, after, min(_PAGE, most - len(jobs)))
        jobs += page.get("pulls", [])
        after = page.get("next") or 0
        if not after:
            break
    rows = [_row(job) for job in jobs]
    columns = ("PULL", "STATE", "FROM", "FOR", "SIZE", "HERE", "NEXT (UTC)")
    session.console.rows({"pulls": jobs, "next": after or None}, columns, rows, "nothing to pull")


def _row(job: dict[str, Any]) -> tuple[object, ...]:
    total = int(job.get("size", 0))
    share = f"{done_of(job) * 100 // total}%" if total else "-"
    following = when(job.get("due")) if job.get("due") else job.get("condition") or "-"
    return job.get("job", 0), job.get("state"), job.get("origin"), job.get("recipient"), size(total), share, following


def done_of(job: dict[str, Any]) -> int:
    """The bytes of a job that are on this disk."""
    return int(job.get("done") or 0)


@pulls.command()
@click.argument("origin", default="")
@pass_session
def destinations(session: Session, origin: str) -> None:
    """How many pulls each resource server may have at once, and why.

    Four at first; one more for as many good pulls in a row as it has, one less at once when it pushes back or fails.
    One that does not answer is left alone (OPEN) and probed ever more rarely. Those of which nothing is known are not
    listed. `sts` is the token service of our own domain. With ORIGIN its latest changes are shown, newest first.

    \b
      rrsctl pulls destinations
      rrsctl pulls destinations https://rs.foo.test
      rrsctl pulls retry-now --all --origin https://rs.foo.test     probe it now
    """
    document = session.local().destinations(origin)
    rows = [_destination(each) for each in document.get("destinations", [])]
    text = table(("DESTINATION", "STATE", "AT ONCE", "ASKED AGAIN (UTC)", "WHY"), rows) if rows else "nothing is known"
    if origin:
        changes = [_change(each) for each in document.get("changes", [])]
        text += "\n\n" + table(("AT (UTC)", "EVENT", "AT ONCE", "WHY"), changes) if changes else ""
    session.console.result(document, text)


def _destination(each: dict[str, Any]) -> tuple[object, ...]:
    state = "open" if each.get("opened") else "asked to wait" if each.get("until") else "closed"
    return each.get("name"), state, each.get("limit"), when(each.get("until")) or "-", each.get("reason") or "-"


def _change(each: dict[str, Any]) -> tuple[object, ...]:
    limits = f"{each.get('before')} to {each.get('after')}"
    return when(each.get("at")), each.get("event"), limits, each.get("reason")


@pulls.command()
@click.argument("job", type=click.IntRange(1))
@pass_session
def show(session: Session, job: int) -> None:
    """One pull with its history."""
    document = session.local().pull(job)
    session.console.result(document, pull_text(document))


def pull_text(document: dict[str, Any]) -> str:
    """A pull as a person reads it."""
    job, fetch = document.get("job", {}), document.get("fetch") or {}
    total, done = int(job.get("size", 0)), max(done_of(job), int(fetch.get("offset") or 0))
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
            ("blame", job.get("blame")),
            ("evidence", job.get("evidence")),
        )
    )
    rows = [
        (when(row.get("at")), row.get("before"), row.get("after"), row.get("event"), row.get("evidence"))
        for row in document.get("history", [])
    ]
    return text + ("\n\n" + table(("AT (UTC)", "FROM", "TO", "EVENT", "EVIDENCE"), rows) if rows else "")


@pulls.command()
@click.argument("job", type=click.IntRange(1))
@pass_session
def explain(session: Session, job: int) -> None:
    """Why a pull is where it is, and what happens next."""
    document = session.local().explain(job)
    session.console.result(document, str(document.get("text") or facts(document.get("facts", {}))))


def _act(name: str, done: str, meaning: str) -> click.Command:
    @click.argument("job", type=click.IntRange(1), required=False)
    @click.option("--origin", default="", help="All from this resource server; needs --all.")
    @click.option("--state", type=click.Choice([state.value for state in State]), default=None, help="Needs --all.")
    @click.option("--all", "is_all", is_flag=True, help="More than one pull is meant.")
    @pass_session
    def command(session: Session, job: int | None, origin: str, state: str | None, is_all: bool) -> None:
        if (job is None) != is_all or (job is not None and (origin or state)):
            raise Malformed(f"say which: rrsctl pulls {name} NUMBER, or rrsctl pulls {name} --all [--origin ORIGIN]")
        if job is not None:
            session.console.result(session.local().act(job, name), f"pull {job} {done}")
            return
        chosen = {"origin": origin, "state": state or "", "all": True}
        document = session.local().act_all(name, {key: value for key, value in chosen.items() if value})
        session.console.result(document, f"{document.get('changed', 0)} pulls {done}")

    return click.command(name, help=meaning)(command)


for _command in (
    _act("retry-now", "will be tried now", "Try now instead of at the next time."),
    _act("hold", "held", "Do not try until it is released."),
    _act("release", "released", "Undo `hold`."),
    _act("cancel", "cancelled", "Give up; what came so far goes with the next sweep."),
):
    pulls.add_command(_command)
