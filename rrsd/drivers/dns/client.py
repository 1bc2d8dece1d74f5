"""Questions to name servers, and what their answers are worth."""

import secrets
from collections.abc import Callable, Sequence
from datetime import timedelta

import dns.rcode
from attrs import field, frozen

from rrsd.core.refusals import Malformed, Unavailable
from rrsd.core.values.records import Records, RecordType, Verdict
from rrsd.drivers.dns.exchange import Exchange
from rrsd.drivers.dns.messages import Answer, Query, write_query
from rrsd.drivers.dns.places import Place

TRIES = 3
"""How often each server is asked before it counts as silent: datagrams get lost."""
BOGUS = frozenset(range(5, 13))
"""Extended errors that say that validation failed: indeterminate, bogus, expired, not yet valid, DNSKEY missing, RRSIGs
missing, no zone key bit, NSEC missing (RFC 8914 4.6 to 4.13)."""
NETWORK = frozenset({22, 23})
"""Extended errors that say that no server could be reached (RFC 8914 4.23, 4.24); keys that could not be had for that
are reported as missing as well."""
_PLAIN = frozenset({dns.rcode.NOERROR, dns.rcode.NXDOMAIN})


def _number() -> int:
    return secrets.randbits(16)


@frozen
class Client:
    """Asks `servers()` in turn. Only where `validating` their AD bit counts and SERVFAIL may mean bogus.

    Servers elsewhere may say what they like: whoever sits on the way can say the same (O-07).
    """

    exchange: Exchange
    servers: Callable[[], Sequence[Place]]
    validating: bool
    patience: timedelta = timedelta(seconds=3)
    number: Callable[[], int] = field(default=_number)

    async def ask(self, name: str, kind: RecordType) -> Records:
        """What they say about the name; trouble is a verdict."""
        try:
            answer = await self._answer(write_query(name, kind, self.number()))
        except Malformed as wrong:
            return nothing(Verdict.BOGUS, wrong.detail)
        except Unavailable as wrong:
            return nothing(Verdict.TEMPORARY, wrong.detail)
        if answer.rcode not in _PLAIN:
            return await self._failed(name, kind, answer)
        return self._plain(answer)

    async def stop(self) -> None:
        """Nothing is held between questions."""

    async def _answer(self, query: Query) -> Answer:
        """The first plain answer, or else the last one that was none."""
        trouble = Unavailable("there is no server to ask")
        last: Answer | None = None
        silent = list(self.servers())
        for server in silent * TRIES:
            if server not in silent:
                continue
            try:
                last = await self._try(server, query)
            except Unavailable as error:
                trouble = error
                continue
            if last.rcode in _PLAIN:
                return last
            silent.remove(server)
        if last is None:
            raise trouble
        return last

    async def _try(self, server: Place, query: Query) -> Answer:
        late = lambda: Unavailable("the resolver does not answer")  # noqa: E731
        return await self.exchange.timers.within(self.patience, self.exchange.ask(server, query), late)

    async def _failed(self, name: str, kind: RecordType, answer: Answer) -> Records:
        """Bogus when the resolver says so, or when it has an answer for those who do not want it validated."""
        said = f"the resolver says {dns.rcode.to_text(dns.rcode.Rcode(answer.rcode))}"
        if not self.validating or answer.rcode != dns.rcode.SERVFAIL or answer.extended & NETWORK:
            return nothing(Verdict.TEMPORARY, said)
        if answer.extended & BOGUS:
            return nothing(Verdict.BOGUS, f"validation failed (extended error {min(answer.extended & BOGUS)})")
        return await self._without_a_word(name, kind, said)

    async def _without_a_word(self, name: str, kind: RecordType, said: str) -> Records:
        """The resolver does not say why. An outage that has just ended is no forgery: it is asked once more."""
        try:
            unchecked = await self._answer(write_query(name, kind, self.number(), unchecked=True))
            if unchecked.rcode not in _PLAIN:
                return nothing(Verdict.TEMPORARY, said)
            again = await self._answer(write_query(name, kind, self.number()))
        except Unavailable as wrong:
            return nothing(Verdict.TEMPORARY, wrong.detail)
        if again.rcode in _PLAIN:
            return self._plain(again)
        return nothing(Verdict.BOGUS, "validation failed (there is an answer without it)")

    def _plain(self, answer: Answer) -> Records:
        verdict = Verdict.SECURE if answer.authentic and self.validating else Verdict.INSECURE
        return Records(verdict, answer.life, answer.records)


def nothing(verdict: Verdict, reason: str) -> Records:
    """No answer, and why."""
    return Records(verdict, timedelta(), (), reason)
