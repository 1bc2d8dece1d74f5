"""One large resource, from the accepted message to STORED, beside the reference puller and curl."""

import os
import resource
import shutil
import subprocess
import time
from pathlib import Path

from attrs import define, field

from bench import readings
from bench.figures import ratio, shown
from bench.hall import MIB, Hall
from rrsd.cli.demo.files import Attached, write_noise
from rrsd.cli.output import size
from rrsd.cli.uploads import Stored
from rrsd.core.refusals import Damaged, Unavailable

RRSD, REFERENCE, CURL = "rrsd", "reference puller", "curl + sha256sum + fsync"
LEAST_SPEED = 0.7
_WITHIN = 1800.0


@define(eq=False)
class Large:
    """The contest over one resource of `size` bytes."""

    hall: Hall
    size: int
    _file: Attached = field(init=False)
    _stored: Stored = field(init=False)

    @property
    def name(self) -> str:
        """What the contest is called."""
        return f"one resource of {size(self.size).replace('.0', '')}"

    def prepare(self, is_served: bool = True) -> None:
        """The file, at alice's domain and in nginx."""
        folder = self.hall.nginx.www if self.hall.nginx and is_served else self.hall.root
        self._file = write_noise(folder / "large", self.size, lambda _: None)
        self._stored = self.hall.domains.store([self._file.path])[0]
        if not is_served:
            self._file.path.unlink()

    def run(self) -> None:
        """Everybody once."""
        self.pull_rrsd()
        if self.hall.nginx is not None:
            self._pull_reference()
            self._pull_curl()

    def pull_rrsd(self) -> None:
        """bar.test pulls it from foo.test."""
        domains = self.hall.domains
        domains.fresh_receiver()
        message = domains.message([self._stored])
        readings.settle()
        for daemon in (domains.foo, domains.bar):
            readings.forget_peak(daemon.pid)
        before = domains.used()
        delivered = domains.deliver(message)
        stored = domains.wait(1, _WITHIN)
        used = {name: seconds - before[name] for name, seconds in domains.used().items()}
        self._note(
            RRSD,
            stored - delivered.accepted,
            used[domains.bar.name],
            used[domains.foo.name],
            {
                "peak memory, puller": (readings.peak_mib(domains.bar.pid), "MiB"),
                "peak memory, server": (readings.peak_mib(domains.foo.pid), "MiB"),
                "accepting the message": (delivered.accepted - delivered.began, "s"),
            },
        )
        domains.wait(1, _WITHIN, ("receipted",))

    def _pull_reference(self) -> None:
        out = self.hall.folder()
        wanted = self.hall.root / "wanted"
        wanted.write_text(f"/large {self._file.sha256}\n")
        readings.settle()
        said = self.hall.pulled({"out": str(out), "wanted": str(wanted)})
        self._note(
            REFERENCE, said["seconds"], said["cpu"], said["served"], {"peak memory, puller": (said["peak"], "MiB")}
        )
        shutil.rmtree(out)

    def _pull_curl(self) -> None:
        if shutil.which("curl") is None:
            return
        out = self.hall.folder()
        readings.settle()
        nginx = readings.family(self.hall.nginx.pid) if self.hall.nginx else []
        before, began, used = readings.cpu_seconds(nginx), time.monotonic(), _children()
        self._curl(out / "fresh")
        for path in (out / "fresh", out):
            _sync(path)
        took = time.monotonic() - began
        self._note(CURL, took, _children() - used, readings.cpu_seconds(nginx) - before, {})
        shutil.rmtree(out)

    def _curl(self, path: Path) -> None:
        mine, nginx = self.hall.domains, self.hall.nginx
        if nginx is None:
            return
        tls = ["--cacert", str(mine.roots), "--cert", str(mine.certificate), "--key", str(mine.key), "--tlsv1.3"]
        where = ["--connect-to", f"{nginx.name}:443:127.0.0.1:{nginx.port}", f"https://{nginx.name}/large"]
        done = subprocess.run(["curl", "-sSf", *tls, "-o", str(path), *where], check=False)
        if done.returncode:
            raise Unavailable("curl failed: its message is above")
        found = subprocess.run(["sha256sum", str(path)], capture_output=True, text=True, check=True).stdout.split()[0]
        if found != self._file.sha256:
            raise Damaged("curl got other bytes than were asked for")

    def _note(
        self, contestant: str, took: float, pulled: float, served: float, more: dict[str, tuple[float, str]]
    ) -> None:
        measured = {
            "time": (took, "s"),
            "speed": (self.size / MIB / took, "MiB/s"),
            "processor time, puller": (pulled, "s"),
            "processor time, server": (served, "s"),
        }
        self.hall.sheet.add(self.name, contestant, measured | more)
        self.hall.say(f"{self.name}: {contestant} {took:.2f} s, {self.size / MIB / took:.0f} MiB/s")

    def judge(self) -> None:
        """The goals."""
        sheet = self.hall.sheet
        mine, reference, curl = (sheet.find(self.name, each, "time") for each in (RRSD, REFERENCE, CURL))
        beside = ratio(reference, mine)
        if beside:
            found = f"{shown(beside[0])} by medians, {shown(beside[1])} by minima"
            sheet.judge(
                f"{self.name}: at least {LEAST_SPEED} of the reference's speed", found, beside[0] >= LEAST_SPEED
            )
        beside = ratio(curl, mine)
        if beside:
            found = f"{shown(beside[0])} times its speed by medians, {shown(beside[1])} by minima"
            sheet.judge(f"{self.name}: faster than {CURL}", found, beside[0] > 1)
        for side in ("puller", "server"):
            peak = sheet.find(self.name, RRSD, f"peak memory, {side}")
            if peak:
                sheet.judge(
                    f"{self.name}: {side} within 120 MB", f"{shown(peak.most)} MiB at most", peak.most * MIB <= 120e6
                )


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
