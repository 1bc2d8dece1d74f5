"""Lives of resources in the store, each driven as the agent, the resource server and the mail role drive it.

Each may begin anywhere: it looks at what is there, as a daemon does after its start, and goes on to the end.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TypeAlias

from attrs import evolve, frozen

from rrsd.core.refusals import Damaged, NoSpace, Refusal, Unavailable, Unknown
from rrsd.core.values.addresses import Address
from rrsd.core.values.digests import Digest, digest_of
from rrsd.core.values.jobs import Change, Job, Lease, State, partial_name
from rrsd.core.values.operations import Checked
from rrsd.core.values.resources import Checkpoint, Custody, Grant
from rrsd.drivers.store.blobs.partial import Stream
from rrsd.drivers.store.blobs.small import Small
from rrsd.roles.rra.selfcheck import LIVE
from tests.crash.telling import say
from tests.crash.world import MOST_TRIES, ROOT, Traits, World
from tests.drivers.store.samples import ALICE, BOB, CAROL, NOW, RS, job, later, message_of, upload

Run: TypeAlias = Callable[[World], None]

BLOCK = 40
FILM = bytes(index * 7 % 251 for index in range(5 * BLOCK))
RAW = b"Subject: Holiday\r\n\r\na placeholder\r\n"
OTHER = bytes(index * 11 % 253 for index in range(3 * BLOCK + 9))
CONTENT = {digest_of(data): data for data in (FILM, OTHER)}
"""What the sender has."""
ROT = b"rot"
_OVER = object()
PLAIN = Traits()
VALIDATOR = '"v"'


def start(world: World) -> None:
    """A daemon was here before."""
    world.done(world.store.start())


@frozen
class Scenario:
    """What happens, and on what kind of disk."""

    name: str
    about: str
    run: Run
    traits: Traits = PLAIN
    before: Run = start
    weight: int = 10
    """How large its share of the states is that are wanted."""


def begin(world: World) -> None:
    """A daemon starts. One that cannot is not tried again: what a failed fsync has taken nobody can see."""
    store = world.store
    world.done(store.start())
    world.insist(lambda: world.done(store.queue.recover(NOW)))
    for state in LIVE:
        checked = world.insist(partial(_rows, world, state))
        world.require("R7", not checked.found, f"the self-check finds {checked.found}")
    lying = world.insist(lambda: world.done(store.blobs.lying()))
    live = frozenset(
        partial_name(world.done(store.queue.fetch(each.origin, each.digest))) for each in waiting_jobs(world)
    )
    world.insist(lambda: world.done(store.blobs.sweep(lying, live)))


def _rows(world: World, state: State) -> Checked[int]:
    return world.done(world.store.checks.rows(state, 0))


def put(world: World, data: bytes) -> Digest:
    """Small bytes are stored; whoever asked is told."""
    digest = world.insist(lambda: world.done(world.store.blobs.put(data))).digest
    world.tell("kept", digest.b64)
    return digest


# --- pulls


def accept(world: World, name: str, data: bytes, raw: bytes = RAW) -> None:
    """A message for bob comes with one attachment, and is acknowledged."""
    if world.has_told("accepted", name):
        return
    wanted = evolve(job(digest_of(data), message=name), size=len(data))
    message = evolve(message_of(wanted, name=name), raw=put(world, raw), raw_size=len(raw))
    world.insist(lambda: world.done(world.store.queue.accept(message, [wanted])))
    world.tell("accepted", name)


def pull(world: World, breaks: int = 0, most: int = 1) -> None:
    """Up to `most` jobs are leased at once until none waits; the first `breaks` transfers end in their middle."""
    attempts = 0
    while waiting := waiting_jobs(world):
        attempts += 1
        world.require("R5", attempts <= MOST_TRIES + breaks + 1, f"{waiting[0].state} after {attempts} attempts")
        leases = world.insist(lambda: world.done(world.store.queue.lease(RS, most, NOW, frozenset())))
        side_by_side([attempt(world, each, breaks if each.job.attempts <= breaks else 0) for each in leases])


def waiting_jobs(world: World) -> list[Job]:
    """Those that are not stored yet."""
    jobs = world.insist(lambda: world.done(world.store.queue.jobs(State.READY, None, 0, 9)))
    return [*jobs, *world.insist(lambda: world.done(world.store.queue.jobs(State.NEW, None, 0, 9)))]


def side_by_side(runs: Iterable[Iterator[None]]) -> None:
    """Each a step, in turn, until all are over."""
    going = list(runs)
    while going:
        going = [each for each in going if next(each, _OVER) is not _OVER]


def attempt(world: World, lease: Lease, breaks: int) -> Iterator[None]:
    """One attempt, as rrsd.roles.rra.flow makes it, and what the scheduler makes of its end."""
    after = evolve(lease.job, state=State.READY, due=NOW)
    try:
        yield from transfer(world, lease, CONTENT[lease.job.digest], breaks)
        after = evolve(lease.job, state=State.STORED, stored=NOW)
    except (NoSpace, Unavailable, Damaged):
        pass
    stored = after.state is State.STORED
    change = Change(after, "stored" if stored else "failed", NOW, State.LEASED, receipt=stored, forget=stored)
    world.insist(lambda: world.done(world.store.queue.change([change])))
    if stored:
        world.tell("stored", lease.job.message)


def transfer(world: World, lease: Lease, data: bytes, breaks: int) -> Iterator[None]:
    """The bytes come, from where they are durable, and get their final name."""
    blobs, queue = world.store.blobs, world.store.queue
    if lease.here and _is_here(world, lease):
        return

    async def committed(checkpoint: Checkpoint) -> None:
        await queue.checkpoint(lease, VALIDATOR, checkpoint)

    part, held = world.done(blobs.partial(lease, len(data), committed))
    try:
        start = held.offset if held else 0
        world.require("R4", start == lease.fetch.offset, f"{lease.fetch.offset} was durable, and is {start}")
        sent = bytes(BLOCK) + data[BLOCK:] if world.traits.spoils else data
        for offset in range(start, len(data), BLOCK):
            if breaks and offset >= 3 * BLOCK:
                raise Unavailable("the connection broke")
            waiting = part.write(sent[offset : offset + BLOCK])
            if waiting is not None:
                world.done(waiting)
            yield
        _finish(world, part, data)
    except Damaged:
        world.done(part.discard())
        raise
    finally:
        world.done(part.close())


def _finish(world: World, part: Stream | Small, data: bytes) -> None:
    """The whole is compared; where its first block is damaged that is fetched again alone."""
    try:
        world.done(part.finish(digest_of(data), len(data)))
    except Damaged:
        if not world.traits.spoils:
            raise
        world.done(part.hold())
        patched = part.patch(0).write(data[:BLOCK])
        assert patched is not None
        world.done(patched)
        world.done(part.finish(digest_of(data), len(data)))


def _is_here(world: World, lease: Lease) -> bool:
    try:
        return world.done(world.store.blobs.find(lease.job.digest)).size == lease.job.size
    except Unknown:
        return False


def receipts(world: World) -> None:
    """What the sender's resource server is told, and acknowledges; the same receipt always has the same key."""
    queue = world.store.queue
    for pending in world.insist(lambda: world.done(queue.receipts_due(NOW, 9))):
        known = [fact[2] for fact in world.facts if fact[:2] == ("receipt", pending.job)]
        world.require("R8", not known or known == [pending.jti], f"the receipt of job {pending.job} has another key")
        world.tell("receipt", pending.job, pending.jti)
        world.insist(lambda number=pending.job: world.done(queue.receipts_sent([number], NOW)))  # type: ignore[misc]
        world.tell("receipted", pending.job)


def notices(world: World) -> None:
    """A pull ends without its bytes: both hear of it, each by one notice, and not before it is durable."""
    begin(world)
    store = world.store
    if not world.has_told("accepted", "m1"):
        wanted = evolve(job(digest_of(FILM), message="m1"), size=len(FILM))
        message = evolve(message_of(wanted), raw=put(world, RAW), raw_size=len(RAW), is_answerable=True)
        world.insist(lambda: world.done(store.queue.accept(message, [wanted])))
        world.tell("accepted", "m1")
    for lease in world.insist(lambda: world.done(store.queue.lease(RS, 1, NOW, frozenset()))):
        lost = Change(evolve(lease.job, state=State.EXPIRED), "expired", NOW, State.LEASED)
        world.insist(lambda: world.done(store.queue.change([lost])))  # noqa: B023 (called at once)
    say(world)


def tidy(world: World) -> None:
    """What is swept now and then."""
    lying = world.insist(lambda: world.done(world.store.blobs.lying()))
    world.insist(lambda: world.done(world.store.blobs.sweep(lying, frozenset())))
    world.tell("tidy")
    world.insist(lambda: world.done(world.store.uploads.sweep(later(2 * 86400))))


def one_pull(world: World, breaks: int = 0) -> None:
    """From the message to the acknowledged receipt."""
    begin(world)
    accept(world, "m1", FILM)
    pull(world, breaks=breaks)
    receipts(world)
    tidy(world)


def together(world: World) -> None:
    """Two pulls go on side by side: what is not synced of one may be lost without the other."""
    begin(world)
    accept(world, "m1", FILM)
    accept(world, "m2", OTHER, RAW + b"other")
    pull(world, most=2)
    receipts(world)
    tidy(world)


def two_pulls(world: World) -> None:
    """Two messages name the same bytes: the second finds them here."""
    begin(world)
    accept(world, "m1", FILM)
    accept(world, "m2", FILM, RAW + b"again")
    pull(world)
    receipts(world)
    tidy(world)


def late_pull(world: World) -> None:
    """Alice's upload has the bytes already when the message comes."""
    begin(world)
    put(world, FILM)
    accept(world, "m1", FILM)
    pull(world)
    receipts(world)
    tidy(world)


# --- uploads, deposits, small bytes


def one_upload(world: World, part: int = 2 * BLOCK - 10) -> None:
    """Alice uploads in parts, each acknowledged, and grants bob what she uploaded."""
    begin(world)
    uploads = world.store.uploads
    if world.has_told("tidy"):
        return tidy(world)
    if not world.has_told("begun"):
        try:
            world.insist(lambda: world.done(uploads.begin(upload(len(FILM)))))
        except Refusal as refusal:
            world.require("R1", refusal.reason == "conflict", f"the upload cannot begin: {refusal}")
        world.tell("begun")
    going = world.insist(lambda: world.done(uploads.find("u1", ALICE)))
    while going.digest is None:
        given, data = going, FILM[going.offset : going.offset + part]
        going = world.insist(lambda: world.done(uploads.append(given, data)))  # noqa: B023 (called at once)
        world.tell("offset", going.offset)
    world.require("R2", going.digest == digest_of(FILM), "the upload has another digest")
    world.tell("kept", going.digest.b64)
    _grant(world, going.digest)
    tidy(world)


def _grant(world: World, digest: Digest) -> None:
    for number, recipient in enumerate((BOB, CAROL)):
        name = f"<g{number}@foo.test>"
        grant = Grant(name, digest, len(FILM), ALICE, recipient, later(86400), "video/mp4", "holiday.mp4")
        world.insist(lambda: world.done(world.store.grants.add([grant])))  # noqa: B023 (called at once)
        world.tell("granted", name)


def one_deposit(world: World) -> None:
    """An attachment that passes on its way out is taken, granted, and the message goes."""
    begin(world)
    if not world.has_told("granted", "<g1@foo.test>"):
        digest = world.insist(partial(_deposit, world))
        world.tell("kept", digest.b64)
        _grant(world, digest)


def _deposit(world: World) -> Digest:
    deposit = world.done(world.store.deposits.begin())
    try:
        for offset in range(0, len(FILM), BLOCK):
            world.done(deposit.append(FILM[offset : offset + BLOCK]))
        return world.done(deposit.finish()).digest
    except Refusal:
        world.done(deposit.abort())
        raise


def small_bytes(world: World) -> None:
    """Three small bodies are stored, one of them twice."""
    begin(world)
    for data in (b"one", b"two" * 30, FILM, b"one"):
        put(world, data)


def collected_bytes(world: World) -> None:
    """What nothing refers to is collected; what comes again afterwards is kept again."""
    begin(world)
    loose = b"loose" * 9
    if not world.has_told("released", digest_of(loose).b64):
        accept(world, "m1", FILM)
        put(world, loose)
        pull(world)
        world.tell("released", digest_of(loose).b64)
    gone = world.insist(lambda: world.done(world.store.blobs.collect(later(864000), 0.0, 9)))
    world.require("R3", not set(gone) - {digest_of(loose)}, f"collected: {gone}")
    put(world, loose)
    receipts(world)
    tidy(world)


def handed_over(world: World) -> None:
    """Two domains sign for their copies, one after the other; the bytes go after the last word, and not before."""
    begin(world)
    name, grants = digest_of(FILM).b64, world.store.grants
    if not world.has_told("released", name):
        _grant(world, put(world, FILM))
        for number, recipient in enumerate((BOB, CAROL)):
            _sign(world, f"<g{number}@foo.test>", recipient)
        world.tell("released", name)
    for number in range(2):
        kept = world.insist(lambda: world.done(grants.custody(ALICE, f"<g{number}@foo.test>")))  # noqa: B023
        world.require("R8", [each.receipt for each in kept] == [f"signed {number}"], f"what was signed is lost: {kept}")
    gone = world.insist(lambda: world.done(world.store.blobs.collect(later(3600), 0.0, 9)))
    world.require("R3", not set(gone) - {digest_of(FILM)}, f"collected: {gone}")


def _sign(world: World, name: str, recipient: Address) -> None:
    """The receipt comes, perhaps again; while one is still owed, nothing is collected."""
    grants, film = world.store.grants, digest_of(FILM)
    told = [world.insist(lambda: world.done(grants.naming(film, each))) for each in (BOB, CAROL)]  # noqa: B023
    if any(grant.receipted is None for found in told for grant in found):
        gone = world.insist(lambda: world.done(world.store.blobs.collect(later(3600), 0.0, 9)))
        world.require("R3", not gone, f"collected before the last receipt: {gone}")
    (grant,) = world.insist(lambda: world.done(grants.naming(film, recipient)))
    signed = Custody(grant, f"signed {name[2]}", b"certificate", "webfinger tls")
    world.insist(lambda: world.done(grants.receipted([signed], NOW)))
    world.tell("acknowledged", name)


def cut_off(world: World) -> None:
    """A first start that ended before all of its folders were made."""
    for number in range(253):
        world.files.make_folder(f"{ROOT}/blobs/{number:02x}")


def damaged_bytes(world: World) -> None:
    """What is under a final name is not what the name says: it is put aside, and good bytes take its place."""
    begin(world)
    put(world, FILM)


def rot(world: World) -> None:
    """A blob that the disk has damaged."""
    world.done(world.store.start())
    path = world.store.blobs._desk.vault.final(digest_of(FILM))
    folder = path.rpartition("/")[0]
    descriptor = world.files.create_nameless(folder)
    world.files.write(descriptor, (ROT,), 0)
    world.files.sync(descriptor)
    world.files.link(world.files.path_of(descriptor), path)
    world.files.sync_folder(folder)


SCENARIOS = (
    Scenario("first", "the first start on an empty disk, a small pull", one_pull, Traits(formatted=False), weight=1),
    Scenario("again", "a start after one that was cut off, a small pull", one_pull, before=cut_off, weight=3),
    Scenario("deposit", "an attachment taken out of a message on its way", one_deposit),
    Scenario("whole", "an upload in one part, granted", partial(one_upload, part=len(FILM))),
    Scenario("damaged", "a damaged blob is put aside", damaged_bytes, before=rot),
    Scenario("small", "a pull that fits into memory", one_pull),
    Scenario("late", "a message whose bytes are here already", late_pull, Traits(small=0, tick=1.0)),
    Scenario("notices", "a pull that is lost, and who hears of it", notices),
    Scenario("bodies", "small bodies, one of them twice", small_bytes),
    Scenario("deposit-named", "the same, every file named", one_deposit, Traits(has_nameless=False), weight=20),
    Scenario("collect", "blobs that nothing refers to are collected", collected_bytes, Traits(collects=True), weight=4),
    Scenario("custody", "granted bytes go after the last receipt", handed_over, Traits(collects=True), weight=4),
    Scenario("named", "a small pull, every file named", one_pull, Traits(has_nameless=False), weight=14),
    Scenario("upload", "an upload in three parts, granted", one_upload, weight=24),
    Scenario("large", "a pull with checkpoints", one_pull, Traits(small=0, tick=1.0), weight=12),
    Scenario("dense", "a pull with a checkpoint after each block", one_pull, Traits(small=0, tick=3.0), weight=12),
    Scenario("together", "two pulls side by side", together, Traits(small=0, tick=2.0), weight=9),
    Scenario(
        "broken",
        "a pull that breaks twice and goes on",
        partial(one_pull, breaks=2),
        Traits(small=0, tick=1.0),
        weight=9,
    ),
    Scenario(
        "behind",
        "the same, with only the last chunk looked at before it goes on",
        partial(one_pull, breaks=2),
        Traits(small=0, tick=1.0, quick=0),
        weight=5,
    ),
    Scenario(
        "mended",
        "a pull of which a part is damaged and fetched again alone",
        one_pull,
        Traits(small=0, tick=1.0, quick=0, spoils=True),
        weight=5,
    ),
    Scenario("twice", "two messages with the same bytes", two_pulls, Traits(small=0, tick=1.0), weight=6),
)
"""Those of which there are few states stand first: the others have the more."""

BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}
