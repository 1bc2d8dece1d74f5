"""Mail with rrsd beside mail alone, in one run on one machine: `python -m bench.mail`."""

import re
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from bench import machine, mailsides
from bench.figures import Sheet, by_contest
from bench.ground import grounded, may_mount
from bench.mailcontests import Attached, Many
from bench.verb import bounded
from rrsd.cli.output import clean, parse_size
from rrsd.core.refusals import NoSpace, Refusal
from tests.support.mailhosts import HASTY, SUBMISSION
from tests.support.nameservers import Missing

_LEAST_RATIO = ((500_000_000, 1.5), (0, 1.0))
"""How much faster than mail alone an attachment of so many bytes is to be."""
_COPIES = 9
"""Copies of an attachment that are on the disk at a time, one for each run beside them."""
_SPARE = 1 << 30


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--size", "sizes", multiple=True, metavar="SIZE", help="Bytes of the attachment, repeatable [100MB].")
@click.option("--messages", default=1000, show_default=True, help="Messages of 20 kB without attachment; 0 for none.")
@click.option("--runs", type=click.IntRange(1, 50), default=3, show_default=True, help="Runs of each contestant.")
@click.option("--wire", default=0, metavar="MBITS", help="Megabits a second between the domains [as it comes].")
@click.option("--after-queue", is_flag=True, help="Filter behind the sender's queue, without one before it.")
@click.option("--ext4/--no-ext4", default=None, help="A fresh journalled ext4 in an image [when it can be mounted].")
@click.option("--folder", default="", metavar="FOLDER", help="Where the files go; removed afterwards [$TMPDIR].")
@click.option("--json", "lines", type=click.Path(path_type=Path), default=None, help="Write the JSON lines here too.")
@click.option("--limit", default=30, show_default=True, help="Minutes after which everything is given up.")
def bench(sizes: tuple[str, ...], messages: int, runs: int, lines: Path | None, **given: Any) -> None:
    """Measure two mail domains with rrsd beside two without it, all started here on loopback, taking turns.

    \b
      attachment   from the first byte of submission until it is fetched by IMAP, decoded, and its SHA-256 is right
      messages     20 kB each, without attachment, until IMAP has all: what the filters cost

    Both pairs have the same Postfix and Dovecot with the same settings, and STARTTLS between the domains. With rrsd
    there are OpenDKIM and DNS too, without which nothing is pulled; alone there is neither, except for the rate of
    the messages, which is also measured with OpenDKIM on both sides. Every attachment is new: nothing is in a store.

    \b
      on the wire  all bytes of every connection between the two domains (SMTP, HTTPS), both ways, TLS included,
                   counted by forwarders that the kernel moves the bytes through (splice)
      written      sectors that the block device of the image was told to write, by whomever, until everything is
                   synced; of the processes, write_bytes less cancelled_write_bytes (/proc/PID/io)
      memory       VmHWM of the largest process of each program, since the run began

    \b
      python -m bench.mail --runs 1 --size 10MB --messages 100     to see that everything works
      python -m bench.mail                                         100 MB and 1,000 messages, about three minutes
      python -m bench.mail --size 1GB --runs 2 --messages 0        about three minutes
      python -m bench.mail --wire 100 --runs 1 --messages 0        as between two sites, a minute: what the wire costs

    On loopback a wire costs nothing. --wire gives each connection and direction a speed. With rrsd the sender's Postfix
    has both filters, as the operator's documentation recommends: what can be done at once is done before the queue.
    --after-queue has the one behind it alone.

    Needs root and the packages that `make mail` needs. Compare figures of one run only; nothing else should run.
    """
    wanted = [parse_amount(each) for each in sizes or ("100MB",)]
    before, is_ext4 = machine.load(), may_mount() if given["ext4"] is None else given["ext4"]
    with ExitStack() as stack:
        stack.enter_context(bounded(given["limit"]))
        need = max(wanted) * (_COPIES + 3 * runs) + _SPARE
        ground = stack.enter_context(grounded(given["folder"], need, is_ext4))
        ground.path.parent.chmod(0o755)
        sheet = Sheet(machine.describe(ground.said) | machine.mail())
        speed, door = given["wire"] * 1e6 / 8, SUBMISSION if given["after_queue"] else HASTY
        sides = mailsides.start(ground.path, speed=speed, door=door)
        sheet.notes += [f"Between the domains: {given['wire']} Mbit/s."] if speed else []
        where = "behind the queue alone" if given["after_queue"] else "before the queue, beside the one behind it"
        sheet.notes.append(f"The filter of the way out stood {where}.")
        stack.callback(sides.hosts.stop)
        contests: list[Attached | Many] = [
            Attached(sides, sheet, ground.path, each, _say, next(r for least, r in _LEAST_RATIO if each >= least))
            for each in wanted
        ]
        contests += [Many(sides, sheet, ground.path, messages, _say)] if messages else []
        _warm(sides, ground.path)
        for contest in contests:
            for _ in range(runs):
                contest.run()
            contest.judge()
        sheet.notes.append(f"Load average before: {before}; at the end, our own load included: {machine.load()}.")
    report(sheet, lines)


def _warm(sides: mailsides.Sides, folder: Path) -> None:
    """One small attachment each, unmeasured: discovery, tokens and processes are there."""
    Attached(sides, Sheet({}), folder, 2_000_000, _say, 1.0).run()


def parse_amount(text: str) -> int:
    """MB and GB are the disk makers', MiB and GiB as everywhere in rrsd."""
    found = re.fullmatch(r"(\d+)([MG])B", text.strip())
    return int(found[1]) * {"M": 10**6, "G": 10**9}[found[2]] if found else parse_size(text)


def report(sheet: Sheet, lines: Path | None) -> None:
    """Tables, goals and JSON lines."""
    click.echo(by_contest(sheet))
    if lines is not None:
        lines.write_text("\n".join(sheet.lines()) + "\n")


def _say(text: str) -> None:
    click.echo(text, err=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit status."""
    try:
        bench.main(arguments, prog_name="python -m bench.mail", standalone_mode=False)
    except (Refusal, Missing, NoSpace) as problem:
        _say(f"bench.mail: {clean(problem)}")
        return 1
    except (click.exceptions.Abort, KeyboardInterrupt):
        _say("bench.mail: interrupted; everything is stopped and removed")
        return 130
    except click.ClickException as problem:
        problem.show()
        return problem.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
