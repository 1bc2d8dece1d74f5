"""What the Resource Server needs from outside."""

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Protocol

from rrsd.core.values.addresses import Address, Domain
from rrsd.core.values.calls import Event
from rrsd.core.values.digests import Digest
from rrsd.core.values.instants import Instant
from rrsd.core.values.links import Attempt, Link, LinkSession, OneTimeCode
from rrsd.core.values.notices import Notice
from rrsd.core.values.peers import Certificate, ClientProof, Introduction, Issuer
from rrsd.core.values.policies import Decision, Question
from rrsd.core.values.resources import Blob, Custody, Grant, Upload
from rrsd.core.values.tokens import KeySet, VerifiedAccess


class Trust(Protocol):
    """Who strangers are."""

    async def introduce(self, domain: Domain) -> Introduction:
        """Who speaks for the domain; refuses with Unproven when what it publishes contradicts itself, Unavailable
        when it cannot be asked now."""
        ...

    async def keys_of(self, introduction: Introduction, kid: str) -> KeySet:
        """The issuer's verification keys; fetched again, at most once a minute, when `kid` is not among them."""
        ...

    async def prove_client(self, certificate: Certificate, issuer: Issuer) -> ClientProof:
        """That the certificate's key belongs to the OU.CN in it; refuses with Unproven or Unavailable."""
        ...

    async def prove_user(self, text: str) -> VerifiedAccess:
        """What an access token of our own domain proves; refuses with Malformed, Unproven, Expired, Unavailable."""
        ...


class Blobs(Protocol):
    """Bytes under their digests."""

    async def find(self, digest: Digest) -> Blob:
        """The blob with its chunk digests; refuses with Unknown."""
        ...

    def read(self, digest: Digest, start: int, end: int) -> AsyncIterator[bytes]:
        """The bytes [start, end) in blocks, read ahead off the reactor; refuses with Unknown, Damaged or NoSpace."""
        ...

    async def collect(self, now: Instant, grace_seconds: float, most: int, keep_seconds: float) -> Sequence[Digest]:
        """Remove up to `most` blobs older than the grace that nothing refers to any more: no part of a message here,
        no running upload, no live grant without a receipt, or with one that is younger than `keep_seconds`. Returns
        those removed."""
        ...


class Uploads(Protocol):
    """Resources of our own users on their way in, resumable (draft-ietf-httpbis-resumable-upload)."""

    async def begin(self, upload: Upload) -> None:
        """Remember an upload of which nothing has come; refuses with NoSpace when `size` bytes cannot be reserved."""
        ...

    async def find(self, upload_id: str, owner: Address) -> Upload:
        """The upload; refuses with Unknown, also when it is another owner's."""
        ...

    async def append(self, upload: Upload, data: bytes) -> Upload:
        """Put `data` at `upload.offset`, durable when this returns; with the last byte the blob gets its final name
        and `digest` is set. Refuses with Conflict when the offset has moved on, TooLarge past `size`, NoSpace."""
        ...

    async def cancel(self, upload: Upload) -> None:
        """Forget it and its bytes."""
        ...

    async def owned(self, owner: Address, digests: Sequence[Digest]) -> Sequence[Blob]:
        """Those of the resources that the owner uploaded in full (an upload that has not expired) or has a grant of
        as the sender, and whose bytes are here; knowing a digest alone does not make anybody an owner."""
        ...

    async def sweep(self, now: Instant) -> int:
        """Cancel those that have expired; how many."""
        ...


class Grants(Protocol):
    """Who may retrieve what."""

    async def add(self, grants: Sequence[Grant]) -> None:
        """Remember all of them or none; those that are there already (message, digest, recipient) stay as they are.
        Refuses with Unknown when a digest has no blob."""
        ...

    async def naming(self, digest: Digest, recipient: Address) -> Sequence[Grant]:
        """Every grant of the resource to the address, dead ones too."""
        ...

    async def of(self, recipient: Address, digests: Sequence[Digest]) -> Sequence[Grant]:
        """Every grant of any of the resources to the address, dead ones too; `naming` for many."""
        ...

    async def receipted(self, taken: Sequence[Custody], at: Instant) -> None:
        """Remember that recipients' domains keep copies of their own, and what they signed for that; in one
        transaction, and for each grant the first time counts."""
        ...

    async def custody(self, sender: Address, message_id: str) -> Sequence[Custody]:
        """What was signed for the sender's message, as long as it is kept."""
        ...

    async def forget_custody(self, before: Instant, most: int) -> int:
        """Forget what was signed before then, though not that it was; how many, `most` at most."""
        ...

    async def message(self, sender: Address, message_id: str) -> Sequence[Grant]:
        """The sender's grants of one message, as they were made, dead ones too."""
        ...

    async def renew(self, ends: Sequence[tuple[Grant, Instant]]) -> Sequence[Grant]:
        """Let each last until its end, all of them in one transaction; as they are then. Those that were withdrawn, or
        whose bytes are not here any more, stay as they are and are left out. No end becomes earlier."""
        ...

    async def sent(self, sender: Address, most: int) -> Sequence[Grant]:
        """The sender's grants, newest first."""
        ...

    async def withdraw(self, sender: Address, message_id: str) -> int:
        """End the message's grants; how many."""
        ...

    async def addressed(self, message_id: str, sender: Address, recipient: Address) -> Sequence[Grant]:
        """The grants of one message to one recipient, dead ones too, as they were made."""
        ...

    async def downloaded(self, grant: Grant, at: Instant) -> None:
        """Remember that the recipient had all of it through a personal link; the first time counts."""
        ...


class Links(Protocol):
    """Personal links, the codes that were sent for them, and the browsers that entered one."""

    async def add(self, link: Link, now: Instant) -> None:
        """Remember the link, durably when this returns; one that is there already lasts as long as either."""
        ...

    async def find(self, key: Digest) -> Link:
        """The link, ended or not; refuses with Unknown."""
        ...

    async def add_code(self, code: OneTimeCode, per_link: int, per_recipient: int, window: timedelta) -> int:
        """Remember a code, which takes the place of those before it: 0. The seconds to wait, and nothing is remembered,
        when so many were made for the link or the recipient within the window."""
        ...

    async def try_code(self, code: Digest, session: LinkSession, now: Instant, most_tries: int) -> Attempt:
        """Whether it is the code of the session's link; if so, the session begins and the code is used up."""
        ...

    async def session(self, key: Digest) -> LinkSession:
        """The session, ended or not; refuses with Unknown."""
        ...


class Notices(Protocol):
    """Small messages that we write ourselves."""

    async def send(self, notice: Notice) -> None:
        """Take the notice, durable when this returns; refuses with Forbidden, Malformed, NoSpace."""
        ...


class Policies(Protocol):
    """Who may do what."""

    def decide(self, question: Question) -> Decision:
        """Whether it is permitted, and by which policies; what cannot be decided is not."""
        ...


class Timers(Protocol):
    """Time that passes."""

    def now(self) -> Instant: ...

    def monotonic(self) -> float: ...


class Rates(Protocol):
    """How often somebody may ask."""

    def take(self, key: str) -> int:
        """0 if one more request of `key` is fine, otherwise in how many seconds it will be."""
        ...


class Audit(Protocol):
    """The audit trail."""

    def record(self, event: Event) -> None:
        """Append one line."""
        ...
