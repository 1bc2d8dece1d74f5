"""The way in of mail, plugged together: the agent's pulls behind the mail role's port."""

import shlex
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from attrs import frozen
from twisted.internet.defer import DeferredLock, DeferredSemaphore
from twisted.internet.endpoints import clientFromString
from twisted.internet.interfaces import IStreamClientEndpoint

from rrsd.app.means import Means
from rrsd.app.people import People
from rrsd.app.resources import Retrieving
from rrsd.app.sealing import sealer_of
from rrsd.core.proof.dkim import Policy
from rrsd.core.refusals import Malformed, Unavailable
from rrsd.core.values.addresses import Address
from rrsd.core.values.digests import Digest, parse_digest
from rrsd.core.values.holds import Progress
from rrsd.core.values.jobs import Job
from rrsd.core.values.messages import Arrival, Message
from rrsd.drivers.imap.endpoints import ALPN, SecureEndpoint
from rrsd.drivers.imap.folder import Content
from rrsd.drivers.imap.mailboxes import Mailboxes
from rrsd.drivers.keys.files import read_private
from rrsd.drivers.smtp.relay import Relay
from rrsd.drivers.tls.client import ClientTls
from rrsd.drivers.tls.reload import read_file
from rrsd.roles.mail.flow.authors import Authors
from rrsd.roles.mail.flow.handover import Handover
from rrsd.roles.mail.flow.inbound import Inbound
from rrsd.roles.mail.flow.lost import Lost
from rrsd.roles.mail.flow.mailboxes import ToMailboxes, Turns
from rrsd.roles.mail.flow.placeholders import Placeholders
from rrsd.roles.mail.flow.swap import Swapper
from rrsd.roles.mail.flushing import Flusher
from rrsd.roles.mail.service import Swapping
from rrsd.roles.rra import rules
from rrsd.roles.rra.acceptance import Acceptance
from rrsd.roles.rra.operate import Operations
from rrsd.roles.rra.ports import Mailbox, Subjects, Timers
from rrsd.roles.rra.restore import Restoration, Restorer
from rrsd.runtime.bell import Bell
from rrsd.runtime.timers import Timers as Delays

TURN = timedelta(seconds=30)
"""How long a message waits while another one goes into its mailbox; then it comes again, and its connection is free."""
MOST_LOOKED_AT = 16
"""Messages that are kept in memory while they are looked at."""


@frozen
class AgentPulls:
    """The domain's agent; satisfies the port `Pulls` of the mail role."""

    acceptance: Acceptance
    operations: Operations
    mailbox: Mailbox
    restorer: Restorer
    timers: Timers
    subjects: Subjects

    async def accept(
        self, raw: bytes, recipient: Address, granted: Address | None = None, *, is_proved: bool = False
    ) -> None:
        """Pull what the placeholder stands for; refuses as `Acceptance.accept`."""
        await self.acceptance.accept(raw, (recipient,), granted=granted, is_proved=is_proved)

    async def progress(self, recipient: Address, digest: Digest) -> Progress:
        """How far it is; refuses with Unknown."""
        message = await self._message(recipient, digest)
        parts = message.parts
        failed = [part for part in parts if part.arrival is Arrival.FAILED]
        arrived = sum(part.arrival is Arrival.STORED for part in parts)
        reason = next((part.explanation for part in failed), "")
        return Progress(len(parts) - arrived - len(failed), len(failed), reason, message.raw_size)

    async def settled(self, recipient: Address, digest: Digest, within: timedelta) -> None:
        """Return when no attempt that is at work or due can bring more, or after `within`; refuses with Unknown."""
        end = self.timers.monotonic() + within.total_seconds()
        message = await self._message(recipient, digest)
        for part in message.parts:
            left = end - self.timers.monotonic()
            if left > 0 and part.arrival not in (Arrival.STORED, Arrival.FAILED):
                await self.operations.settled(part.job, timedelta(seconds=left))

    async def restored(self, recipient: Address, digest: Digest) -> Restoration:
        """The complete message; refuses with Unavailable or Unknown."""
        return await self.restorer.restore(await self._message(recipient, digest))

    async def _message(self, recipient: Address, digest: Digest) -> Message:
        return await self.mailbox.message(await self.subjects.account(recipient), digest.b64)


@frozen
class AccountMailboxes:
    """Mailboxes by their users, whatever extension an address has; satisfies the port `Mailboxes` of the mail role."""

    mailboxes: Mailboxes
    subjects: Subjects

    async def swap(
        self,
        recipient: Address,
        message_id: str,
        placeholder: tuple[Digest, int],
        complete: Callable[[bytes], Awaitable[Content]],
    ) -> int:
        """As `Mailboxes.swap`."""
        return await self.mailboxes.swap(await self.subjects.account(recipient), message_id, placeholder, complete)


def pulls_of(means: Means, people: People, retrieving: Retrieving) -> AgentPulls:
    """The agent's pulls."""
    restorer, timers = retrieving.reader.restorer, means.effects.timers
    acceptance, operations = retrieving.acceptance, retrieving.operations
    return AgentPulls(acceptance, operations, means.store.mailbox, restorer, timers, people.members)


@frozen
class Patient:
    """One place, that nobody waits for longer than `TURN`."""

    lock: DeferredLock
    timers: Delays

    def acquire(self) -> Awaitable[object]:
        """Wait for it; refuses with Unavailable."""
        return self.timers.within(TURN, self.lock.acquire(), lambda: Unavailable("the mailbox is busy"))

    def release(self) -> None:
        """Give it back."""
        self.lock.release()


@frozen
class WayIn:
    """The proxy, and what makes the mail server hurry."""

    inbound: Inbound
    flusher: Flusher
    swapping: Swapping | None


def build_way_in(means: Means, people: People, retrieving: Retrieving, relay: Relay) -> WayIn:
    """The way in.

    Raises:
        Malformed: the command of `[mail] flush` cannot be read.
    """
    pulls = pulls_of(means, people, retrieving)
    turns = Turns(lambda: Patient(DeferredLock(), means.effects.timers))
    boxes, delimiters = _boxes(means), means.settings.mail.recipient_delimiter or ""
    lost = Lost(
        contents=boxes, timers=means.effects.timers, audit=means.audit, patience=means.settings.mail.doubt_wait,
        delimiters=delimiters,
    )  # fmt: skip
    mailboxes = ToMailboxes(relay, means.audit, turns, lost, delimiters)
    placeholders = _placeholders(means, people, pulls, mailboxes)
    flusher = Flusher(
        command=command_of("[mail] flush", means.settings.mail.flush or ""),
        holds=means.store.holds,
        pulls=pulls,
        run_command=means.effects.command,
        is_busy=placeholders.is_busy,
        timers=means.effects.timers,
        bell=Bell(means.effects.reactor),
    )
    retrieving.feed.watchers.append(_watcher(flusher.ended))
    mail = means.settings.mail
    most = min(mail.most_placeholder, means.settings.rra.most_message)
    places = DeferredSemaphore(MOST_LOOKED_AT)
    swapping = None if boxes is None else _swapping(means, pulls, boxes)
    if swapping is not None:
        retrieving.feed.watchers.append(_watcher(swapping.swapper.ended))
    inbound = Inbound(mailboxes=mailboxes, placeholders=placeholders, places=places, audit=means.audit, most=most)
    return WayIn(inbound, flusher, swapping)


def _boxes(means: Means) -> Mailboxes | None:
    """The users' mailboxes; None where nobody says how to enter them."""
    imap = means.settings.imap
    if imap.endpoint is None:
        return None
    most = means.settings.rra.most_message
    return Mailboxes(imap_endpoint(means), means.effects.timers, imap, most, lambda: _password(imap.password))


def _swapping(means: Means, pulls: AgentPulls, boxes: Mailboxes) -> Swapping:
    effects = means.effects
    bell = Bell(effects.reactor)
    swapper = Swapper(
        holds=means.store.holds,
        pulls=pulls,
        mailboxes=AccountMailboxes(boxes, pulls.subjects),
        timers=effects.timers,
        audit=means.audit,
        service=_service(means),
        ring=bell.ring,
        sealer=sealer_of(means),
    )
    return Swapping(swapper, bell)


def _password(path: str) -> str:
    password = read_private(Path(path))
    if password is None:
        raise Unavailable(f"[imap] password: there is no file {path}")
    try:
        return password.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise Unavailable(f"[imap] password: {path} is no text") from None


def imap_endpoint(means: Means) -> IStreamClientEndpoint:
    """The way to the mailboxes; refuses with Malformed when it cannot be read."""
    imap, tls = means.settings.imap, means.settings.tls
    try:
        endpoint: Any = clientFromString(means.effects.reactor, imap.endpoint)
    except (ValueError, TypeError, KeyError) as problem:
        raise Malformed(f"no such endpoint: {imap.endpoint} ({problem})") from None
    if imap.tls is None:
        found: IStreamClientEndpoint = endpoint
        return found
    roots = read_file(tls.roots) if tls.roots is not None else None
    creator = ClientTls(tls.minimum, roots, alpn=ALPN).creator_for(imap.tls)
    return SecureEndpoint(endpoint, creator, means.effects.reactor, tls.handshake)


def _service(means: Means) -> str:
    return means.settings.mail.authserv_id or means.settings.domain.name.name


def authors_of(means: Means) -> Authors:
    """What proves authors."""
    mail, effects = means.settings.mail, means.effects
    policy = Policy(mail.dkim_bits, mail.dkim_parent, mail.dkim_dnssec)
    return Authors(names=means.doors.names, threads=effects.proofs, timers=effects.timers, policy=policy)


def _placeholders(means: Means, people: People, pulls: AgentPulls, mailboxes: ToMailboxes) -> Placeholders:
    settings, effects = means.settings, means.effects
    mail, timers = settings.mail, effects.timers
    service = _service(means)
    return Placeholders(
        domain=settings.domain.name,
        subjects=people.members,
        authors=authors_of(means),
        handover=Handover(
            next=mailboxes,
            pulls=pulls,
            holds=means.store.holds,
            timers=timers,
            service=service,
            sealer=sealer_of(means),
        ),
        audit=means.audit,
        settings=mail,
        most_parts=settings.rra.most_parts,
    )


def _watcher(ended: Callable[[Address, Digest], None]) -> Callable[[Job], None]:
    def watch(job: Job) -> None:
        if job.state in rules.ARRIVED or job.state in rules.TERMINAL:
            for recipient in {job.recipient, job.subject}:
                ended(recipient, parse_digest(job.message))

    return watch


def command_of(name: str, text: str) -> tuple[str, ...]:
    """The words of a command in the settings; refuses with Malformed when they cannot be told apart."""
    try:
        return tuple(shlex.split(text))
    except ValueError as problem:
        raise Malformed(f"{name}: {problem}") from None
