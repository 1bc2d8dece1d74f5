"""The domain's keys as the operator sees and changes them."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from attrs import frozen

from rrsd.app.audit import Audit
from rrsd.app.doors import Doors
from rrsd.config.settings import Settings
from rrsd.core.refusals import Conflict, Refusal, Unavailable, Unknown
from rrsd.core.values.calls import Event
from rrsd.core.values.digests import Digest
from rrsd.core.wire import texts, tlsa
from rrsd.drivers.keys import rotation, walk
from rrsd.drivers.keys.rotation import SigningKey
from rrsd.drivers.keys.service import Keyring
from rrsd.drivers.keys.walk import ClientKey, State, Step, Waits
from rrsd.roles.admin.resource import WHO
from rrsd.roles.identity.settings import Method

Look = Callable[[str], Awaitable[Mapping[str, Any]]]

CLOCK = "clock"
"""Who lets a key change when nobody does."""

LEAST_REMEMBERED = timedelta(minutes=1)
"""Others keep what we publish at least that long, whatever we say (protocol 3)."""


@frozen
class KeyDesk:
    """The keys and their changes; each of these leaves one line in the trail, before it is made (Z-08).

    `look` reports what the world has published about a name.
    """

    settings: Settings
    doors: Doors
    audit: Audit
    look: Look

    @property
    def keyring(self) -> Keyring:
        """The keys themselves."""
        return self.doors.keyring

    @property
    def waits(self) -> Waits:
        """How long others may remember what we publish about our client keys."""
        keys = self.settings.keys
        return Waits(max(self.settings.identity.max_age, keys.record_ttl, LEAST_REMEMBERED), keys.grace)

    def document(self) -> Mapping[str, object]:
        """The signing keys with their states, the client certificates, and what comes next."""
        keys = [
            {"kid": each.kid, "state": str(each.state), "since": each.since.isoformat()}
            for each in self.keyring.signing_keys()
        ]
        clients = [_client_document(each) for each in self.keyring.client_keys()]
        return {"keys": keys, "client": clients[0] if clients else {}, "clients": clients, **self._following()}

    def rotate(self) -> bool:
        """Let the next signing key sign; False if that just happened. Refuses as `Keyring.rotate`."""
        return self._rotate(WHO)

    def rotate_by_itself(self) -> bool:
        """The same when its time has come; nobody asks, so that a refusal leaves its line here."""
        try:
            return self._rotate(CLOCK)
        except Refusal as refusal:
            event = Event("rotate", "failed", who=CLOCK, refusal=refusal.reason, evidence=refusal.detail)
            self.audit.record(event)
            raise

    async def change_client(self, step: str, *, is_forced: bool) -> bool:
        """Take a step with the client key; False if that was done already.

        Raises:
            Unknown: there is no such step.
            Conflict: another step comes first, others may still remember what contradicts this one, or what the world
                sees does not have the key that is to be used.
            Unavailable, NoSpace, Damaged, Forbidden: the folder of the keys is not as it must be.
        """
        if step not in list(Step):
            raise Unknown("the steps are publish, use and withdraw")
        if not is_forced:
            self.keyring.require_step(Step(step), self.waits)
            await self._require_seen(Step(step))
        evidence = f"{step}{', forced' if is_forced else ''}"
        changed = self.keyring.take_step(Step(step), lambda keys: self._tell_clients(keys, evidence))
        self.doors.present()
        return changed

    def _tell_clients(self, keys: Sequence[ClientKey], evidence: str) -> None:
        hashes = " ".join(each.pair.certificate.spki.hex for each in keys)
        self.audit.record(Event("client_key", "granted", who=WHO, resource=hashes, evidence=evidence))

    async def _require_seen(self, step: Step) -> None:
        clients = self.keyring.client_keys()
        following = [each.pair.certificate for each in clients if each.state is State.NEXT]
        if step is not Step.USE or not following:
            return
        missing = unseen(await self.look(str(following[0].client)), following[0].spki)
        if missing:
            raise Conflict(f"{missing}: publish what rrsctl keys list prints, and wait, or say --force")

    def _rotate(self, who: str) -> bool:
        def tell(keys: Sequence[SigningKey]) -> None:
            active = next(each.kid for each in keys if each.state is rotation.State.ACTIVE)
            self.audit.record(Event("rotate", "granted", who=who, resource=active))

        return self.keyring.rotate(tell)

    def _published(self) -> tuple[Digest, ...]:
        return self.keyring.agent.published()

    def _following(self) -> dict[str, object]:
        clients = self.keyring.client_keys()
        if not clients:
            return {}
        step, due = walk.FOLLOWING[walk.stage_of(clients)], walk.due(clients, self.waits)
        client = str(clients[0].pair.certificate.client)
        return {
            "following": {"step": str(step), "due": None if due is None else due.isoformat()},
            "records": records(client, self._published(), self.settings.keys.record_ttl),
        }


def _client_document(key: ClientKey) -> dict[str, Any]:
    certificate = key.pair.certificate
    return {
        "state": str(key.state),
        "since": key.since.isoformat(),
        "name": str(certificate.client),
        "x5t": certificate.x5t.b64,
        "spki": certificate.spki.hex,
        "not_after": certificate.not_after.isoformat(),
    }


def unseen(report: Mapping[str, Any], spki: Digest) -> str:
    """Where the world does not see the key, in words; "" when every record that there is has it.

    `report` is what `rrsctl identity verify` says about the client. A record that cannot be read counts too: others
    could not read it either.
    """
    missing = []
    for method in report["methods"]:
        is_there = method["method"] in _RECORDS and method["state"] != "absent"
        if is_there and not any(spki.hex in each for each in method["seen"]):
            why = method["why"] if method["state"] == "unavailable" or not method["seen"] else "another key"
            missing.append(f"{method['method']} at {method['place']} does not have the next key ({why})")
    return "; ".join(missing)


_RECORDS = frozenset({Method.DANE, Method.WEBFINGER, Method.TXT})
"""The methods that look at a hash of the key."""


def records(client: str, hashes: tuple[Digest, ...], ttl: timedelta) -> list[str]:
    """What has to stand in DNS at the client's name while these keys are published, as lines of a zone file."""
    life = int(ttl.total_seconds())
    certificates = (texts.zone_line(client, life, "TLSA", tlsa.render_tlsa(tlsa.of_key(each))) for each in hashes)
    return [texts.zone_line(client, life, "TXT", texts.render_client_keys(hashes)), *certificates]


@frozen
class KeysCheck:
    """Whether there is something to sign with and to present."""

    keyring: Keyring

    async def __call__(self) -> None:
        """Refuses with Unavailable, saying which command helps."""
        _ = self.keyring.agent.certificate
        if not self.keyring.signer.is_ready:
            raise Unavailable("no active signing key; run: rrsctl keys rotate")
