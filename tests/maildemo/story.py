"""The story: alice attaches a film; bob's domain collects it, carol's has no rrsd; both have it in the end."""

import json
import time
from pathlib import Path

from attrs import define, field
from typing_extensions import override

from rrsd.cli.demo.daemons import Daemon
from rrsd.cli.demo.files import Attached, write_noise, write_photograph
from rrsd.cli.demo.screen import Screen, speed
from rrsd.cli.output import duration, size
from rrsd.core.refusals import Damaged, Unavailable
from rrsd.core.values.digests import parse_digest
from tests.mail.letters import after, digest_of
from tests.maildemo.files import Letter
from tests.maildemo.follow import Follower
from tests.maildemo.views import bobs_view, carols_view
from tests.processes.houses import set_key
from tests.support.mailhosts import MailHost, MailHosts
from tests.support.mailprograms import Mailbox, submit

FOO, BAR, OLD = "foo.test", "bar.test", "old.test"
ALICE, BOB, CAROL = "alice@foo.test", "bob@bar.test", "carol@old.test"
SUBJECT = "The holiday"
WITHIN = 300.0
_LOOK_AGAIN = 0.1


@define(eq=False)
class Hosts(MailHosts):
    """The three domains; foo.test believes that mail servers elsewhere take 1 MiB, so that the demo may be small."""

    @override
    def _prepare(self) -> None:
        super()._prepare()
        daemon = self["foo.test"].daemon
        assert daemon is not None
        set_key(daemon, "mail", "most_mail", "1MiB")


@define(eq=False)
class Story:
    """Everything that happens, in order."""

    screen: Screen
    root: Path
    size: int
    hosts: Hosts | None = field(default=None, init=False)
    _followers: list[Follower] = field(factory=list, init=False)

    def tell(self) -> None:
        """From nothing to bob's mailbox and carol's download.

        Raises:
            Damaged: something is not what alice sent.
            Unavailable, AssertionError: something did not happen in time, or a server does not come up.
        """
        self._start()
        attached = self._make_files()
        letter = self._submit(attached)
        self._follow(attached[0])
        self._placeholder()
        self._wire(attached)
        self._compare(letter)
        carols_view(self.screen, self._the(OLD), self._daemon(FOO), self.root, attached[0], self._tell_news)
        self._rest()
        bobs_view(self.screen, self._the(BAR), self.root, attached[0])
        self._require_nothing_left()

    def stop(self) -> None:
        """Stop what runs."""
        if self.hosts is not None:
            self.hosts.stop()
            self.hosts = None

    def wait(self) -> None:
        """Say what can be tried, until Ctrl-C."""
        self.screen.title("All servers keep running. Try, in another terminal:")
        bar, foo = self._the(BAR), self._the(FOO)
        for command in (
            f"mutt -n -F {self.root / 'mutt' / 'muttrc'}",
            f"rrsctl --config {self._daemon(BAR).plan.config} pulls list",
            f"rrsctl --config {self._daemon(FOO).plan.config} mail setup",
            f"postqueue -c {bar.etc} -p",
            f"swaks --server 127.0.0.1:{foo.ports['submission']} --from {ALICE} --to {BOB} --attach @FILE",
            f"tail -f {self._daemon(BAR).audit}",
        ):
            self.screen.plain(f"  {command}")
        self.screen.quiet("Ctrl-C ends it.")
        try:
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            self.screen.plain()

    # --- the acts

    def _start(self) -> None:
        self.screen.title("Three mail domains on this machine; old.test has no rrsd")
        self.hosts = Hosts(self.root, (FOO, BAR), plain=(OLD,))
        self.hosts.start()
        self._followers = [
            each
            for name in (FOO, BAR, OLD)
            for each in (Follower.of_log(name, self._the(name).log), Follower.of_trail(name, self._the(name).daemon))
            if each is not None
        ]
        for name in (FOO, BAR, OLD):
            ports = self._the(name).ports
            more = ", rrsd" if self._the(name).daemon else ""
            self.screen.say(
                "servers",
                f"{name}: Postfix :{ports['mx']} and :{ports['submission']}, OpenDKIM, "
                f"Dovecot LMTP and IMAP :{ports['imap']}{more}",
            )
        self.screen.say("names", "Knot signs the three zones, Unbound validates what rrsd asks")
        for follower in self._followers:
            follower.skip()

    def _make_files(self) -> list[Attached]:
        folder = self.root / "alice"
        folder.mkdir()
        film = write_noise(folder / "film.mp4", self.size, lambda n: self.screen.progress("files", n, self.size))
        self.screen.settle()
        attached = [film, write_photograph(folder / "photograph.png")]
        self.screen.say("files", ", ".join(f"{each.path.name} {size(each.size)}" for each in attached))
        return attached

    def _submit(self, attached: list[Attached]) -> Letter:
        self.screen.title(f"{ALICE} attaches both to an ordinary mail to {BOB} and {CAROL}")
        total = sum(each.size for each in attached) * 78 // 57
        letter = Letter(
            ALICE, (BOB, CAROL), SUBJECT, attached, lambda n: self.screen.progress("submit", min(n, total), total)
        )
        began = time.monotonic()
        said = submit(self._the(FOO), ALICE, (BOB, CAROL), letter.blocks())
        self.screen.settle()
        took = time.monotonic() - began
        self.screen.say("submitted", f"{speed(letter.size, took)} to foo.test's Postfix, which says: {said}")
        return letter

    def _follow(self, film: Attached) -> None:
        """Tell what happens until both have the message."""
        self.screen.title("What the servers write down")
        end, local = time.monotonic() + WITHIN, self._daemon(BAR).local()
        job, done = 0, 0
        try:
            while time.monotonic() < end:
                self._tell_news()
                job = job or self._job_of(film)
                if job and done < film.size:
                    done = int(local.pull(job)["job"].get("done") or 0)
                    self.screen.progress("pull", done, film.size, film.path.name)
                if self._has(BAR, "bob") and self._has(OLD, "carol"):
                    self._rest()
                    return
                time.sleep(_LOOK_AGAIN)
        finally:
            local.close()
            self.screen.settle()
        raise Unavailable(f"not everybody has the message after {WITHIN:.0f} s")

    def _job_of(self, film: Attached) -> int:
        local = self._daemon(BAR).local()
        jobs = [int(job["job"]) for job in local.pulls().get("pulls", []) if job.get("size") == film.size]
        local.close()
        return jobs[0] if jobs else 0

    def _tell_news(self) -> None:
        for follower in self._followers:
            for told in follower.news():
                self.screen.settle()
                self.screen.say(told.word, told.text)
                for name, value in told.claims.items():
                    self.screen.quiet(f"                         {name}  {value}")

    def _rest(self) -> None:
        """What is written down a moment later."""
        time.sleep(1.0)
        self._tell_news()

    def _placeholder(self) -> None:
        """What bar.test was given by SMTP in place of the film."""
        trail = [json.loads(line) for line in self._daemon(BAR).audit.read_text().splitlines()]
        (ni,) = [str(line["resource"]) for line in trail if line["what"] == "accept"]
        digest = parse_digest(ni.rpartition(";")[2])
        path = self._daemon(BAR).plan.folder / "data" / "blobs" / digest.hex[:2] / digest.b64
        _, mark, rest = path.read_text().partition("Content-Type: message/external-body")
        self.screen.title(f"In place of the film bar.test got this, signed ({size(path.stat().st_size)} in all)")
        for line in (mark + rest.partition("\n--")[0]).splitlines():
            self.screen.quiet(f"  │ {line}")

    def _require_nothing_left(self) -> None:
        """No message waits anywhere, and nobody has it twice."""
        assert self.hosts is not None
        waiting = {name: host.queue() for name, host in self.hosts.hosts.items()}
        if any(waiting.values()) or not (self._has(BAR, "bob") and self._has(OLD, "carol")):
            raise Damaged(f"something waits, or came twice: {waiting}")

    def _wire(self, attached: list[Attached]) -> None:
        total = sum(each.size for each in attached)
        self.screen.title("What went where")
        for name, more in ((BAR, f"{size(total)} by HTTPS, which bar.test pulled"), (OLD, "a link in it")):
            self.screen.say("by SMTP", f"to {name}: {size(self._the(name).wire.sent)}; {more}")

    def _compare(self, letter: Letter) -> None:
        began = time.monotonic()
        with Mailbox(self._the(BAR), "bob") as box:
            (uid,) = box.find(SUBJECT)
            found = digest_of(after(box.pieces(uid), letter.first))
            structure = box.message_head(uid)
        for name in ("DKIM-Signature", "Authentication-Results"):
            for value in structure.get_all(name, []):
                text = " ".join(str(value).split())
                self.screen.say("header", f"{name}: {text[:110]}{'…' if len(text) > 110 else ''}")
        if found != (letter.sha256, letter.size):
            raise Damaged("the message in bob's mailbox is not the one that alice submitted")
        took = duration(time.monotonic() - began)
        self.screen.say(
            "same", f"below these fields all {letter.size} bytes are as alice submitted them (IMAP, {took})"
        )
        self.screen.quiet(f"            SHA-256 {letter.sha256} before and after")

    def _has(self, name: str, user: str) -> bool:
        with Mailbox(self._the(name), user) as box:
            return len(box.find(SUBJECT)) == 1

    def _the(self, name: str) -> MailHost:
        assert self.hosts is not None
        return self.hosts[name]

    def _daemon(self, name: str) -> Daemon:
        daemon = self._the(name).daemon
        assert daemon is not None
        return daemon
