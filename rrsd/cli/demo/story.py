"""The story: alice sends, bar.test pulls, dies, comes back and goes on; bob reads, and the sums agree."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attrs import define, field

from rrsd.cli.demo.daemons import Daemon, host_table, prepare
from rrsd.cli.demo.files import LETTER, Attached, write_bytes, write_noise, write_photograph
from rrsd.cli.demo.people import Person, settle
from rrsd.cli.demo.screen import Screen, claim_lines, speed
from rrsd.cli.demo.trail import Told, claims_in, nine_steps, read_trail, resumed_at
from rrsd.cli.downloads import Downloader
from rrsd.cli.mailbox import find_message, part_wanted, safe_name
from rrsd.cli.output import clean, size
from rrsd.cli.pulls.looking import done_of
from rrsd.cli.send import compose
from rrsd.cli.session import Session
from rrsd.cli.uploads import Stored, Uploader
from rrsd.core.refusals import Damaged, Unavailable
from rrsd.core.values.digests import Digest
from rrsd.core.values.instants import instant

SENDER, RECIPIENT = "alice@foo.test", "bob@bar.test"
KILL_AT = 0.4  # of the large file
RECEIPTS_WITHIN = 10.0
WITHIN = 600.0  # seconds for one act; the whole takes about a minute
_LOOK_AGAIN = 0.01
_ARRIVED = {"stored", "receipted"}
_OVER = {"failed", "expired", "cancelled", "quarantined", "held"}


@define(eq=False)
class Story:
    """Everything that happens, in order."""

    screen: Screen
    session: Session
    root: Path
    size: int
    sockets: Callable[[str], Path]
    daemons: dict[str, Daemon] = field(factory=dict, init=False)
    people: dict[str, Person] = field(factory=dict, init=False)

    def tell(self) -> None:
        """From nothing to the sums.

        Raises:
            Damaged: they do not agree.
            Unavailable: something did not happen in time.
        """
        self._prepare()
        attached = self._make_files()
        self._start()
        stored = self._send(attached)
        job = self._kill(attached[0])
        got, took = self._receive(attached)
        self._wait_for_receipts()
        self._steps(attached[0], stored[0], got, took, job)
        self._sums(attached, got)

    def stop(self) -> None:
        """Stop what runs, the last started first."""
        for daemon in reversed(self.daemons.values()):
            daemon.stop()

    # --- the acts

    def _prepare(self) -> None:
        self.screen.title("Two domains on this machine, one large message, one crash")
        names = tuple(address.partition("@")[2] for address in (SENDER, RECIPIENT))
        self.daemons |= prepare(self.root, names, instant(self.session.now()), self.sockets)
        self.screen.say("keys", "signing keys, client certificates, a development authority")
        self.screen.quiet(f"            everything is in {self.root}")

    def _make_files(self) -> list[Attached]:
        folder = self.root / "alice"
        folder.mkdir(exist_ok=True)
        film = write_noise(folder / "film.bin", self.size, lambda n: self.screen.progress("files", n, self.size))
        self.screen.settle()
        photograph = write_photograph(folder / "photograph.png")
        letter = write_bytes(folder / "letter.txt", LETTER.encode())
        attached = [film, photograph, letter]
        self.screen.say("files", ", ".join(f"{each.path.name} {size(each.size)}" for each in attached))
        return attached

    def _start(self) -> None:
        for daemon in self.daemons.values():
            daemon.start()
        for daemon in self.daemons.values():
            daemon.wait_ready()
            self.screen.say("daemon", f"{daemon.name} listens on 127.0.0.1:{daemon.port}, process {daemon.pid}")
        for address in (SENDER, RECIPIENT):
            home = self.daemons[address.partition("@")[2]]
            self.people[address] = settle(address, home, self.root, host_table(self.daemons), self.session)
        self.screen.say("login", f"{SENDER} and {RECIPIENT}, authorization code with PKCE")

    def _send(self, attached: list[Attached]) -> list[Stored]:
        alice = self.people[SENDER]
        self.screen.title("Alice sends")
        stored = [self._upload(alice, each) for each in attached]
        draft = {"to": [RECIPIENT], "cc": [], "bcc": [], "subject": "The holiday", "text": LETTER}
        message = compose(alice.client, draft, [each.path for each in attached], stored)
        (self.root / "message.eml").write_bytes(message)
        total = sum(each.size for each in attached)
        self.screen.say("message", f"{size(len(message))} of mail stand for {size(total)} of attachments")
        bar = self._recipients_home()
        _run_rrsctl(bar, ["deliver", "-f", SENDER, RECIPIENT], message)
        self.screen.say("deliver", f"bar.test's mail server hands it over: rrsctl deliver -f {SENDER} {RECIPIENT}")
        return stored

    def _upload(self, alice: Person, file: Attached) -> Stored:
        uploader = Uploader(alice.client, time.sleep, time.monotonic)
        stored = uploader.store(file.path, lambda n: self.screen.progress("upload", n, file.size, file.path.name))
        self.screen.settle()
        self.screen.say("upload", f"{file.path.name}: {speed(file.size, stored.took)}, kept by foo.test")
        return stored

    def _kill(self, film: Attached) -> dict[str, Any]:
        """Watch the pull of the large file, kill the puller in the middle, start it again; what was durable then."""
        self.screen.title("bar.test pulls its own copy")
        bar, seen = self._recipients_home(), self._watch(film)
        if seen["state"] in _ARRIVED:
            self.screen.say("kill", "too late: it arrived before it could be killed; try a larger DEMO_SIZE")
            return seen
        pid = bar.pid
        bar.kill()
        self.screen.settle()
        here, durable = size(done_of(seen)), size(int(seen["durable"]))
        self.screen.say("kill", f"SIGKILL to process {pid} with {here} here, {durable} of it durable")
        bar.start()
        bar.wait_ready()
        local = bar.local()
        after = local.pull(seen["job"])
        local.close()
        offset = int((after.get("fetch") or {}).get("offset") or 0)
        self.screen.say(
            "restart", f"process {bar.pid} is ready; the queue knows {size(offset)} as durable and goes on there"
        )
        return seen

    def _watch(self, film: Attached) -> dict[str, Any]:
        """The job of the large file as soon as enough of it is here for a crash in the middle, or all of it is."""
        local, end, job = self._recipients_home().local(), time.monotonic() + WITHIN, 0
        while time.monotonic() < end:
            job = job or self._job_of(film)
            if job:
                shown = local.pull(job)
                seen: dict[str, Any] = {**shown["job"], "durable": (shown.get("fetch") or {}).get("offset") or 0}
                self.screen.progress("pull", done_of(seen), film.size)
                self._require_alive(seen)
                if seen["state"] in _ARRIVED or (seen["durable"] and done_of(seen) >= KILL_AT * film.size):
                    local.close()
                    return seen
            time.sleep(_LOOK_AGAIN)
        raise Unavailable(f"the pull did not get so far in {WITHIN:.0f} s: read {self._recipients_home().log}")

    def _job_of(self, film: Attached) -> int:
        local = self._recipients_home().local()
        ni = Digest(bytes.fromhex(film.sha256)).ni
        found = [int(job["job"]) for job in local.pulls().get("pulls", []) if job.get("digest") == ni]
        local.close()
        return found[0] if found else 0

    def _require_alive(self, job: dict[str, Any]) -> None:
        if job["state"] in _OVER:
            text = self._recipients_home().local().explain(int(job["job"])).get("text", "")
            raise Unavailable(f"the pull is {job['state']}: {clean(text)} Read {self._recipients_home().log}")

    def _receive(self, attached: list[Attached]) -> tuple[list[Attached], float]:
        """Bob gets every part while it arrives; what he has now, and how long the large one took."""
        bob = self.people[RECIPIENT]
        folder = self.root / "bob"
        folder.mkdir(exist_ok=True)
        message = find_message(bob.client, "last")
        got, took = [], 0.0
        for part, file in zip(message["parts"], attached, strict=True):
            path, began = folder / safe_name(str(part["filename"])), time.monotonic()
            sha256 = self._get(bob, message, part, path)
            spent = time.monotonic() - began
            took = took or spent
            got.append(Attached(path, path.stat().st_size, sha256))
            self.screen.say("get", f"bob has {file.path.name}: {speed(path.stat().st_size, spent)}")
        return got, took

    def _get(self, bob: Person, message: dict[str, Any], part: dict[str, Any], path: Path) -> str:
        wanted = part_wanted(message, part)
        downloader = Downloader(bob.client, time.sleep)
        sha256 = downloader.fetch(
            wanted, path, lambda n: self.screen.progress("get", n, wanted.size or 0, path.name), lambda _: None
        )
        self.screen.settle()
        return sha256

    def _wait_for_receipts(self) -> None:
        local, end = self._recipients_home().local(), time.monotonic() + RECEIPTS_WITHIN
        states: dict[str, int] = {}
        while time.monotonic() < end:
            states = local.queue().get("by_state", {})
            if states.get("receipted", 0) >= sum(states.values()):
                self.screen.say("receipts", "foo.test has a signed receipt for every file and may forget its copies")
                break
            time.sleep(0.1)
        else:
            told = ", ".join(f"{number} {state}" for state, number in states.items())
            self.screen.say("receipts", f"some are still on their way ({told}); they are tried until they arrive")
        local.close()

    def _steps(self, film: Attached, stored: Stored, got: list[Attached], took: float, killed: dict[str, Any]) -> None:
        foo, bar = self.daemons.values()
        told = Told(
            sender=foo.name,
            recipient=bar.name,
            user=RECIPIENT,
            resource=stored.digest.ni,
            recipients_trail=read_trail(bar.audit.read_text(errors="replace")),
            senders_trail=read_trail(foo.audit.read_text(errors="replace")),
            access_claims=claims_in(self.people[RECIPIENT].access_token),
            size=got[0].size,
            took=took,
        )
        self.screen.title("The nine steps, as the daemons' audit trails have them")
        for step in nine_steps(told):
            self.screen.step(step.number, clean(step.who), clean(step.text), clean(step.measured))
            for line in claim_lines(step.claims, "       "):
                self.screen.quiet(line)
        offset = resumed_at(told)
        if offset is not None and killed["state"] not in _ARRIVED:
            self.screen.plain(f"\n     After the crash the pull went on at byte {offset} of {film.size}.")

    def _sums(self, sent: list[Attached], got: list[Attached]) -> None:
        self.screen.title("SHA-256")
        for before, after in zip(sent, got, strict=True):
            is_same = (before.size, before.sha256) == (after.size, after.sha256)
            self.screen.plain(f"  alice  {before.sha256}  {before.path.name}")
            self.screen.plain(f"  bob    {after.sha256}  {'the same' if is_same else 'NOT THE SAME'}")
            if not is_same:
                raise Damaged(f"{before.path.name} is not what alice sent: keep {self.root} and report it")

    def _recipients_home(self) -> Daemon:
        return self.daemons[RECIPIENT.partition("@")[2]]


def _run_rrsctl(daemon: Daemon, words: list[str], message: bytes) -> None:
    command = [sys.executable, "-m", "rrsd.cli.main", "--config", str(daemon.plan.config), *words]
    done = subprocess.run(command, input=message, capture_output=True, check=False)
    if done.returncode:
        raise Unavailable(f"rrsctl {words[0]} ended with {done.returncode}: {clean(done.stderr.decode()).strip()}")
