"""What the world publishes about a name, looked at afresh, and why it would or would not be believed here."""

from collections.abc import Awaitable, Sequence
from enum import StrEnum
from typing import Any

from attrs import asdict, define, evolve, field, frozen

from rrsd.core.refusals import Refusal, Unavailable, Unknown, Unproven
from rrsd.core.values.addresses import ClientIdentifier, Domain, parse_address, parse_client_identifier, parse_domain
from rrsd.core.values.peers import Discovery, Introduction, Issuer, Strength
from rrsd.roles.identity import rules
from rrsd.roles.identity.documents import Documents
from rrsd.roles.identity.home import Home
from rrsd.roles.identity.introductions import WAYS, Introductions
from rrsd.roles.identity.memory import Learned
from rrsd.roles.identity.methods import Absent, Methods, Published
from rrsd.roles.identity.ports import AgentInUse, Strangers, Timers
from rrsd.roles.identity.settings import Method, Settings
from rrsd.roles.identity.zones import Zones


class State(StrEnum):
    """What became of one method."""

    PUBLISHED = "published"
    ABSENT = "absent"
    REFUSED = "refused"
    UNAVAILABLE = "unavailable"


@frozen
class Look:
    """One method: where it looks, what is `seen` there in words, what a proof by it rests on, and `why` in a sentence.

    `decides` marks the method that counts; `refusal` is a reason of the closed list where it says no.
    """

    method: str
    place: str
    state: State = State.PUBLISHED
    seen: tuple[str, ...] = ()
    strength: str = ""
    why: str = ""
    refusal: str = ""
    decides: bool = False


@frozen
class Report:
    """All methods in their order and the sentence that sums them up; `refusal` is "" where the name is believed."""

    name: str
    kind: str
    looks: tuple[Look, ...]
    refusal: str
    sentence: str

    def document(self) -> dict[str, Any]:
        """The report as JSON."""
        methods = [{**asdict(look), "state": str(look.state), "seen": list(look.seen)} for look in self.looks]
        found = {"name": self.name, "kind": self.kind, "believed": not self.refusal, "refusal": self.refusal}
        return {**found, "sentence": self.sentence, "methods": methods}


@define(eq=False)
class Inspection:
    """Asks as a stranger would: nothing is remembered, and our own domain is asked over the network too.

    Every method is looked at, those after the one that decides as well.
    """

    settings: Settings
    home: Home
    strangers: Strangers
    zones: Zones
    agent: AgentInUse
    timers: Timers
    _methods: Methods = field(init=False)
    _introductions: Introductions = field(init=False)

    def __attrs_post_init__(self) -> None:
        # The operator asks, not a stranger: our own hosts may be called.
        documents = Documents(self.settings, self.strangers, frozenset())
        self._methods = Methods(self.settings, documents, self.zones)
        self._introductions = Introductions(self.settings, documents, self.zones, self.timers)

    async def verify(self, name: str) -> dict[str, Any]:
        """The report about a domain, a user's address, or a client identifier, which begins with an underscore.

        Raises:
            Malformed: it is none of these.
        """
        if name.startswith("_"):
            client = parse_client_identifier(name)
            issuer = await self._issuer(client.domain)
            methods = [await self._method(method, client, issuer) for method in self.settings.methods]
            return report(str(client), "client", methods).document()
        domain = parse_address(name).domain if "@" in name else parse_domain(name)
        ways = [await self._way(way, domain) for way in WAYS]
        return report(str(domain), "domain", ways).document()

    async def _issuer(self, domain: Domain) -> Issuer | None:
        try:
            rules.require_usable(domain, self.settings.allow_reserved)
            return (await self._introductions.find(domain)).value.issuer
        except Refusal:
            return None

    async def _way(self, way: Discovery, domain: Domain) -> Look:
        blank = Look(way, self._introductions.place(way, domain))
        return await refused_into(blank, self._read_way(blank, way, domain))

    async def _read_way(self, blank: Look, way: Discovery, domain: Domain) -> Look:
        rules.require_usable(domain, self.settings.allow_reserved)
        found = await self._introductions.read(way, domain)
        if isinstance(found, Absent):
            return evolve(blank, state=State.ABSENT, why=found.why)
        look = evolve(blank, seen=(str(found.issuer),), strength="dnssec" if way is Discovery.DNSSEC else "tls")
        learned = self._introductions.confirm(domain, way, found, found.life)
        return await refused_into(look, _introduced(look, learned))

    async def _method(self, method: Method, client: ClientIdentifier, issuer: Issuer | None) -> Look:
        blank = Look(method, self._methods.place(method, client))
        return await refused_into(blank, self._read_method(blank, method, client, issuer))

    async def _read_method(self, blank: Look, method: Method, client: ClientIdentifier, issuer: Issuer | None) -> Look:
        rules.require_usable(client.domain, self.settings.allow_reserved)
        found = await self._methods.read(method, client, issuer)
        if isinstance(found, Absent):
            return evolve(blank, state=State.ABSENT, why=found.why)
        look = evolve(blank, seen=found.seen, strength=found.strength, why=_expectation(found.strength))
        return await refused_into(look, self._judged(look, client, found))

    async def _judged(self, look: Look, client: ClientIdentifier, found: Published) -> Look:
        """Our own client is judged by its certificate; of another one nobody here has a certificate."""
        if client != self.home.client:
            return look
        now = self.timers.now()
        found.judge(self.agent.certificate, now, now + found.life)
        return evolve(look, why="the client certificate in use is believed")


async def refused_into(look: Look, attempt: Awaitable[Look]) -> Look:
    """What the attempt comes to; a refusal is written into `look`."""
    try:
        return await attempt
    except Refusal as refusal:
        state = State.UNAVAILABLE if isinstance(refusal, Unavailable) else State.REFUSED
        return evolve(look, state=state, why=refusal.detail, refusal=refusal.reason)


def report(name: str, kind: str, looks: Sequence[Look]) -> Report:
    """The report: the first method that is not absent decides."""
    marked, decisive = [], None
    for look in looks:
        decides = decisive is None and look.state is not State.ABSENT
        marked.append(evolve(look, decides=decides))
        decisive = look if decides else decisive
    if decisive is None:
        nothing = Unknown if kind == "domain" else Unproven
        return Report(name, kind, tuple(marked), nothing.reason, f"nothing is published about {name}")
    return Report(name, kind, tuple(marked), decisive.refusal, _sentence(name, decisive))


def _sentence(name: str, look: Look) -> str:
    verdict = {
        State.UNAVAILABLE: "nobody can tell now",
        State.REFUSED: "is not believed",
        State.PUBLISHED: "is believed",
    }[look.state]
    return f"{name}: {verdict}; {look.method} decides: {look.why}"


def _expectation(strength: Strength) -> str:
    if strength is Strength.WEAK:
        return "no DNSSEC protects it: the policies that come with rrsd refuse it, unless one of yours permits it"
    if strength is Strength.ISSUER:
        return "whatever certificate this issuer names in a delegation is believed"
    return "a certificate that these match is believed"


async def _introduced(look: Look, learned: Awaitable[Learned[Introduction]]) -> Look:
    found = (await learned).value
    servers = ", ".join(map(str, found.protected_resources)) or "no resource server"
    return evolve(look, why=f"the issuer's metadata agree, and name {servers}")
