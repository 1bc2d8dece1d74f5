"""What is measured of mail: one attachment from submission to IMAP, and many small messages."""

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from attrs import define, frozen

from bench import readings
from bench.figures import Sheet, ratio, shown
from bench.mailclient import File, Inbox, Submission, new_file, small, with_file
from bench.mailsides import ALONE, RRSD, Side, Sides
from rrsd.cli.output import size
from rrsd.core.refusals import Unavailable

MIB = 1 << 20
WITH_DKIM = "Postfix, Dovecot and OpenDKIM alone"
OCTETS = 20_000
MOST_WIRE, MOST_WRITTEN, MOST_MS, MOST_LOSS = 1.03, 3.2, 2.0, 15.0
_USERS = ("alice", "bob", "carol", "dave")
_SESSIONS = 8
_WITHIN = 240.0


@frozen
class Before:
    """The readings when a run began."""

    began: float
    wire: int
    device: int
    used: Mapping[str, float]
    written: Mapping[str, int]


@define(eq=False)
class Meter:
    """Reads what a run on one side costs. `folder` is on the disk that everything is written to."""

    side: Side
    folder: Path

    def begin(self) -> Before:
        """Nothing is left of what was before."""
        readings.settle()
        for pids in self.side.processes().values():
            for pid in pids:
                readings.forget_peak(pid)
        device = readings.device_bytes(self.folder)
        return Before(time.monotonic(), self.side.wire, device, self._used(), self._written())

    def used(self, before: Before) -> dict[str, float]:
        """Seconds of processor time, program by program."""
        return {name: seconds - before.used.get(name, 0.0) for name, seconds in self._used().items()}

    def written(self, before: Before) -> dict[str, int]:
        """Bytes, program by program, of the processes that live still."""
        return {name: number - before.written.get(name, 0) for name, number in self._written().items()}

    def peaks(self) -> dict[str, float]:
        """The most MiB that one process of each program had resident."""
        return {name: max(_peak(pid) for pid in pids) for name, pids in self.side.processes().items()}

    def _used(self) -> dict[str, float]:
        return {name: readings.cpu_of_trees(pids) for name, pids in self.side.processes().items()}

    def _written(self) -> dict[str, int]:
        return {name: sum(map(readings.written_bytes, pids)) for name, pids in self.side.processes().items()}


def _peak(pid: int) -> float:
    try:
        return readings.peak_mib(pid)
    except (OSError, StopIteration):
        return 0.0


@define(eq=False)
class Attached:
    """One attachment of `size` bytes; every run has bytes of its own, which both contestants get."""

    sides: Sides
    sheet: Sheet
    folder: Path
    size: int
    say: Callable[[str], None]
    least_ratio: float

    @property
    def name(self) -> str:
        """What the contest is called."""
        return f"one attachment of {self.size / 1e6:,.0f} MB"

    def run(self) -> None:
        """Both once."""
        file = new_file(self.size)
        for side in (self.sides.rrsd, self.sides.alone):
            took = self._run(side, file)
            self.say(f"{self.name}: {side.name} {took:.2f} s")

    def _run(self, side: Side, file: File) -> float:
        inbox, meter = Inbox(side.bar, "bob"), Meter(side, self.folder)
        inbox.clear()
        message = with_file(f"alice@{side.foo.name}", f"bob@{side.bar.name}", 1, file)
        before = meter.begin()
        submission = Submission(side.foo, side.door)
        submission.send(f"alice@{side.foo.name}", f"bob@{side.bar.name}", message)
        accepted = time.monotonic() - before.began
        inbox.wait(1, _WITHIN, lambda: [side.foo.queue(), side.bar.queue()])
        visible = time.monotonic() - before.began
        inbox.require(file)
        verified = time.monotonic() - before.began
        submission.close()
        self._note(meter, before, (accepted, visible, verified))
        inbox.clear()
        inbox.close()
        return verified

    def _note(self, meter: Meter, before: Before, times: tuple[float, float, float]) -> None:
        side = meter.side
        used, written, peaks = meter.used(before), meter.written(before), meter.peaks()
        readings.settle()
        device = readings.device_bytes(self.folder) - before.device
        measured = {
            "accepted": (times[0], "s"),
            "visible": (times[1], "s"),
            "verified": (times[2], "s"),
            "on the wire": ((side.wire - before.wire) / self.size, "per byte"),
            "written to the disk": (device / self.size, "per byte"),
            "processor time": (sum(used.values()), "s"),
        }
        for name in used:
            measured[f"processor time: {name}"] = (used[name], "s")
            measured[f"written: {name}"] = (written.get(name, 0) / self.size, "per byte")
            measured[f"peak memory: {name}"] = (peaks.get(name, 0.0), "MiB")
        self.sheet.add(self.name, side.name, measured)

    def judge(self) -> None:
        """The goals."""
        sheet = self.sheet
        mine, other = (sheet.find(self.name, each, "verified") for each in (RRSD, ALONE))
        beside = ratio(other, mine)
        if beside:
            wanted = f"at least {self.least_ratio} times as fast" if self.least_ratio > 1 else "faster"
            found = f"{shown(beside[0])} times its speed by medians, {shown(beside[1])} by minima"
            sheet.judge(f"{self.name}: {wanted} as mail alone", found, beside[0] > max(1.0, self.least_ratio - 1e-9))
        for quantity, most in (("on the wire", MOST_WIRE), ("written to the disk", MOST_WRITTEN)):
            figure = sheet.find(self.name, RRSD, quantity)
            if figure:
                goal = f"{self.name}: at most {most} bytes {quantity} for each byte"
                sheet.judge(goal, f"{figure.median:.3f}", figure.median <= most)


@define(eq=False)
class Many:
    """`messages` of 20 kB without an attachment, to four users, over eight connections."""

    sides: Sides
    sheet: Sheet
    folder: Path
    messages: int
    say: Callable[[str], None]

    @property
    def name(self) -> str:
        """What the contest is called."""
        return f"{self.messages:,} messages of {size(OCTETS)}"

    def run(self) -> None:
        """Everybody once."""
        self._measure(self.sides.rrsd, RRSD)
        self._measure(self.sides.alone, ALONE)
        self.sides.alone.set_dkim(True)
        self._measure(self.sides.alone, WITH_DKIM)
        self.sides.alone.set_dkim(False)

    def _measure(self, side: Side, name: str) -> None:
        inboxes = [Inbox(side.bar, user) for user in _USERS]
        for each in inboxes:
            each.clear()
        _send(side, _SESSIONS * 4)  # everybody's processes are there
        _wait(side, inboxes, _SESSIONS * 4)
        for each in inboxes:
            each.clear()
        meter = Meter(side, self.folder)
        before = meter.begin()
        _send(side, self.messages)
        accepted = time.monotonic() - before.began
        _wait(side, inboxes, self.messages)
        took = time.monotonic() - before.began
        used = meter.used(before)
        each_ms = 1000 / self.messages
        ours = sum(seconds for program, seconds in used.items() if program.startswith("rrsd"))
        measured = {
            "accepted": (self.messages / accepted, "/s"),
            "rate": (self.messages / took, "/s"),
            "processor time": (sum(used.values()) * each_ms, "ms each"),
        }
        if ours:
            measured["processor time: rrsd"] = (ours * each_ms, "ms each")
        self.sheet.add(self.name, name, measured)
        self.say(f"{self.name}: {name} {self.messages / took:.0f}/s")
        for inbox in inboxes:
            inbox.clear()
            inbox.close()

    def judge(self) -> None:
        """The goals."""
        sheet = self.sheet
        ours = sheet.find(self.name, RRSD, "processor time: rrsd")
        if ours:
            goal = f"{self.name}: the filters within {MOST_MS:.0f} ms of processor time each"
            sheet.judge(goal, f"{shown(ours.median)} ms", ours.median <= MOST_MS)
        rate, other = (sheet.find(self.name, each, "rate") for each in (RRSD, WITH_DKIM))
        if rate and other:
            loss = (1 - rate.median / other.median) * 100
            sheet.judge(f"{self.name}: at most {MOST_LOSS:.0f} % of the rate lost", f"{loss:.0f} %", loss <= MOST_LOSS)


def _send(side: Side, messages: int) -> None:
    failed: list[BaseException] = []

    def session(first: int) -> None:
        try:
            submission = Submission(side.foo, side.door)
            for number in range(first, messages, _SESSIONS):
                user = _USERS[number // _SESSIONS % len(_USERS)]
                sender, to = f"alice@{side.foo.name}", f"{user}@{side.bar.name}"
                submission.send(sender, to, [b"".join(small(sender, to, number, OCTETS))])
            submission.close()
        except (OSError, Unavailable) as problem:
            failed.append(problem)

    threads = [threading.Thread(target=session, args=(number,)) for number in range(_SESSIONS)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    if failed:
        raise Unavailable(f"a message was not taken: {failed[0]}")


def _wait(side: Side, inboxes: list[Inbox], messages: int) -> None:
    shares = [0] * len(_USERS)
    for number in range(messages):
        shares[number // _SESSIONS % len(_USERS)] += 1
    for inbox, share in zip(inboxes, shares, strict=True):
        inbox.wait(share, _WITHIN, lambda: [side.foo.queue(), side.bar.queue()])
