"""The daemon as one Twisted service: the rooms in order, signals, readiness, and an honest end when a start fails."""

import os
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

from attrs import define, field
from twisted.application.service import IService
from twisted.internet.defer import Deferred
from twisted.internet.error import ReactorNotRunning
from twisted.logger import ILogObserver, Logger, LogLevel
from twisted.python.components import Componentized
from typing_extensions import override

from rrsd.app.audit import Audit
from rrsd.app.compose import Composition, compose
from rrsd.app.doors import build_doors
from rrsd.app.effects import Effects, real
from rrsd.app.front import Listeners
from rrsd.app.means import Means
from rrsd.app.notify import notify
from rrsd.app.sites import local_site, status_site
from rrsd.config.settings import Format, Level, Settings
from rrsd.core.refusals import Refusal
from rrsd.core.values.calls import Event
from rrsd.drivers.keys.room import KeyRoom
from rrsd.drivers.keys.service import Keyring
from rrsd.drivers.store.service import Store, Threads
from rrsd.roles.admin.meters import Meters
from rrsd.roles.idp.service import IdentityProvider
from rrsd.runtime.logs import AuditTrail, Log, as_json, as_text
from rrsd.runtime.loops import Nursery
from rrsd.runtime.secure import SecureFactory
from rrsd.runtime.tree import OrderedTree, Room
from rrsd.web.site import Limits, Site
from rrsd.web.trail import Notes

ROOMS = (
    "store", "keys", "tls", "dns", "fetch", "smtp", "imap", "policy",
    "identity", "rs", "sts", "idp", "rra", "mail", "admin", "front",
)  # fmt: skip
"""The rooms in order of their start: drivers, roles, and the public listeners last."""

MOST_BODY = 16 << 20
LOOK_EVERY = timedelta(seconds=10)


@define(eq=False)
class Still:
    """A room that has nothing to start and nothing to stop, or only an end."""

    name: str
    ends: tuple[Callable[[], Awaitable[None]], ...] = ()

    async def start(self) -> None:
        """Nothing to do."""

    async def stop(self) -> None:
        """Let go of what is held."""
        for end in self.ends:
            await end()


class Daemon(OrderedTree):
    """The tree with what a process needs: its log format, SIGHUP, and the service manager's notifications."""

    _log = Logger()

    def __init__(
        self, rooms: tuple[Room, ...], observer: ILogObserver, reload: Callable[[], Any], reactor: Any
    ) -> None:
        super().__init__("rrsd", rooms, self._end, expected=(Refusal,))
        self._observer = observer
        self._reload = reload
        self._reactor = reactor

    @override
    def setServiceParent(self, parent: Any) -> None:
        # twistd asks the application for the log observer, and this is the moment when we meet it.
        if isinstance(parent, Componentized):
            parent.setComponent(ILogObserver, self._observer)
        super().setServiceParent(parent)

    @override
    def startService(self) -> None:
        signal.signal(signal.SIGHUP, lambda *_: self._reactor.callFromThread(self._on_hangup))
        self._reactor.callWhenRunning(self._end_well_on_sigterm)
        super().startService()

    @override
    def all_started(self) -> None:
        notify("READY=1")

    @override
    def stopService(self) -> Deferred[None]:
        notify("STOPPING=1")
        return super().stopService()

    def _end_well_on_sigterm(self) -> None:
        # Twisted's own handler makes the process die of the signal in the end, although everything was stopped.
        signal.signal(signal.SIGTERM, lambda *_: self._reactor.callFromThread(self._on_terminate))

    def _on_terminate(self) -> None:
        self._log.info("SIGTERM: stopping")
        with suppress(ReactorNotRunning):  # a second signal while the first is obeyed
            self._reactor.stop()

    def _on_hangup(self) -> None:
        notify("RELOADING=1")
        try:
            done = self._reload()
        except (Refusal, OSError) as problem:
            self._log.error("reload: {problem}; everything is as it was", problem=str(problem))
        else:
            self._log.info("reloaded: {done}", done=", ".join(done))
        notify("READY=1")

    def _end(self, line: str) -> None:
        """A daemon that cannot start says why in one line and ends with a status that its manager understands."""
        self._log.critical("rrsd: {line}", line=line)
        self._reactor.addSystemEventTrigger("after", "shutdown", os._exit, os.EX_UNAVAILABLE)
        self._reactor.callWhenRunning(self._reactor.stop)


def make_service(settings: Settings, reactor: Any = None) -> IService:
    """The service that serves the domain; the process ends with one line when its files cannot be used."""
    if reactor is None:
        from twisted.internet import reactor
    effects = real(reactor, settings.idp.password_threads)
    try:
        return build_daemon(settings, effects)
    except (Refusal, OSError) as problem:
        sys.stderr.write(f"rrsd: {problem}\n")
        raise SystemExit(os.EX_CONFIG) from None


def build_daemon(settings: Settings, effects: Effects) -> Daemon:
    """All rooms, in order.

    Raises:
        Refusal: keys, certificates or addresses cannot be used.
        OSError: the audit trail cannot be opened.
    """
    timers = effects.timers
    keyring = Keyring(settings.keys, timers.now)
    keyring.reload()
    trail = AuditTrail(settings.audit.path, timers.now)
    audit = Audit(trail, Meters(), settings.audit.claims)
    threads = Threads(effects.writer, effects.readers, effects.disk)
    store = Store(settings.store, threads, timers.now, timers.monotonic)
    doors = build_doors(settings, effects, keyring)
    whole = compose(Means(settings, effects, doors, store, audit))
    rooms = {room.name: room for room in _active(whole, store, effects)}
    ordered = tuple(rooms.get(name) or Still(name) for name in ROOMS)

    def reload() -> tuple[str, ...]:
        trail.reopen()

        def tell(done: Sequence[str]) -> None:
            audit.record(Event("reload", "granted", who="SIGHUP", evidence=", ".join((*done, "audit trail"))))

        try:
            return (*doors.reload(tell), "audit trail")
        except Refusal as refusal:
            audit.record(Event("reload", "failed", who="SIGHUP", refusal=refusal.reason, evidence=refusal.detail))
            raise

    return Daemon(ordered, _observer(settings), reload, effects.reactor)


def _active(whole: Composition, store: Store, effects: Effects) -> tuple[Room, ...]:
    doors = whole.means.doors
    return (
        _Threaded(store, effects),
        KeyRoom(doors.keyring, effects.timers, whole.keys.rotate_by_itself),
        Still("dns", (doors.names.stop,)),
        Still("fetch", (doors.strangers.stop, doors.agent.stop)),
        whole.serving.collection,
        IdentityProvider(store.logins, effects.timers),
        whole.retrieving.agent,
        whole.mail,
        _desk(whole),
        _front(whole),
    )


@define(eq=False)
class _Threaded:
    """The store with the threads that it works on: they run before it starts and until it has stopped.

    Meanwhile the log says once when the store cannot work, a full disk for example, and once when it can again.
    """

    _log = Logger()

    store: Store
    effects: Effects
    name: str = "store"
    _watch: Nursery = field(factory=Nursery, init=False)

    async def start(self) -> None:
        for threads in self.effects.threads:
            await threads.start()
        await self.store.start()
        self._watch.spawn(self._look(), "store watch")

    async def stop(self) -> None:
        await self._watch.stop()
        await self.store.stop()
        for threads in self.effects.threads:
            await threads.stop()

    async def _look(self) -> None:
        before = ""
        while True:
            after = await self._trouble()
            if after and not before:
                self._log.critical("store: {trouble}", trouble=after)
            if before and not after:
                self._log.info("store: it works again")
            before = after
            await self.effects.timers.sleep(LOOK_EVERY)

    async def _trouble(self) -> str:
        try:
            await self.store.check()
        except Refusal as refusal:
            return str(refusal)
        return ""


def _front(whole: Composition) -> Listeners:
    settings, reactor = whole.means.settings, whole.means.effects.reactor
    limits = Limits(most_body=MOST_BODY + settings.rra.most_message)
    site = Site(whole.public, reactor, limits, Notes(whole.means.audit))
    site.is_verbose = settings.log.level is Level.DEBUG
    secure = SecureFactory(
        whole.means.doors.server, site, reactor, handshake_timeout=settings.tls.handshake.total_seconds()
    )
    return Listeners("front", reactor, [(each, secure) for each in settings.front.listen])


def _desk(whole: Composition) -> Listeners:
    settings, reactor = whole.means.settings, whole.means.effects.reactor
    most = settings.rra.most_message
    limits, notes = Limits(most_body=MOST_BODY + most), Notes(whole.means.audit)
    desk = Site(local_site(whole.window, whole.retrieving, most), reactor, limits, notes)
    doors: list[Any] = [(settings.admin.socket, desk)]
    if settings.admin.listen is not None:
        doors.append((settings.admin.listen, Site(status_site(whole.window), reactor, notes=notes)))
    return Listeners("admin", reactor, doors)


def _observer(settings: Settings) -> ILogObserver:
    least = LogLevel.lookupByName(settings.log.level.value)
    plain = settings.log.format is Format.TEXT or (settings.log.format is Format.AUTO and sys.stderr.isatty())
    return Log(sys.stderr, as_text if plain else as_json, least)
