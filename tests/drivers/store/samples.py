"""Values that the tests of the store begin with."""

from datetime import timedelta

from attrs import evolve

from rrsd.core.values.addresses import parse_address
from rrsd.core.values.digests import Digest, digest_of
from rrsd.core.values.instants import Instant, instant
from rrsd.core.values.jobs import Job, Priority, State
from rrsd.core.values.messages import Arrival, Message, Part
from rrsd.core.values.peers import Origin, parse_origin
from rrsd.core.values.resources import Custody, Grant, Upload

NOW = instant(1_700_000_000)
ALICE = parse_address("alice@foo.test")
BOB = parse_address("bob@bar.test")
CAROL = parse_address("carol@bar.test")
RS = parse_origin("https://rs.foo.test")
OTHER_RS = parse_origin("https://rs.foo.test:8443")


def later(seconds: float) -> Instant:
    """That many seconds after NOW."""
    return NOW + timedelta(seconds=seconds)


def job(digest: Digest, index: int = 0, origin: Origin = RS, message: str = "m1") -> Job:
    """A new job for bob, due now."""
    return Job(
        job=0,
        message=message,
        index=index,
        recipient=BOB,
        sender=ALICE.domain,
        message_id=f"<{message}@foo.test>",
        origin=origin,
        digest=digest,
        size=100,
        state=State.NEW,
        priority=Priority.NORMAL,
        accepted=NOW,
        deadline=later(7 * 86400),
        due=NOW,
    )


def message_of(*jobs: Job, name: str = "m1") -> Message:
    """A message for bob with one part per job."""
    parts = tuple(
        Part(each.index, 0, each.digest, each.size, "video/mp4", f"{each.index}.mp4", Arrival.WAITING) for each in jobs
    )
    return Message(
        name, BOB, ALICE, f"<{name}@foo.test>", "Holiday", "Tue, 14 Nov 2023", NOW, digest_of(name.encode()), 500, parts
    )


def grant(digest: Digest, message_id: str = "<m1@foo.test>") -> Grant:
    """Bob may retrieve it for a week."""
    return Grant(message_id, digest, 3, ALICE, BOB, later(7 * 86400), "video/mp4", "holiday.mp4")


def custody(given: Grant, receipt: str = "a.b.c", certificate: bytes = b"der") -> Custody:
    """Bar's word that it has a copy of its own."""
    return Custody(given, receipt, certificate, "webfinger tls")


def upload(size: int, name: str = "u1") -> Upload:
    """Alice begins an upload."""
    return Upload(name, ALICE, size, 0, later(86400))


def with_due(given: Job, seconds: float) -> Job:
    """The same job, due that many seconds after NOW."""
    return evolve(given, due=later(seconds))
