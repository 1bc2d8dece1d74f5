"""What must not be swept away."""

from rrsd.core.values.jobs import Fetch, partial_name
from rrsd.roles.rra.ports import Queue

AT_ONCE = 500


async def partials(queue: Queue) -> frozenset[str]:
    """Names of the files that a pull may still continue. Each job is looked at once, by its number, so that none is
    missed because it changes its state meanwhile."""
    names: set[str] = set()
    after = 0
    while jobs := await queue.begun(after, AT_ONCE):
        after = jobs[-1].job
        names.update(partial_name(Fetch(job.origin, job.digest)) for job in jobs)
    return frozenset(names)
