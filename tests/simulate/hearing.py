"""Who is told about attachments that are late or lost, looked at from outside: truthfully, once each, and nobody who
proved nothing (R8)."""

from collections import Counter, defaultdict
from collections.abc import Iterable

from attrs import define, field

from rrsd.core.values.notices import Kind, Party
from rrsd.roles.rra.rules import TERMINAL
from tests.crash.files import Broken
from tests.simulate.checks import Durable, JobRow, NoticeRow
from tests.simulate.homes import TELL_RECIPIENTS_AFTER, TELL_SENDERS_AFTER
from tests.simulate.letters import Letter
from tests.simulate.plan import Plan

HERE = ("stored", "receipted")
LOST = ("failed", "expired", "quarantined")
ENOUGH = 15
"""From so many on, one address may hear no more of one domain that day."""
WAITS = {"recipient": TELL_RECIPIENTS_AFTER, "sender": TELL_SENDERS_AFTER}


@define(eq=False)
class Hearing:
    """Holds what the outbox of small messages has against what happened. Where a clock was wrong its times say
    nothing."""

    letters: dict[str, Letter]
    clocks_are_right: bool
    _jobs: dict[tuple[str, str], list[JobRow]] = field(factory=dict, init=False)

    def look(self, mine: Durable) -> None:
        """At any moment. Raises Broken."""
        self._jobs = _by_message(mine.jobs)
        said = Counter((each.kind, *each.about, each.told) for each in mine.notices if not self._is_again(each))
        twice = [each for each, times in said.items() if times > 1]
        _require(not twice, f"said twice: {twice}")
        for each in mine.notices:
            self._require_true(each)

    def _is_again(self, notice: NoticeRow) -> bool:
        """Whether somebody has put a new pull in the place of one of that message."""
        _, message, wrote = notice.about
        return len(self._jobs[wrote, message]) > len(self.letters[message].items)

    def _require_true(self, notice: NoticeRow) -> None:
        party, message, wrote = notice.about
        letter, jobs = self.letters[message], self._jobs[wrote, message]
        if party == Party.SENDER:
            _require(letter.is_proved, f"letter {letter.number} proves nobody, and {notice.told} is told about it")
        told = str(letter.author) if party == Party.SENDER else wrote
        _require(notice.told == told, f"{notice.told} is told what is for {told}")
        if self.clocks_are_right:
            came = [job.stored for job in jobs if job.state in HERE]
            is_here = len(came) == len(jobs) and all(at is not None and at < notice.made - 1.0 for at in came)
            _require(not is_here, f"all of letter {letter.number} was there when {told} was told: {notice.kind}")
            waited = notice.made - min(job.accepted for job in jobs)
            is_early = notice.kind == Kind.DELAYED and waited < WAITS[party].total_seconds() - 1.0
            _require(not is_early, f"{told} is told after {waited:.0f} s that letter {letter.number} is late")

    def require_all_said(self, mine: Durable) -> None:
        """In the end: whoever has to know that attachments are lost has been told. Raises Broken."""
        self._jobs = _by_message(mine.jobs)
        heard = Counter(each.told for each in mine.notices)
        lost = {each.about for each in mine.notices if each.kind == Kind.FAILED}
        for (recipient, message), jobs in self._jobs.items():
            letter = self.letters[message]
            is_over = all(job.state in TERMINAL or job.state in HERE for job in jobs)
            is_again = len(jobs) > len(letter.items)
            if is_again or not is_over or not any(job.state in LOST for job in jobs):
                continue
            for party, told in (("recipient", recipient), *([("sender", str(letter.author))] * letter.is_proved)):
                silent = (party, message, recipient) not in lost and heard[told] < ENOUGH
                _require(not silent, f"letter {letter.number} is lost for {recipient}, and {told} was not told")


def hearing_of(plan: Plan) -> Hearing:
    """That of a world with such a plan."""
    letters = {letter.message: letter for letter in plan.letters}
    return Hearing(letters, not any(each.kind == "skew" for each in plan.incidents))


def _by_message(jobs: Iterable[JobRow]) -> dict[tuple[str, str], list[JobRow]]:
    found: dict[tuple[str, str], list[JobRow]] = defaultdict(list)
    for job in jobs:
        found[job.recipient, job.message].append(job)
    return found


def _require(holds: object, seen: str) -> None:
    if not holds:
        raise Broken("R8", seen)
