"""`python -m tests.maildemo [--if-installed]`: show it, in $DEMO_DIR/mail or a folder that goes afterwards."""

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from rrsd.cli.demo.screen import Screen, is_live
from rrsd.cli.demo.verb import make_room
from rrsd.cli.exits import sentence_of
from rrsd.cli.output import duration, parse_size, size
from rrsd.core.refusals import Refusal
from tests.maildemo.needs import missing, optional
from tests.maildemo.story import Story
from tests.secrets.__main__ import main as search

USUAL = "256MiB"
_COPIES = 9
"""Of the large file: alice's, queue files, foo.test's, bar.test's, bob's mailbox and what is saved out of it."""


def main(arguments: list[str]) -> int:
    """The exit status: 0 when everything arrived as it was sent."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.maildemo",
        description="Two domains with real mail servers, and a large file from one to the other, as people see it. "
        f"DEMO_SIZE={USUAL} is how large; DEMO_DIR is where the logs stay; DEMO_KEEP=1 lets the servers run.",
    )
    parser.add_argument("--if-installed", action="store_true", help="no failure where mail servers are not installed")
    given = parser.parse_args(arguments)
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, signal.default_int_handler)  # so that the servers are stopped then too
    screen = Screen(sys.stdout, time.monotonic, is_live(sys.stdout, os.environ))
    why = missing()
    if why:
        screen.plain(f"\nMail is not shown: {why}\n    then: make demo-mail")
        return 0 if given.if_installed else 69
    for each in optional():
        screen.quiet(each)
    number, kept = parse_size(os.environ.get("DEMO_SIZE", "") or USUAL), os.environ.get("DEMO_DIR", "")
    # Servers of other users come through here, and the names of their sockets are short.
    root = Path(tempfile.mkdtemp(prefix="rrsd-demo-", dir="/tmp"))
    if shutil.disk_usage(root).free < _COPIES * number:
        screen.plain(f"Mail is not shown: it needs {size(_COPIES * number)} in {root}, or a smaller DEMO_SIZE")
        return 69
    status = 1
    try:
        status = _told(Story(screen, root, number), screen)
    finally:
        _end(screen, root, Path(kept) / "mail" if kept else None, is_good=status == 0)
    return status


def _told(story: Story, screen: Screen) -> int:
    try:
        story.tell()
        if os.environ.get("DEMO_KEEP", "") not in ("", "0"):
            story.wait()
    except (Refusal, AssertionError) as problem:
        screen.settle()
        told = sentence_of(problem) if isinstance(problem, Refusal) else str(problem)
        screen.say("failed", told)
        return 1
    except KeyboardInterrupt:
        screen.settle()
        screen.say("stopped", "before the end")
        return 130
    finally:
        story.stop()
    if search([str(story.root)], sys.stdout):
        return 1
    screen.say("done", f"nothing was lost, nothing came twice; {duration(screen.passed)} in all")
    return 0


def _end(screen: Screen, root: Path, kept: Path | None, *, is_good: bool) -> None:
    """The logs stay where somebody wants them, everything where something went wrong."""
    if kept is not None:
        make_room(kept)
        (kept.parent / ".rrsd-demo").touch()
        for path in (*root.rglob("*.log"), *root.rglob("*.jsonl"), *root.glob("*.png"), *root.glob("*.txt")):
            copy = kept / path.relative_to(root)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
        screen.quiet(f"            the logs are in {kept}")
    if is_good:
        shutil.rmtree(root, ignore_errors=True)
    else:
        screen.quiet(f"            everything is in {root}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
