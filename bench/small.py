"""Many small resources in one message, each verified and durable, beside eight threads of http.client."""

import hashlib
import os

from attrs import define, field

from bench import readings
from bench.figures import ratio, shown
from bench.hall import MIB, Hall
from rrsd.cli.output import size
from rrsd.cli.uploads import Stored

RRSD, REFERENCE = "rrsd", "reference puller, 8 threads"
SIZE = 64 * 1024
LEAST_RATE = 800
_THREADS = 8
_WITHIN = 900.0


@define(eq=False)
class Small:
    """The contest over `number` resources of 64 KiB."""

    hall: Hall
    number: int
    _stored: list[Stored] = field(factory=list, init=False)
    _sums: dict[str, str] = field(factory=dict, init=False)

    @property
    def name(self) -> str:
        """What the contest is called."""
        return f"{self.number:,} resources of {size(SIZE).replace('.0', '')} in one message"

    def prepare(self) -> None:
        """The files, at alice's domain and in nginx."""
        base = self.hall.nginx.www if self.hall.nginx else self.hall.root
        folder = base / "small"
        folder.mkdir()
        paths = []
        for number in range(self.number):
            data = os.urandom(SIZE)
            paths.append(folder / str(number))
            paths[-1].write_bytes(data)
            self._sums[f"/small/{number}"] = hashlib.sha256(data).hexdigest()
        self._stored = self.hall.domains.store(paths)

    def run(self) -> None:
        """Everybody once."""
        self._pull_rrsd()
        if self.hall.nginx is not None:
            self._pull_reference()

    def _pull_rrsd(self) -> None:
        domains = self.hall.domains
        domains.fresh_receiver(keep=True)
        message = domains.message(self._stored)
        readings.settle()
        for daemon in (domains.foo, domains.bar):
            readings.forget_peak(daemon.pid)
        before = domains.used()
        delivered = domains.deliver(message)
        stored = domains.wait(self.number, _WITHIN)
        used = {name: seconds - before[name] for name, seconds in domains.used().items()}
        exchanges = domains.count("exchange")
        self._note(
            RRSD,
            stored - delivered.accepted,
            used[domains.bar.name],
            used[domains.foo.name],
            {
                "rate with accepting the message": (self.number / (stored - delivered.began), "/s"),
                "accepting the message": (delivered.accepted - delivered.began, "s"),
                "exchanges": (exchanges, ""),
                "peak memory, puller": (readings.peak_mib(domains.bar.pid), "MiB"),
                "peak memory, server": (readings.peak_mib(domains.foo.pid), "MiB"),
            },
        )
        receipted = domains.wait(self.number, _WITHIN, ("receipted",))
        self.hall.sheet.add(self.name, RRSD, {"until every receipt is in": (receipted - delivered.accepted, "s")})

    def _pull_reference(self) -> None:
        out = self.hall.folder()
        wanted = self.hall.root / "wanted"
        wanted.write_text("".join(f"{path} {sha256}\n" for path, sha256 in self._sums.items()))
        readings.settle()
        said = self.hall.pulled({"out": str(out), "wanted": str(wanted), "threads": str(_THREADS)})
        self._note(
            REFERENCE, said["seconds"], said["cpu"], said["served"], {"peak memory, puller": (said["peak"], "MiB")}
        )

    def _note(
        self, contestant: str, took: float, pulled: float, served: float, more: dict[str, tuple[float, str]]
    ) -> None:
        measured = {
            "time": (took, "s"),
            "rate": (self.number / took, "/s"),
            "processor time, puller": (pulled / self.number * 1000, "ms each"),
            "processor time, server": (served / self.number * 1000, "ms each"),
        }
        self.hall.sheet.add(self.name, contestant, measured | more)
        rate = f"{self.number / took:.0f}/s, {self.number * SIZE / MIB / took:.0f} MiB/s"
        self.hall.say(f"{self.name}: {contestant} {took:.2f} s, {rate}")

    def judge(self) -> None:
        """The goals."""
        sheet = self.hall.sheet
        rate, exchanges = (sheet.find(self.name, RRSD, each) for each in ("rate", "exchanges"))
        if rate:
            found = f"{shown(rate.median)}/s by medians, {shown(rate.most)}/s at best"
            sheet.judge(f"{self.name}: at least {LEAST_RATE} stored per second", found, rate.median >= LEAST_RATE)
        if exchanges:
            sheet.judge(f"{self.name}: one exchange", f"{exchanges.most:.0f}", exchanges.most == 1)
        beside = ratio(sheet.find(self.name, REFERENCE, "time"), sheet.find(self.name, RRSD, "time"))
        if beside:
            sheet.notes.append(
                f"{self.name}: rrsd has {shown(beside[0])} of the reference's speed by medians, "
                f"{shown(beside[1])} by minima."
            )
