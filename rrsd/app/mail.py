"""The mail role, plugged between the mail servers of this host."""

from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from attrs import define, field
from twisted.internet.endpoints import clientFromString

from rrsd.app.front import Listeners
from rrsd.app.mail_in import authors_of, build_way_in, command_of
from rrsd.app.means import Means
from rrsd.app.people import People
from rrsd.app.resources import Retrieving
from rrsd.core.refusals import Malformed, Unavailable
from rrsd.core.values.calls import Event
from rrsd.core.wire.milter import MilterSession
from rrsd.core.wire.smtp_server import Offer, Refuses, refuses_nobody
from rrsd.drivers.smtp.listening import Bounded, Fault
from rrsd.drivers.smtp.milter import milter_factory
from rrsd.drivers.smtp.oracle import Oracle, Unasked
from rrsd.drivers.smtp.relay import Relay
from rrsd.drivers.smtp.server import Receiver, smtp_factory
from rrsd.roles.mail.discovery import Discovery
from rrsd.roles.mail.flow.dispatch import Dispatch
from rrsd.roles.mail.flow.ledger import Ledger
from rrsd.roles.mail.flow.notices import Notices
from rrsd.roles.mail.flow.outbound import Outbound
from rrsd.roles.mail.flow.partly import Partly
from rrsd.roles.mail.flow.prequeue import Prequeue, Ways
from rrsd.roles.mail.flow.reinjection import Reinjection
from rrsd.roles.mail.flow.screen import Screen
from rrsd.roles.mail.flow.writing import Writer
from rrsd.roles.mail.ports import Doubts, Links
from rrsd.roles.mail.screening import is_wanted
from rrsd.roles.mail.service import Delivery
from rrsd.runtime.bell import Bell
from rrsd.runtime.loops import Nursery
from rrsd.runtime.timers import Timers

MOST_SCREENED = 1 << 20
"""Bytes of a message that the milter looks at: each mail server's process has one in memory."""

MOST_ANSWERING = timedelta(seconds=5)
"""How long an orderly end waits for the mail server to answer."""
LOOK_AGAIN = timedelta(milliseconds=50)


@define(eq=False)
class MailRoom:
    """The listeners for the mail server, and the messages that are on their way through."""

    listeners: Listeners
    factories: Sequence[Bounded[Any]]
    work: Nursery
    timers: Timers
    ways: Ways | None = None
    loops: Sequence[tuple[str, Callable[[], Coroutine[Any, Any, None]]]] = ()
    name: str = field(default="mail", init=False)

    async def start(self) -> None:
        """Listen; refuses with Unavailable when an endpoint cannot be had."""
        self.begin()
        await self.listeners.start()

    def begin(self) -> None:
        """Begin with what works without being asked."""
        for name, run in self.loops:
            self.work.spawn(run(), name)

    async def stop(self) -> None:
        """Say goodbye; what has no reply yet stays in the mail server's queue."""
        await self.listeners.stop()
        await self._answered()
        for factory in self.factories:
            factory.close_all()
        await self.work.stop()

    async def _answered(self) -> None:
        """What the mail server has said yes to, a client that is not a queue shall hear, or it sends it again."""
        late = self.timers.monotonic() + MOST_ANSWERING.total_seconds()
        while self.ways is not None and self.ways.unanswered and self.timers.monotonic() < late:
            await self.timers.sleep(LOOK_AGAIN)


def build_delivery(means: Means, people: People) -> Delivery | None:
    """The outbox of messages that we write ourselves; None where no mail goes out through us."""
    settings, effects = means.settings, means.effects
    if settings.mail.outbound is None:
        return None
    bell = Bell(effects.reactor)
    notices = Notices(
        ours=settings.domain.name,
        outbox=means.store.outbox,
        grants=means.store.grants,
        received=means.store.facts,
        subjects=people.members,
        ledger=_ledger(means),
        timers=effects.timers,
        audit=means.audit,
        ring=bell.ring,
        most=settings.mail.most_notices,
        most_domain=settings.mail.most_notices_domain,
    )
    return Delivery(notices, bell)


def build_mail(
    means: Means, people: People, retrieving: Retrieving, links: Links, delivery: Delivery | None
) -> MailRoom:
    """The mail role; without a listener in the settings it is there and does nothing.

    Raises:
        Malformed: an endpoint of a next mail server, or a command, cannot be read.
    """
    mail, work = means.settings.mail, Nursery()
    doors: list[tuple[str, Bounded[Any]]] = []
    ways: Ways | None = None
    loops: list[tuple[str, Callable[[], Coroutine[Any, Any, None]]]] = []
    if mail.outbound is not None:
        outbound = _outbound(means, people, links)
        refuses = outbound.dispatch.ledger.partly.refuses
        doors.append((mail.outbound, _listener(means, outbound, work, is_lmtp=False, refuses=refuses)))
        if mail.prequeue is not None:
            prequeue = _prequeue(means, outbound)
            doors.append((mail.prequeue, _listener(means, prequeue, work, is_lmtp=False)))
            ways = prequeue.ways
    if mail.inbound is not None:
        way_in = build_way_in(means, people, retrieving, relay_to(means, mail.inbound_next, is_lmtp=True))
        doors.append((mail.inbound, _listener(means, way_in.inbound, work, is_lmtp=True)))
        loops.append(("flush", way_in.flusher.run))
        if way_in.swapping is not None:
            loops.append(("swap", way_in.swapping.run))
    if mail.milter is not None:
        doors.append((mail.milter, _milter(means, work)))
    listeners = Listeners("mail", means.effects.reactor, doors)
    if delivery is not None:
        loops.append(("notices", delivery.run))
    factories = [factory for _, factory in doors]
    return MailRoom(listeners, factories, work, means.effects.timers, ways, loops)


def _outbound(means: Means, people: People, links: Links) -> Outbound:
    settings, store = means.settings, means.store
    mail, ours = settings.mail, settings.domain.name
    writer = Writer(ours=ours, origin=settings.rs.origin, lifetime=settings.rs.lifetime)
    dispatch = Dispatch(
        ledger=_ledger(means), writer=writer, grants=store.grants,
        passages=store.passages, links=links, timers=means.effects.timers, audit=means.audit,
    )  # fmt: skip
    timers = means.effects.timers
    discovery = Discovery(people.identity, ours, mail.inbound is not None, mail.discovery_wait, timers)
    return Outbound(
        ours=ours, settings=mail, domains=discovery,
        deposits=store.deposits, spools=store.spools, blobs=store.blobs, dispatch=dispatch, audit=means.audit,
    )  # fmt: skip


def _prequeue(means: Means, outbound: Outbound) -> Prequeue:
    """The filter before the queue knows what the one behind it knows of other domains."""
    store, mail, timers, dispatch = means.store, means.settings.mail, means.effects.timers, outbound.dispatch

    def way(description: str) -> Reinjection:
        return Reinjection(relay_to(means, description, is_lmtp=False), dispatch.ledger.doubts, timers)

    return Prequeue(
        ours=outbound.ours, settings=mail, domains=outbound.domains, deposits=store.deposits, spools=store.spools,
        blobs=store.blobs, grants=store.grants, writer=dispatch.writer, timers=timers, audit=means.audit,
        ways=Ways(way(mail.outbound_next), way(mail.prequeue_next), way(mail.prequeue_later)),
    )  # fmt: skip


def _ledger(means: Means) -> Ledger:
    store, mail, timers = means.store, means.settings.mail, means.effects.timers
    store.passages.life = mail.remembered
    return Ledger(
        next=relay_to(means, mail.outbound_next, is_lmtp=False), passages=store.passages, doubts=_doubts(means),
        timers=timers, audit=means.audit, patience=mail.doubt_wait, partly=Partly(timers),
    )  # fmt: skip


def _doubts(means: Means) -> Doubts:
    mail, effects = means.settings.mail, means.effects
    if mail.next_log is None:
        return Unasked()
    return Oracle(
        path=Path(mail.next_log), command=command_of("[mail] next_queue", mail.next_queue), listed=effects.listed,
        workers=effects.disk, timers=effects.timers,
    )  # fmt: skip


def _milter(means: Means, work: Nursery) -> Bounded[Any]:
    settings = means.settings
    screen = Screen(authors=authors_of(means), audit=means.audit, most_parts=settings.rra.most_parts)
    most = min(MOST_SCREENED, settings.mail.most_placeholder)
    session = lambda: MilterSession(is_wanted, most)  # noqa: E731
    connections, fault = settings.smtp.connections, _fault(means, "milter")
    return milter_factory(session, screen, means.effects.timers, work.spawn, fault, connections)


def relay_to(means: Means, description: str, *, is_lmtp: bool) -> Relay:
    """The way to the mail server at a client endpoint."""
    try:
        endpoint: Any = clientFromString(means.effects.reactor, description)
    except (ValueError, TypeError, KeyError) as problem:
        raise Malformed(f"no such endpoint: {description} ({problem})") from None
    name = str(means.settings.domain.name)
    return Relay(endpoint, name, means.effects.timers, means.settings.smtp, is_lmtp)


def _listener(
    means: Means, receiver: Receiver, work: Nursery, *, is_lmtp: bool, refuses: Refuses = refuses_nobody
) -> Bounded[Any]:
    mail = means.settings.mail
    # Dovecot's LMTP has no DSN, and what it cannot report must not be promised; the way out hands DSN on.
    offer = Offer(
        str(means.settings.domain.name), is_lmtp=is_lmtp, has_dsn=not is_lmtp, has_xforward=True,
        most_size=mail.most_message, most_recipients=mail.most_recipients, refuses=refuses,
    )  # fmt: skip
    fault = _fault(means, "lmtp" if is_lmtp else "smtp")
    return smtp_factory(offer, receiver, means.settings.smtp, means.effects.reactor, work.spawn, fault)


def _fault(means: Means, door: str) -> Fault:
    """Writes down that a message ended with an error that nobody had foreseen, where that is possible."""

    def record(reference: str) -> None:
        with suppress(Unavailable):
            means.audit.record(Event("fault", "failed", resource=door, evidence=f"reference {reference}"))

    return record
