"""Jobs and leases to start from."""

from datetime import timedelta
from typing import Any

from attrs import evolve

from rrsd.core.values.addresses import parse_address, parse_domain
from rrsd.core.values.digests import digest_of
from rrsd.core.values.instants import instant
from rrsd.core.values.jobs import Fetch, Job, Lease, Priority, State
from rrsd.core.values.peers import parse_origin

NOW = instant(1_800_000_000)
BODY = b"a resource of some bytes"
RS = parse_origin("https://rs.foo.test")


def job(**changes: Any) -> Job:
    """A job as it is when leased for the first time, changed as asked."""
    sample = Job(
        job=1,
        message="m",
        index=0,
        recipient=parse_address("bob@bar.test"),
        sender=parse_domain("foo.test"),
        message_id="<1@foo.test>",
        origin=RS,
        digest=digest_of(BODY),
        size=len(BODY),
        state=State.LEASED,
        priority=Priority.NORMAL,
        accepted=NOW,
        deadline=NOW + timedelta(days=7),
        due=NOW,
        attempts=1,
        epoch=1,
    )
    return evolve(sample, **changes)


def lease(**changes: Any) -> Lease:
    """The lease of that job."""
    sample = job(**changes)
    return Lease(sample, Fetch(sample.origin, sample.digest, epoch=sample.epoch))
