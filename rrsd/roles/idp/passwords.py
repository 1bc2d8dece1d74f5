"""argon2id (RFC 9106), off the reactor thread and a few at a time."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from attrs import define, field

from rrsd.core.refusals import Unavailable
from rrsd.roles.idp.settings import Settings
from rrsd.runtime.workers import Workers

MOST_WAITING = 100
"""Password checks that may wait for a thread; whoever comes after them is asked to come back."""

_SALT, _HASH = 16, 32


@define(eq=False)
class Argon2Passwords:
    """The passwords of the domain's users; `workers` has as many threads as may check at the same time."""

    _settings: Settings
    _workers: Workers
    _waiting: int = field(default=0, init=False)
    _hasher: PasswordHasher = field(init=False)
    _nobody: str = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        memory, passes = self._settings.password_memory // 1024, self._settings.password_passes
        self._hasher = PasswordHasher(passes, memory, parallelism=1, hash_len=_HASH, salt_len=_SALT)
        # No password has this hash; it costs as much to check as any other.
        self._nobody = f"$argon2id$v=19$m={memory},t={passes},p=1${_b64(bytes(_SALT))}${_b64(bytes(_HASH))}"

    async def hash(self, password: str) -> str:
        """A new PHC string.

        Raises:
            Unavailable: too many wait already.
        """
        with self._place():
            return await self._workers.run(self._hasher.hash, password)

    async def verify(self, phc: str | None, password: str) -> bool:
        """Whether it is the password; with None it costs the same and is False. Raises as `hash`."""
        with self._place():
            return await self._workers.run(self._verify, phc or self._nobody, password)

    @contextmanager
    def _place(self) -> Iterator[None]:
        if self._waiting >= MOST_WAITING:
            raise Unavailable("too many password checks", retry_after=5)
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1

    def _verify(self, phc: str, password: str) -> bool:
        try:
            return self._hasher.verify(phc, password)
        except (VerificationError, InvalidHashError):
            return False


def _b64(data: bytes) -> str:
    return base64.b64encode(data).rstrip(b"=").decode("ascii")
