"""The clients that are registered now: in the settings, by the administrator, and this daemon's own agent."""

from collections.abc import Callable, Mapping
from typing import Any

from attrs import define, evolve, field

from rrsd.core.refusals import Conflict, Malformed, Unknown
from rrsd.core.values.calls import Event
from rrsd.core.values.clients import ClientRow
from rrsd.core.values.instants import Instant
from rrsd.roles.sts.clients import Client, parse_client
from rrsd.roles.sts.ports import Audit, ClientRows

WHO = "operator"
"""Whoever may use the administrator's socket."""


@define(eq=False, kw_only=True)
class Registry:
    """Clients by identifier. What the settings say wins over what the administrator added under the same name.

    `own` is the registration of this daemon's agent at this moment, under the name `own_name`. `others` are the names
    of the provider's own clients, which prove nothing and so must not be those of a client that does.
    """

    configured: Mapping[str, Client]
    own_name: str
    own: Callable[[], Client]
    others: frozenset[str]
    rows: ClientRows
    audit: Audit
    now: Callable[[], Instant]
    _kept: dict[str, ClientRow] | None = field(default=None, init=False)
    _parsed: dict[str, Client] = field(factory=dict, init=False)
    _coming: set[str] = field(factory=set, init=False)

    async def find(self, name: str) -> Client | None:
        """The client; None when there is none, or it is disabled."""
        if name in self.configured:
            return self.configured[name]
        if name == self.own_name:
            return self.own()
        row = (await self._load()).get(name)
        return None if row is None or row.disabled else self._parse(row)

    async def list(self) -> list[dict[str, Any]]:
        """Every client, by name, with where it is registered."""
        kept = await self._load()
        names = sorted({self.own_name, *self.configured, *kept})
        return [self._line(name, kept) for name in names]

    async def show(self, name: str) -> dict[str, Any]:
        """One client that the administrator added, as it was added, or one line about another.

        Raises:
            Unknown: there is none.
        """
        kept = await self._load()
        if name in kept and name not in self.configured:
            row = kept[name]
            return {**self._line(name, kept), "created": row.created.isoformat(), "document": dict(row.document)}
        if name != self.own_name and name not in self.configured:
            raise Unknown(f"no client {name}")
        return self._line(name, kept)

    async def add(self, name: str, document: Mapping[str, Any]) -> None:
        """Register a client, which may ask at once.

        Raises:
            Malformed: the document, or the name, registers nobody.
            Conflict: there is one of that name.
        """
        kept = await self._load()
        parse_client(name, document)
        if name in {self.own_name, *self.configured, *kept, *self.others, *self._coming}:
            raise Conflict(f"there is a client {name} already: remove it, or its section in the settings, first")
        # Another request with this name may come while the row is written.
        self._coming.add(name)
        try:
            await self._save("client_added", ClientRow(name, dict(document), False, self.now()))
        finally:
            self._coming.discard(name)

    async def disable(self, name: str) -> None:
        """Let the client prove nothing from now on; refuses with Unknown."""
        await self._save("client_disabled", evolve(await self._require(name), disabled=True))

    async def enable(self, name: str) -> None:
        """Undo `disable`; refuses with Unknown."""
        await self._save("client_enabled", evolve(await self._require(name), disabled=False))

    async def remove(self, name: str) -> None:
        """Forget the client; refuses with Unknown."""
        await self._require(name)
        self.audit.record(Event("client_removed", "granted", who=WHO, subject=name))
        await self.rows.remove(name)
        (await self._load()).pop(name, None)
        self._parsed.pop(name, None)

    async def _require(self, name: str) -> ClientRow:
        row = (await self._load()).get(name)
        if row is None:
            where = "the settings have it" if name in self.configured else "there is none"
            raise Unknown(f"no client {name} that was added by rrsctl: {where}")
        return row

    async def _save(self, what: str, row: ClientRow) -> None:
        # Nothing is done without a trace (Z-08): the line comes first.
        self.audit.record(Event(what, "granted", who=WHO, subject=row.name))
        await self.rows.save(row)
        (await self._load())[row.name] = row
        self._parsed.pop(row.name, None)

    async def _load(self) -> dict[str, ClientRow]:
        if self._kept is None:
            found = {row.name: row for row in await self.rows.all()}
            self._kept = found if self._kept is None else self._kept
        return self._kept

    def _parse(self, row: ClientRow) -> Client | None:
        """The client in a row; None for one that this version would not register."""
        if row.name not in self._parsed:
            try:
                self._parsed[row.name] = parse_client(row.name, row.document)
            except Malformed:
                return None
        return self._parsed[row.name]

    def _line(self, name: str, kept: Mapping[str, ClientRow]) -> dict[str, Any]:
        row, client = kept.get(name), self.configured.get(name)
        where = "settings" if client is not None else "own" if name == self.own_name else "rrsctl"
        if client is None:
            client = self.own() if name == self.own_name or row is None else self._parse(row)
        line = {"name": name, "from": where, "disabled": where == "rrsctl" and row is not None and row.disabled}
        return line if client is None else line | _facts(client)


def _facts(client: Client) -> dict[str, Any]:
    return {
        "auth": client.method.value,
        "impersonate": sorted(map(str, client.impersonate)),
        "audiences": sorted(client.audiences),
        "targets": ["*"] if client.targets is None else sorted(map(str, client.targets)),
        "introspect": client.introspects,
        "mtls": client.compares,
    }
