"""The roles about resources, plugged together: the Resource Server and the Resource Retrieval Agent."""

from collections.abc import Callable

from attrs import frozen

from rrsd.app.means import Means
from rrsd.app.people import People
from rrsd.app.telling import notifier_of, waits_of
from rrsd.core.values.networks import network_of
from rrsd.roles.rra.acceptance import Acceptance
from rrsd.roles.rra.circumstances import Circumstances
from rrsd.roles.rra.contacts import BURST, REFILL, Contacts, Waker
from rrsd.roles.rra.delegations import Delegations
from rrsd.roles.rra.feed import Feed
from rrsd.roles.rra.flow import Puller
from rrsd.roles.rra.greetings import Greeter
from rrsd.roles.rra.health import Health
from rrsd.roles.rra.live import Transfers
from rrsd.roles.rra.mailbox import Posting, Reader
from rrsd.roles.rra.moving import Moving
from rrsd.roles.rra.notifier import Notifier
from rrsd.roles.rra.operate import Operations
from rrsd.roles.rra.receipts import Receipts
from rrsd.roles.rra.renewals import Renewer
from rrsd.roles.rra.restore import Restorer
from rrsd.roles.rra.scheduler import Scheduler
from rrsd.roles.rra.selfcheck import SelfCheck
from rrsd.roles.rra.service import Agent
from rrsd.roles.rra.stocktaking import Stock
from rrsd.roles.rra.watch import Watch
from rrsd.roles.rs.flow.admission import Gate, Record
from rrsd.roles.rs.flow.links import Sharing
from rrsd.roles.rs.flow.permission import Permission
from rrsd.roles.rs.flow.proofs import Proofs
from rrsd.roles.rs.flow.renewals import Renewals
from rrsd.roles.rs.flow.senders import Senders
from rrsd.roles.rs.flow.strangers import Strangers
from rrsd.roles.rs.ports import Notices
from rrsd.roles.rs.rules_links import LINK_BURST, LINK_RATE
from rrsd.roles.rs.service import Collection
from rrsd.runtime.bell import Bell
from rrsd.runtime.flights import Flights
from rrsd.runtime.limits import RateLimit
from rrsd.runtime.loops import Nursery


@frozen
class Serving:
    """The Resource Server's parts."""

    gate: Gate
    strangers: Strangers
    renewals: Renewals
    senders: Senders
    sharing: Sharing
    collection: Collection


def build_serving(means: Means, people: People, notices: Notices | None, contacts: Contacts) -> Serving:
    """The Resource Server of the domain; without `notices` it makes no personal links. Whoever proves a delegation is
    told to `contacts`."""
    settings, effects, store, audit = means.settings, means.effects, means.store, means.audit
    timers, rs = effects.timers, settings.rs
    record = Record(audit, timers)
    rates = RateLimit(rs.rate, rs.burst, effects.reactor, whose=network_of)
    pairs = frozenset((client, pair.domain) for pair in settings.policy.pairs for client in pair.clients)
    proofs = Proofs(rs, people.identity, timers, pairs, contacts.heard)
    permission = Permission(means.doors.policies, timers)
    senders = Senders(
        rs, settings.domain.name, people.identity, store.uploads, store.grants, timers, record, effects.unique
    )
    return Serving(
        Gate(rs, rates, audit),
        Strangers(proofs, store.grants, store.blobs, timers, record, permission),
        Renewals(
            settings=rs,
            proofs=proofs,
            grants=store.grants,
            timers=timers,
            record=record,
            permission=permission,
            rates=RateLimit(rs.renewals / 60, rs.renewals, effects.reactor),
        ),
        senders,
        _sharing(means, record, notices),
        Collection(rs, store.blobs, store.uploads, timers, Nursery(), store.grants),
    )


def _sharing(means: Means, record: Record, notices: Notices | None) -> Sharing:
    effects, store = means.effects, means.store
    return Sharing(
        origin=means.settings.rs.origin,
        links=store.links,
        grants=store.grants,
        blobs=store.blobs,
        notices=notices if means.settings.mail.links else None,
        rates=RateLimit(LINK_RATE, LINK_BURST, effects.reactor, whose=network_of),
        timers=effects.timers,
        record=record,
        new_name=effects.unique,
        seed=means.doors.keyring.link_seed,
    )


@frozen
class Retrieving:
    """The Resource Retrieval Agent's parts."""

    acceptance: Acceptance
    operations: Operations
    stock: Stock
    moving: Moving
    reader: Reader
    posting: Posting
    feed: Feed
    agent: Agent


@frozen
class _Parts:
    """The agent's parts, each made with the means and the roles about people."""

    means: Means
    people: People
    contacts: Contacts

    def delegations(self) -> Delegations:
        return Delegations(
            domain=self.means.settings.domain.name,
            agent=self.means.doors.keyring.agent,
            remote=self.means.doors.agent,
            trust=self.people.identity,
            timers=self.means.effects.timers,
            flights=Flights(),
            audit=self.means.audit,
            unique=self.means.effects.unique,
        )

    def puller(self, delegations: Delegations, transfers: Transfers) -> Puller:
        return Puller(
            queue=self.means.store.queue,
            blobs=self.means.store.blobs,
            remote=self.means.doors.agent,
            trust=self.people.identity,
            delegations=delegations,
            transfers=transfers,
            timers=self.means.effects.timers,
            settings=self.means.settings.rra,
        )

    def health(self) -> Health:
        return Health(
            queue=self.means.store.queue,
            timers=self.means.effects.timers,
            settings=self.means.settings.rra,
            chance=self.means.effects.chance,
        )

    def scheduler(self, puller: Puller, outbox: Bell, feed: Feed, work: Nursery) -> Scheduler:
        return Scheduler(
            queue=self.means.store.queue,
            puller=puller,
            health=self.health(),
            timers=self.means.effects.timers,
            bell=Bell(self.means.effects.reactor),
            outbox=outbox,
            feed=feed,
            audit=self.means.audit,
            spawn=work.spawn,
        )

    def receipts(self, delegations: Delegations, outbox: Bell, is_busy: Callable[[], bool]) -> Receipts:
        return Receipts(
            queue=self.means.store.queue,
            remote=self.means.doors.agent,
            trust=self.people.identity,
            delegations=delegations,
            agent=self.means.doors.keyring.agent,
            timers=self.means.effects.timers,
            bell=outbox,
            audit=self.means.audit,
            is_busy=is_busy,
            answered=self.contacts.answered,
        )

    def acceptance(self, scheduler: Scheduler) -> Acceptance:
        return Acceptance(
            queue=self.means.store.queue,
            blobs=self.means.store.blobs,
            subjects=self.people.members,
            timers=self.means.effects.timers,
            bell=scheduler.bell,
            audit=self.means.audit,
            settings=self.means.settings.rra,
            contacts=self.contacts,
            waits=waits_of(self.means),
        )

    def waker(self, scheduler: Scheduler) -> Waker:
        return Waker(
            contacts=self.contacts,
            queue=self.means.store.queue,
            health=scheduler.health,
            timers=self.means.effects.timers,
            bell=scheduler.bell,
            outbox=scheduler.outbox,
            budget=RateLimit(1 / REFILL.total_seconds(), BURST, self.means.effects.reactor),
        )

    def greeter(self, delegations: Delegations) -> Greeter:
        return Greeter(
            owing=self.means.store.grants,
            remote=self.means.doors.agent,
            trust=self.people.identity,
            delegations=delegations,
            timers=self.means.effects.timers,
            audit=self.means.audit,
            domain=self.means.settings.domain.name,
        )

    def operations(self, scheduler: Scheduler, delegations: Delegations) -> Operations:
        return Operations(
            queue=self.means.store.queue,
            books=self.means.store.books,
            scheduler=scheduler,
            transfers=scheduler.puller.transfers,
            delegations=delegations,
            subjects=self.people.members,
            timers=self.means.effects.timers,
            bell=scheduler.bell,
            feed=scheduler.feed,
            audit=self.means.audit,
        )

    def stock(self, operations: Operations, work: Nursery) -> Stock:
        store, collection = self.means.store, self.means.settings.rs
        return Stock(
            shelves=store.shelves,
            partial=store.blobs,
            queue=store.queue,
            acts=operations.acts,
            timers=self.means.effects.timers,
            audit=self.means.audit,
            spawn=work.spawn,
            grace=collection.grace,
            keep=collection.keep_after_receipt,
        )

    def moving(self, operations: Operations, acceptance: Acceptance) -> Moving:
        store = self.means.store
        return Moving(
            books=store.books,
            mailbox=store.mailbox,
            blobs=store.blobs,
            acceptance=acceptance,
            acts=operations.acts,
            audit=self.means.audit,
        )

    def reader(self, operations: Operations) -> Reader:
        rra, blobs = self.means.settings.rra, self.means.store.blobs
        restorer = Restorer(blobs, rra.most_message, rra.most_parts)
        return Reader(
            mailbox=self.means.store.mailbox,
            blobs=blobs,
            arrivals=operations,
            restorer=restorer,
            timers=self.means.effects.timers,
        )

    def renewals(self, scheduler: Scheduler, work: Nursery) -> Renewer:
        return Renewer(
            queue=self.means.store.queue,
            remote=self.means.doors.agent,
            trust=self.people.identity,
            delegations=scheduler.puller.delegations,
            agent=self.means.doors.keyring.agent,
            health=scheduler.health,
            timers=self.means.effects.timers,
            bell=Bell(self.means.effects.reactor),
            feed=scheduler.feed,
            audit=self.means.audit,
            lifetime=self.means.settings.rra.lifetime,
            spawn=work.spawn,
        )

    def agent(
        self, scheduler: Scheduler, receipts: Receipts, notifier: Notifier, circumstances: Circumstances, work: Nursery
    ) -> Agent:
        return Agent(
            scheduler=scheduler,
            receipts=receipts,
            waker=self.waker(scheduler),
            greeter=self.greeter(receipts.delegations),
            notifier=notifier,
            watch=Watch(scheduler=scheduler, renewals=self.renewals(scheduler, work)),
            self_check=SelfCheck(
                checks=self.means.store.checks,
                queue=self.means.store.queue,
                scheduler=scheduler,
                timers=self.means.effects.timers,
                audit=self.means.audit,
                circumstances=circumstances,
            ),
            transfers=scheduler.puller.transfers,
            feed=scheduler.feed,
            queue=self.means.store.queue,
            blobs=self.means.store.blobs,
            timers=self.means.effects.timers,
            nursery=work,
        )


def build_retrieving(means: Means, people: People, contacts: Contacts, notices: Notices | None) -> Retrieving:
    """The Resource Retrieval Agent of the domain; without `notices` nobody hears of what is late or lost."""
    parts, effects = _Parts(means, people, contacts), means.effects
    outbox, work = Bell(effects.reactor), Nursery()
    feed = Feed(lambda: Bell(effects.reactor))
    delegations = parts.delegations()
    puller = parts.puller(delegations, Transfers(effects.timers, means.settings.fetch.idle))
    scheduler = parts.scheduler(puller, outbox, feed, work)
    acceptance, operations = parts.acceptance(scheduler), parts.operations(scheduler, delegations)
    notifier = notifier_of(means, scheduler.health, notices)
    feed.watchers.append(notifier.changed)
    return Retrieving(
        acceptance,
        operations,
        parts.stock(operations, work),
        parts.moving(operations, acceptance),
        parts.reader(operations),
        Posting(acceptance),
        feed,
        parts.agent(
            scheduler,
            parts.receipts(delegations, outbox, scheduler.is_busy),
            notifier,
            operations.circumstances,
            work,
        ),
    )
