"""What must not be swept away."""

from rrsd.core.values.jobs import Fetch, partial_name
from rrsd.roles.rra import rules
from rrsd.roles.rra.ports import Queue

AT_ONCE = 500


async def partials(queue: Queue) -> frozenset[str]:
    """Names of the files that a pull may still continue."""
    names: set[str] = set()
    for state in rules.UNFINISHED:
        after = 0
        while jobs := await queue.jobs(state, None, after, AT_ONCE):
            after = jobs[-1].job
            names.update(partial_name(Fetch(job.origin, job.digest)) for job in jobs if job.attempts)
    return frozenset(names)
