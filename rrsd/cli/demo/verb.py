"""`rrsctl demo`: the story on a screen, everything cleaned up after it."""

import shutil
import signal
import tempfile
import time
from pathlib import Path

import click

from rrsd.cli.demo.daemons import socket_path
from rrsd.cli.demo.screen import Screen, is_live
from rrsd.cli.demo.story import RECIPIENT, Story
from rrsd.cli.exits import sentence_of
from rrsd.cli.output import duration, parse_size, size
from rrsd.cli.session import Session, pass_session
from rrsd.core.refusals import Conflict, NoSpace, Refusal

_GIB = 1024 * 1024 * 1024
_COPIES = 4  # alice's file, foo.test's, bar.test's, and what bob gets


@click.command(short_help="Two domains, one large message, one crash, nothing lost.")
@click.option("--size", "wanted", metavar="SIZE", default="", help="The large file [$DEMO_SIZE, 1GiB].")
@click.option("--folder", metavar="FOLDER", default="", help="Where everything goes, and stays [$DEMO_DIR].")
@click.option("--keep", is_flag=True, help="Keep the daemons running and say what to try [$DEMO_KEEP=1].")
@pass_session
def demo(session: Session, wanted: str, folder: str, keep: bool) -> int:
    """Start foo.test and bar.test on this machine and show the whole way of a message with a large file.

    bar.test's daemon is killed in mid-transfer and started again. Takes about a minute, and four times SIZE of disk.

    \b
      rrsctl demo
      rrsctl demo --size 64MiB
      rrsctl demo --keep --folder ./demo-data
    """
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, signal.default_int_handler)  # so that the daemons are stopped then too
    number = parse_size(wanted or session.environ.get("DEMO_SIZE", "") or str(_GIB))
    kept = folder or session.environ.get("DEMO_DIR", "")
    is_kept = keep or session.environ.get("DEMO_KEEP", "") not in ("", "0")
    with tempfile.TemporaryDirectory(prefix="rrsd-") as spare:
        root = Path(kept).absolute() if kept else Path(tempfile.mkdtemp(prefix="rrsd-demo-"))
        make_room(root)
        screen = Screen(session.console.out, time.monotonic, is_live(session.console.out, session.environ))
        _require_space(root, number)
        story = Story(screen, session, root, number, lambda name: socket_path(root, name, Path(spare)))
        return _told(story, is_kept, is_folder_kept=bool(kept))


def _told(story: Story, is_kept: bool, is_folder_kept: bool) -> int:
    is_good = False
    try:
        story.tell()
        is_good = True
        story.screen.plain()
        story.screen.say("done", f"nothing was lost; {duration(story.screen.passed)} in all")
        if is_kept:
            _wait(story)
    except Refusal as refusal:
        story.screen.settle()
        story.screen.say("failed", sentence_of(refusal))
        raise
    finally:
        story.stop()
        if is_good and not is_folder_kept:
            shutil.rmtree(story.root, ignore_errors=True)
        elif not is_good:
            story.screen.quiet(f"            the logs are in {story.root}")
    return 0


def _wait(story: Story) -> None:
    """Say what can be tried, until Ctrl-C."""
    bob, bar = story.people[RECIPIENT], story.daemons[RECIPIENT.partition("@")[2]]
    story.screen.title("Both daemons keep running. Try, in another terminal:")
    for command in (
        f"rrsctl --profile {bob.profile} inbox",
        f"rrsctl --profile {bob.profile} get last 1 -o photograph.png",
        f"rrsctl --config {bar.plan.config} pulls list",
        f"rrsctl --config {bar.plan.config} pulls show 1",
        f"rrsctl --config {bar.plan.config} check",
        f"tail -f {bar.audit}",
        f"curl --cacert {bar.plan.authority}/ca.pem "
        f"--connect-to bar.test:443:127.0.0.1:{bar.port} https://bar.test/.well-known/oauth-authorization-server",
    ):
        story.screen.plain(f"  {command}")
    story.screen.quiet("Ctrl-C ends it.")
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        story.screen.plain()


def make_room(root: Path) -> None:
    """An empty folder for the story; what an earlier demo left there goes.

    Raises:
        Conflict: there is something else in it.
    """
    root.mkdir(parents=True, exist_ok=True)
    marker = root / ".rrsd-demo"
    if any(root.iterdir()) and not marker.exists():
        raise Conflict(f"{root} holds something that is not the demo's: set DEMO_DIR to an empty folder")
    for entry in root.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
    marker.touch()


def _require_space(root: Path, number: int) -> None:
    free = shutil.disk_usage(root).free
    if free < _COPIES * number + 64 * 1024 * 1024:
        raise NoSpace(f"the demo needs {size(_COPIES * number)} in {root}: set DEMO_DIR or a smaller DEMO_SIZE")
