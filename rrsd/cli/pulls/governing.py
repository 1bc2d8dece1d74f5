"""The verbs about resource servers and about the whole daemon; what they lay down lasts until it is taken back."""

import click

from rrsd.cli.session import Session, pass_session

_REASON = click.option("--reason", default="", help="Why; `explain`, `list` and `destinations` show it.")


@click.command()
@click.argument("origin")
@_REASON
@pass_session
def pause(session: Session, origin: str, reason: str) -> None:
    """Start nothing more from a resource server.

    What runs goes on to its end. It lasts until `resume`, after a restart too; pulls from there do not expire
    meanwhile, and `explain` names the pause and its reason.

    \b
      rrsctl pulls pause https://rs.foo.test --reason "asked for by its postmaster"
    """
    document = session.local().govern("pause", {"name": origin, "reason": reason})
    session.console.result(document, f"nothing more starts from {origin}")


@click.command()
@click.argument("origin")
@pass_session
def resume(session: Session, origin: str) -> None:
    """Undo `pause`."""
    session.console.result(session.local().govern("resume", {"name": origin}), f"{origin} is asked again")


@click.command()
@click.argument("origin")
@click.argument("most", type=click.IntRange(0))
@_REASON
@pass_session
def limit(session: Session, origin: str, most: int, reason: str) -> None:
    """No more than so many transfers at once from a resource server; 0 lifts it.

    The daemon finds out by itself what a server bears; this is for one whose administrator has asked for less.

    \b
      rrsctl pulls limit https://rs.foo.test 2 --reason "asked for by its postmaster"
    """
    document = session.local().govern("limit", {"name": origin, "most": most, "reason": reason})
    said = f"at most {most} at once from {origin}" if most else f"{origin} has no limit of its own"
    session.console.result(document, said)


@click.command()
@_REASON
@pass_session
def drain(session: Session, reason: str) -> None:
    """Start no pull at all; what runs goes on to its end.

    Messages are accepted, receipts are sent, and what is stored is given out. It lasts until `undrain`, after a
    restart too.
    """
    session.console.result(session.local().drain("drain", reason), "nothing new starts")


@click.command()
@pass_session
def undrain(session: Session) -> None:
    """Undo `drain`."""
    session.console.result(session.local().drain("undrain"), "pulls start again")


COMMANDS = (pause, resume, limit, drain, undrain)
