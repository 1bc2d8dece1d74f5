"""The group of `rrsctl pulls`: a command for every row of `rrsd.roles.rra.verbs`."""

import click

from rrsd.cli.pulls import acting, governing, looking, moving, stocktaking


@click.group(short_help="The pull queue.")
def pulls() -> None:
    """The queue of pulls of the local daemon.

    \b
    Look:
      rrsctl pulls list --state deferred --age 1h
      rrsctl pulls explain 17
      rrsctl pulls shape
      rrsctl pulls destinations
    \b
    Change one, or many (the daemon says first how many that are):
      rrsctl pulls retry-now 17
      rrsctl pulls hold --all --destination https://rs.foo.test
      rrsctl pulls extend 17 --for 3d
      rrsctl pulls requeue-fresh --all --state expired
    \b
    Change what starts at all:
      rrsctl pulls pause https://rs.foo.test --reason "asked for by its postmaster"
      rrsctl pulls drain --reason "disk is replaced at noon"
    \b
    Look at what is stored, and take the queue to another host:
      rrsctl pulls verify-store
      rrsctl pulls gc --dry-run
      rrsctl pulls export -o queue.jsonl
    """


for _command in (*looking.COMMANDS, *acting.COMMANDS, *governing.COMMANDS, *stocktaking.COMMANDS, *moving.COMMANDS):
    # Its first sentence, whole: cut short it says nothing.
    _command.short_help = " ".join((_command.help or "").partition("\n\n")[0].split()).partition(". ")[0]
    pulls.add_command(_command)
