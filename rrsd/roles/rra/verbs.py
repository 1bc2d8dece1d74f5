"""Everything that an operator can do with the queue, in one table (pure): CLI, REST, audit and documents agree by it.

`rrsctl pulls` has a command for each row, the administrator's socket a route, and each row that changes something a
line in the trail whose evidence begins with its name. The page for operators and the tests read this table.
"""

from collections.abc import Mapping

from attrs import frozen


@frozen
class Verb:
    """One row: `name` as the trail has it, `command` as `rrsctl pulls` has it, and where the request goes.

    `event` is the one of `rules.TABLE` that happens to a job, "" where none does. `is_bulk` is whether it can be said
    of many jobs at once, with `--all`. `does` is for people.
    """

    name: str
    command: str
    method: str
    path: str
    does: str
    event: str = ""
    is_bulk: bool = False

    @property
    def is_audited(self) -> bool:
        """Whether it changes anything, so that it leaves its line."""
        return self.method != "GET"


def _look(name: str, command: str, path: str, does: str) -> Verb:
    return Verb(name, command, "GET", path, does)


def _job(name: str, event: str, does: str, words: str = "", is_bulk: bool = True) -> Verb:
    return Verb(name, f"{name} JOB{words}", "POST", f"/pulls/<n>/{name}", does, event, is_bulk)


VERBS = (
    _look("list", "list [filters]", "/pulls", "Pulls by number: of a state, destination, recipient, sender, age, …"),
    _look("show", "show JOB", "/pulls/<n>", "One pull with its history."),
    _look("explain", "explain JOB", "/pulls/<n>/explain", "Why it is where it is, who is to blame, what unblocks it."),
    _look("shape", "shape", "/shape", "How many wait, by destination and age."),
    _look("destinations", "destinations [ORIGIN]", "/destinations", "How many at once from each, and why."),
    _job("retry-now", "woken", "Try now instead of at the next time."),
    _job("hold", "held", "Do not try until it is released."),
    _job("release", "released", "Undo `hold`."),
    _job("cancel", "cancelled", "Give it up; what came so far goes with the next sweep."),
    _job("expire-now", "expired", "Its time is over: recipient and sender hear of it as of any other that expired."),
    _job("extend", "extended", "Try for at least so long from now.", " --for SPAN"),
    _job("set-priority", "ranked", "Its class: interactive, normal or bulk.", " --to CLASS"),
    _job("requeue-fresh", "requeued", "A new pull, with a fresh lifetime, in the place of one that has ended."),
    _job(
        "quarantine-release", "requeued", "The same for one whose bytes were wrong: they are checked again.", "", False
    ),
    Verb("retry-destination", "retry-now --destination ORIGIN", "POST", "/destinations/retry", "Probe it now."),
    Verb("retry-issuer", "retry-now --issuer", "POST", "/destinations/retry-issuer", "Ask our token service now."),
    Verb("pause", "pause ORIGIN", "POST", "/destinations/pause", "Start nothing more from there."),
    Verb("resume", "resume ORIGIN", "POST", "/destinations/resume", "Undo `pause`."),
    Verb("limit", "limit ORIGIN NUMBER", "POST", "/destinations/limit", "No more than so many at once; 0 lifts it."),
    Verb("verify-store", "verify-store", "POST", "/store/verify", "Hash again everything that is stored."),
    _look("verify-progress", "verify-store --progress", "/store/verify", "How far that is, and what it found."),
    _look("gc", "gc --dry-run", "/store/gc", "What the next collection would remove, and why."),
    Verb("export", "export -o FILE", "POST", "/queue/export", "The queue as lines of JSON, for another host."),
    Verb("import", "import FILE", "POST", "/queue/import", "Take up what `export` wrote; twice is once."),
    Verb("drain", "drain", "POST", "/queue/drain", "Start nothing new; what runs goes on to its end."),
    Verb("undrain", "undrain", "POST", "/queue/undrain", "Undo `drain`."),
)
"""In the order in which people meet them."""

BY_NAME: Mapping[str, Verb] = {verb.name: verb for verb in VERBS}

OF_A_JOB: Mapping[str, str] = {verb.name: verb.event for verb in VERBS if verb.event}
"""The verbs of one job, and the events that they are."""


def as_table() -> str:
    """The table of the operator's page (docs/operator/pulls.rst), in reStructuredText."""
    head = ("``rrsctl pulls …``", "does", "event", "request")
    rows = [(f"``{verb.command}``", verb.does, verb.event or "-", f"``{verb.method} {verb.path}``") for verb in VERBS]
    widths = [max(len(row[index]) for row in (head, *rows)) for index in range(len(head))]
    rule = " ".join("=" * width for width in widths)

    def line(row: tuple[str, ...]) -> str:
        return " ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()

    return "\n".join([rule, line(head), rule, *map(line, rows), rule])
