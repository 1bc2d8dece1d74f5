"""What is stored: hashed again, and what the collection would remove."""

from typing import Any

import click

from rrsd.cli.output import bar, clean, parse_size, size, table, when
from rrsd.cli.session import Session, pass_session
from rrsd.core.refusals import Malformed


@click.command("verify-store")
@click.option("--rate", metavar="SIZE", default="50MiB", show_default=True, help="Bytes a second, at most.")
@click.option("--progress", "is_look", is_flag=True, help="Begin nothing: how far it is.")
@pass_session
def verify_store(session: Session, rate: str, is_look: bool) -> None:
    """Hash again everything that is stored, in the background.

    What is not what its name says is named and set aside in the folder `quarantine` of the store; nothing is ever
    deleted. Where the sender still keeps it, it is pulled again, and the message shows the new pull. Said while it
    runs, it changes nothing. A restart of the daemon ends it: begin anew.

    \b
      rrsctl pulls verify-store
      rrsctl pulls verify-store --progress
    """
    run = session.local().verifying() if is_look else session.local().verify_store(parse_size(rate))
    session.console.result(run, run_text(run))


def run_text(run: dict[str, Any]) -> str:
    """A run as a person reads it."""
    share = float(run.get("share") or 0)
    ended = f"ended {when(run['ended'])} UTC" if run.get("ended") else f"at most {size(int(run.get('rate', 0)))}/s"
    looked = f"{run.get('looked', 0)} resources, {size(int(run.get('bytes', 0)))}"
    lines = [f"{bar(int(share * 256), 256)} {share:4.0%}  {looked}, {ended}"]
    if run.get("failed"):
        lines.append(clean(f"it ended early: {run['failed']}"))
    for each in run.get("damaged") or ():
        again = ", ".join(str(number) for number in each.get("again") or ()) or "nothing"
        lines.append(clean(f"damaged, set aside: {each.get('digest')}; pulled again by: {again}"))
    lines += [clean(f"cannot be read: {each}") for each in run.get("unreadable") or ()]
    if run.get("ended") and len(lines) == 1:
        lines.append("all of it is what its name says")
    return "\n".join(lines)


@click.command()
@click.option("--dry-run", is_flag=True, help="Needed: the daemon itself collects.")
@click.option("--most", type=click.IntRange(1, 500), default=100, show_default=True, help="Rows of each kind.")
@pass_session
def gc(session: Session, dry_run: bool, most: int) -> None:
    """What the next collection would remove, and why.

    The daemon collects by itself ([rs] collect_every, grace, keep_after_receipt); files of transfers that nobody
    continues go once a day. Nothing that a message shows is ever among them.

    \b
      rrsctl pulls gc --dry-run
    """
    if not dry_run:
        raise Malformed("the daemon collects by itself: say --dry-run to see what would go")
    document = session.local().removable(most)
    rows = [(each.get("name"), size(int(each.get("size", 0))), each.get("why")) for each in document["partials"]]
    rows += [(each.get("digest"), size(int(each.get("size", 0))), each.get("why")) for each in document["resources"]]
    whole = f"\n\n{document.get('count', 0)} in all, {size(int(document.get('bytes', 0)))}"
    session.console.result(document, table(("WHAT", "SIZE", "WHY"), rows) + whole if rows else "nothing would go")


COMMANDS = (verify_store, gc)
