"""Where a host listens: the operator's host table first, then DNS."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Protocol

from attrs import define, field, frozen
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IHostnameResolver, IResolutionReceiver
from zope.interface import implementer

from rrsd.core.refusals import Unavailable
from rrsd.core.values.records import Host, Records, RecordType, Verdict
from rrsd.drivers.dns.places import Place
from rrsd.runtime.awaits import deferred_of
from rrsd.runtime.timers import Timers


class Addresses(Protocol):
    """Who knows the addresses of a host."""

    async def find(self, host: str) -> list[str]:
        """All of them, in the order in which they are to be tried; none when it has none.

        Raises:
            Unavailable: that cannot be told.
        """
        ...


@frozen
class Resolver:
    """Resolves host names within `deadline` to at most `most` places."""

    addresses: Addresses
    timers: Timers
    table: Mapping[str, Place] = field(factory=dict)
    deadline: timedelta = timedelta(seconds=10)
    most: int = 8

    async def lookup(self, host: str, port: int) -> tuple[Place, ...]:
        """Where `host` listens for `port`, at least one place.

        Raises:
            Unavailable: it has no address, none in time, or none that may be believed.
        """
        if host in self.table:
            return (self.table[host],)
        late = lambda: Unavailable("name resolution is slow")  # noqa: E731
        found = await self.timers.within(self.deadline, self.addresses.find(host), late)
        places = tuple(dict.fromkeys(Place(one, port) for one in found))[: self.most]
        if not places:
            raise Unavailable("name does not resolve", is_nobody=True)
        return places


class Questions(Protocol):
    """Records by name."""

    async def ask(self, name: str, kind: RecordType) -> Records:
        """What DNS says about the name; trouble is a verdict."""
        ...


@frozen
class ValidatedAddresses:
    """Addresses by the questions that everything else is asked with.

    Where one of the two answers is bogus, nobody is called: somebody is at work on that name.
    """

    questions: Questions

    async def find(self, host: str) -> list[str]:
        """The IPv4 addresses, then those of IPv6.

        Raises:
            Unavailable: an answer is bogus, or there is none now.
        """
        asked = [deferred_of(self.questions.ask(host, kind)) for kind in (RecordType.A, RecordType.AAAA)]
        answers = await gatherResults(asked, consumeErrors=True)
        found = [each.address for answer in answers for each in answer.records if isinstance(each, Host)]
        for answer in answers:
            if answer.verdict is Verdict.BOGUS:
                raise Unavailable(f"the addresses are bogus: {answer.reason}")
            if answer.verdict is Verdict.TEMPORARY and not found:
                raise Unavailable(answer.reason)
        return found


@frozen
class SystemAddresses:
    """Addresses by the system's resolver, off the reactor thread."""

    names: IHostnameResolver

    async def find(self, host: str) -> list[str]:
        """What it says, in its order.

        Raises:
            Unavailable: it says nothing; whether there is nothing cannot be told.
        """
        asked = _Question()
        self.names.resolveHostName(asked, host, 0)
        found = [one.host for one in await asked.answered]
        if not found:
            raise Unavailable("name does not resolve")
        return found


@implementer(IResolutionReceiver)
@define(eq=False)
class _Question:
    answered: Deferred[list[IPv4Address | IPv6Address]] = field(factory=Deferred)
    _found: list[IPv4Address | IPv6Address] = field(factory=list)

    def resolutionBegan(self, resolutionInProgress: Any) -> None:  # noqa: N802, N803 - Twisted's interface
        pass

    def addressResolved(self, address: Any) -> None:  # noqa: N802
        if isinstance(address, IPv4Address | IPv6Address):
            self._found.append(address)

    def resolutionComplete(self) -> None:  # noqa: N802
        if not self.answered.called:
            self.answered.callback(self._found)
