"""The domain's keys as a room: loaded at the start, reloaded on demand, rotated in place."""

import secrets
from collections.abc import Callable
from pathlib import Path

from attrs import define, field
from twisted.logger import Logger

from rrsd.core.refusals import Damaged, Unavailable
from rrsd.core.values.addresses import ClientIdentifier
from rrsd.core.values.instants import Instant, instant, seconds
from rrsd.core.values.tokens import Algorithm, KeySet
from rrsd.drivers.keys import files, rotation, walk
from rrsd.drivers.keys.certificates import KeyPair, load_pair, self_signed_client
from rrsd.drivers.keys.rotation import SigningKey, State
from rrsd.drivers.keys.settings import Settings
from rrsd.drivers.keys.signer import AgentKey, Signer
from rrsd.drivers.keys.walk import ClientKey, Step, Waits

SIGNING = "signing.json"
CLIENTS = "clients.json"
"""All client keys, from the first step of a walk on; then it is this file that counts, and the two below go."""
CLIENT_CERTIFICATE = "client.pem"
CLIENT_KEY = "client.key"
LINKS = "links.secret"
SEED = 32


@define(eq=False)
class Keyring:
    """The signing keys and the client certificates in one folder.

    `signer` and `agent` stay the same objects while the keys behind them change. A key that is not there makes them
    refuse with Unavailable; a key that others may read, or that is damaged, stops the start.
    """

    _log = Logger()

    settings: Settings
    _now: Callable[[], Instant]
    name: str = "keys"
    signer: Signer = field(factory=Signer)
    agent: AgentKey = field(factory=AgentKey)
    _keys: tuple[SigningKey, ...] = field(default=(), repr=False)
    _clients: tuple[ClientKey, ...] = field(default=(), repr=False)
    _seed: bytes = field(default=b"", repr=False)

    @property
    def folder(self) -> Path:
        """Where the key files are."""
        return Path(self.settings.path)

    def link_seed(self) -> bytes:
        """The secret of 256 bits that personal links are made from, so that a retry makes the same; made when it is
        first asked for. Raises as `start`, and NoSpace."""
        if not self._seed:
            files.require_folder(self.folder)
            with files.locked(self.folder):
                found = files.read_private(self.folder / LINKS)
                if found is None:
                    found = secrets.token_bytes(SEED)
                    files.write_new(self.folder / LINKS, found)
            if len(found) != SEED:
                raise Damaged(f"{self.folder / LINKS}: not {SEED} bytes; put the one of the backup in its place")
            self._seed = found
        return self._seed

    async def start(self) -> None:
        """Load everything.

        Raises:
            Forbidden: somebody else may read a private file or change the folder.
            Damaged: a file cannot be read or is not what it should be.
        """
        self.reload()

    async def stop(self) -> None:
        """Nothing to wait for."""

    def reload(self, decided: Callable[[], None] = lambda: None) -> None:
        """Load what the folder holds now; on a refusal the keys in use stay in use.

        `decided` is called when it can be used and before it is; what it raises prevents that. Raises as `start`.
        """
        files.require_folder(self.folder)
        keys = self._read_signing()
        clients = self._read_clients()
        decided()
        self._use(keys)
        self._use_clients(clients)
        if not self.signer.is_ready:
            self._log.warn("keys: no active signing key in {path}; run: rrsctl keys rotate", path=str(self.folder))
        if not clients:
            self._log.warn("keys: no client certificate in {path}; run: rrsctl init", path=str(self.folder))

    def create(self, client: ClientIdentifier) -> None:
        """Make the folder, the signing keys and the self-signed client certificate; what exists already stays.

        Raises as `start`, and NoSpace.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        files.require_folder(self.folder)
        with files.locked(self.folder):
            if self._read_signing() == ():
                now = self._moment()
                keys = (self._make(State.NEXT, now), self._make(State.ACTIVE, now))
                files.replace(self.folder / SIGNING, rotation.render(keys))
            if self._read_clients() == ():
                self._write_pair(self_signed_client(client, self._now()))
        self.reload()

    def rotate(self, decided: Callable[[tuple[SigningKey, ...]], None] = lambda _: None) -> bool:
        """Let the next key sign, retire the active one, make a new next one; False if that just happened.

        The new state is on disk before anything is signed with it, and `decided` hears of it before that; what it
        raises prevents the rotation. Raises as `start`, and NoSpace.
        """
        files.require_folder(self.folder)
        with files.locked(self.folder):
            before = self._read_signing()
            after = rotation.rotated(before, self._moment(), self.settings.grace, self._make)
            if after != before:
                decided(after)
                files.replace(self.folder / SIGNING, rotation.render(after))
        self._use(after)
        return after != before

    def require_step(self, step: Step, waits: Waits) -> None:
        """Returns None if the step on the client keys hurts nobody now; refuses with Conflict."""
        walk.require_due(self._clients, step, self._now(), waits)

    def take_step(self, step: Step, decided: Callable[[tuple[ClientKey, ...]], None] = lambda _: None) -> bool:
        """Publish, use or withdraw a client key; False if that was done already.

        The new state is on disk before anybody sees it, and `decided` hears of it before that; what it raises prevents
        the step. Raises as `start`, NoSpace, Conflict where another step comes first, and Unavailable where there is
        no client certificate at all.
        """
        files.require_folder(self.folder)
        with files.locked(self.folder):
            before = self._read_clients()
            if not before:
                raise Unavailable("no client certificate; run: rrsctl init")
            after = walk.walked(before, step, self._moment(), lambda: self._another(before[0].pair))
            if after != before:
                decided(after)
                files.replace(self.folder / CLIENTS, walk.render(after))
            self._forget_first_pair()
        self._use_clients(after)
        return after != before

    def client_keys(self) -> tuple[ClientKey, ...]:
        """Every client key with its state, the one that is presented first."""
        return self._clients

    def published(self) -> KeySet:
        """All keys that somebody may still have to verify with, the next one included."""
        return rotation.key_set(self._keys, self._now(), self.settings.grace)

    def signing_keys(self) -> tuple[SigningKey, ...]:
        """Every key with its state, for `rrsctl keys list`."""
        return self._keys

    def _moment(self) -> Instant:
        """Now, in whole seconds as the files hold it."""
        return instant(seconds(self._now()))

    def _use_clients(self, clients: tuple[ClientKey, ...]) -> None:
        self._clients = clients
        self.agent.use(*(key.pair for key in clients))

    def _another(self, pair: KeyPair) -> KeyPair:
        client = pair.certificate.client
        if client is None:
            raise Damaged("the client certificate names no client")
        return self_signed_client(client, self._now())

    def _make(self, state: State, since: Instant) -> SigningKey:
        return rotation.generate(state, since, Algorithm(self.settings.algorithm))

    def _use(self, keys: tuple[SigningKey, ...]) -> None:
        self._keys = keys
        self.signer.use(next((key for key in keys if key.state is State.ACTIVE), None))

    def _read_signing(self) -> tuple[SigningKey, ...]:
        path = self.folder / SIGNING
        data = files.read_private(path)
        if data is None:
            return ()
        try:
            return rotation.parse(data)
        except Damaged as refusal:
            raise Damaged(f"{path}: {refusal.detail}; restore it from a backup") from None

    def _read_clients(self) -> tuple[ClientKey, ...]:
        path = self.folder / CLIENTS
        data = files.read_private(path)
        if data is None:
            pair = self._read_pair()
            return () if pair is None else walk.first(pair)
        try:
            return walk.parse(data)
        except Damaged as refusal:
            raise Damaged(f"{path}: {refusal.detail}; restore it from a backup") from None

    def _forget_first_pair(self) -> None:
        """What `create` wrote goes once it is in the other file; after a crash a later step sees to it."""
        if (self.folder / CLIENTS).exists():
            files.remove(self.folder / CLIENT_KEY)
            files.remove(self.folder / CLIENT_CERTIFICATE)

    def _read_pair(self) -> KeyPair | None:
        key = files.read_private(self.folder / CLIENT_KEY)
        if key is None:
            return None
        certificate = files.read_public(self.folder / CLIENT_CERTIFICATE)
        try:
            return load_pair(certificate, key)
        except Damaged as refusal:
            raise Damaged(f"{self.folder / CLIENT_KEY}: {refusal.detail}; restore it from a backup") from None

    def _write_pair(self, pair: KeyPair) -> None:
        # The certificate first: a crash in between leaves no key, and the next run makes a new pair.
        files.replace(self.folder / CLIENT_CERTIFICATE, pair.certificate_pem, files.PUBLIC)
        files.write_new(self.folder / CLIENT_KEY, pair.key_pem)
