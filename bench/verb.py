"""The command: what is measured, where, how often, and where the figures go."""

import signal
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import Any, Protocol

import click
from attrs import frozen

from bench import machine, nginx, provider
from bench.calls import Calls
from bench.domains import Domains
from bench.figures import Sheet, by_contest
from bench.ground import Ground, grounded, may_mount
from bench.hall import MIB, Hall
from bench.large import Large
from bench.page import render
from bench.small import SIZE, Small
from rrsd.cli.output import clean
from rrsd.cli.session import Session
from rrsd.core.refusals import Refusal, Unavailable

GIB = 1024 * MIB
CONTESTS = ("large", "small", "calls")


@frozen
class Amounts:
    """How much of everything."""

    large: int = GIB
    small: int = 5000
    requests: int = 5000
    runs: int = 5


FULL, QUICK = Amounts(), Amounts(64 * MIB, 200, 500, 2)


@frozen
class Wanted:
    """What was asked for on the command line."""

    amounts: Amounts
    contests: tuple[str, ...]
    is_huge: bool
    is_ext4: bool
    folder: str

    @property
    def need(self) -> int:
        """The most bytes that are on the disk at a time."""
        large = 5 * self.amounts.large if "large" in self.contests else 0
        huge = 25 * GIB if self.is_huge else 0
        small = (2 + 2 * self.amounts.runs) * self.amounts.small * SIZE * 5 // 4 if "small" in self.contests else 0
        return large + huge + small + 2 * GIB


class Contest(Protocol):
    """Something that is measured."""

    def prepare(self) -> None: ...
    def run(self) -> None: ...
    def judge(self) -> None: ...


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("contests", nargs=-1, type=click.Choice(CONTESTS))
@click.option("--quick", is_flag=True, help="A smoke run: 64 MiB, 200 small ones, 2 runs; its figures mean little.")
@click.option("--runs", type=click.IntRange(1, 50), default=None, help="Runs of each contestant [5].")
@click.option("--huge", is_flag=True, help="One pull of 10 GiB too: memory must not grow with size. Needs 30 GiB.")
@click.option("--ext4/--no-ext4", default=None, help="A fresh journalled ext4 in an image [when root].")
@click.option("--folder", default="", metavar="FOLDER", help="Where the files go; removed afterwards [$TMPDIR].")
@click.option("--json", "lines", type=click.Path(path_type=Path), default=None, help="Write the JSON lines here too.")
@click.option("--page", type=click.Path(path_type=Path), default=None, help="Write the page of the documentation here.")
@click.option("--limit", default=60, show_default=True, help="Minutes after which everything is given up.")
def bench(contests: tuple[str, ...], quick: bool, runs: int | None, **given: Any) -> int:
    """Measure two rrsd domains on this machine beside a reference puller, all in one run, taking turns.

    \b
      large      one resource of 1 GiB: rrsd, the reference puller, curl + sha256sum + fsync
      small      5,000 resources of 64 KiB in one message: rrsd, the reference puller with 8 threads
      calls      token exchanges at the STS and at oidc-provider, verified HEAD requests at the RS, 8 at once

    Without names all of them. The reference puller (bench/puller.py) is one process of the standard library that gets
    the same bytes from nginx over the same mutual TLS, and makes them as durable. nginx is installed when it is
    missing and this is root; without it only rrsd is measured.

    \b
      python -m bench --quick                    two minutes, to see that everything works
      python -m bench                            the real thing, about ten minutes on a quiet machine
      python -m bench large --runs 9 --huge
      python -m bench --page docs/operator/performance.rst
      python -m bench.replays                    the memory of what may be used once, alone, up to 10^6 entries
      python -m bench.queue                      the pull queue: 10^6 jobs, others' trouble, a server that is dead

    Compare figures of one run only. Nothing else should run: the load of the machine is measured before and after.
    """
    amounts = QUICK if quick else FULL
    amounts = Amounts(amounts.large, amounts.small, amounts.requests, runs or amounts.runs)
    is_ext4 = may_mount() if given["ext4"] is None else given["ext4"]
    wanted = Wanted(amounts, contests or CONTESTS, given["huge"], is_ext4, given["folder"])
    with bounded(given["limit"]):
        sheet = _measured(wanted)
    _report(sheet, given["lines"], given["page"])
    return 0


def _measured(wanted: Wanted) -> Sheet:
    before = machine.load()
    missing = nginx.install()
    with ExitStack() as stack:
        ground = stack.enter_context(grounded(wanted.folder, wanted.need, wanted.is_ext4))
        sheet = Sheet(machine.describe(ground.said))
        if missing:
            sheet.notes.append(f"The reference puller and curl were left out: {missing}.")
        hall = _built(stack, ground, sheet, wanted, not missing)
        for contest in _contests(hall, wanted):
            contest.prepare()
            for _ in range(wanted.amounts.runs):
                contest.run()
            contest.judge()
        if wanted.is_huge:
            _huge(hall)
        sheet.notes.append(f"Load average before: {before}; at the end, our own load included: {machine.load()}.")
    return sheet


def _built(stack: ExitStack, ground: Ground, sheet: Sheet, wanted: Wanted, is_served: bool) -> Hall:
    spare = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rrsd-")))
    domains = Domains(ground.path, spare, Session())
    stack.callback(domains.stop)
    _say(f"two domains in {ground.path}: {ground.said}")
    domains.prepare()
    served = None
    if is_served:
        served = stack.enter_context(nginx.serving(ground.path / "nginx", domains.foo.plan, domains.fingerprint))
    other = _other_service(stack, ground, sheet, domains) if "calls" in wanted.contests else None
    return Hall(ground.path, domains, served, other, sheet, wanted.amounts.runs, _say, count())


def _other_service(stack: ExitStack, ground: Ground, sheet: Sheet, domains: Domains) -> provider.Provider | None:
    missing = provider.install()
    if missing:
        sheet.notes.append(f"oidc-provider was left out: {missing}.")
        return None
    found = stack.enter_context(provider.serving(ground.path / "provider", domains))
    sheet.notes.append(f"oidc-provider is {found.version}; it keeps everything in memory and writes no audit trail.")
    return found


def _contests(hall: Hall, wanted: Wanted) -> Iterator[Contest]:
    amounts = wanted.amounts
    made: dict[str, Contest] = {
        "large": Large(hall, amounts.large),
        "small": Small(hall, amounts.small),
        "calls": Calls(hall, amounts.requests),
    }
    return (made[name] for name in CONTESTS if name in wanted.contests)


def _huge(hall: Hall) -> None:
    contest = Large(hall, 10 * GIB)
    contest.prepare(is_served=False)
    contest.pull_rrsd()
    contest.judge()


def _report(sheet: Sheet, lines: Path | None, page: Path | None) -> None:
    click.echo(by_contest(sheet))
    text = "\n".join(sheet.lines()) + "\n"
    click.echo("\n" + text, nl=False)
    if lines is not None:
        lines.write_text(text)
    if page is not None:
        page.write_text(render(sheet))


def _say(text: str) -> None:
    click.echo(text, err=True)


@contextmanager
def bounded(minutes: int) -> Iterator[None]:
    """An end by time or by SIGTERM is an exception, so that everything that was started is stopped."""

    def late(number: int, frame: object) -> None:
        raise Unavailable(f"given up after {minutes} minutes: see --limit")

    def told(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGALRM, late)
    signal.signal(signal.SIGTERM, told)
    signal.alarm(minutes * 60)
    try:
        yield
    finally:
        signal.alarm(0)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit status."""
    try:
        return int(bench.main(arguments, prog_name="python -m bench", standalone_mode=False) or 0)
    except Refusal as refusal:
        _say(f"bench: {clean(refusal.detail or refusal.reason)}")
    except click.exceptions.Abort:
        _say("bench: interrupted; everything is stopped and removed")
        return 130
    except click.ClickException as problem:
        problem.show()
        return problem.exit_code
    return 1
