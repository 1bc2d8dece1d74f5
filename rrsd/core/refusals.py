"""The closed list of reasons to say no.

A refusal knows nothing of HTTP, SMTP or retries; three tables do: `rrsd.web.refusals`, `rrsd.cli.exits` and
`rrsd.roles.rra.rules`. A test proves each of them total over `ALL`.
"""

from typing import ClassVar


class Refusal(Exception):
    """A reason to say no that was expected and has a name.

    `detail` is for the audit trail and the operator's log only: it never reaches a peer and never holds a secret.
    """

    reason: ClassVar[str] = ""

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail)
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}" if self.detail else self.reason


class Malformed(Refusal):
    """The input does not follow its grammar."""

    reason = "malformed"


class Unauthenticated(Refusal):
    """No credential came with a request that needs one."""

    reason = "unauthenticated"


class UnknownClient(Refusal):
    """The client is not registered, or did not prove that it is the one it names (RFC 6749 5.2 invalid_client)."""

    reason = "unknown_client"


class Unproven(Refusal):
    """A credential came and does not prove what it claims."""

    reason = "unproven"


class Expired(Refusal):
    """A credential was good once, or is not good yet."""

    reason = "expired"


class Replayed(Refusal):
    """Something that may be used once came again."""

    reason = "replayed"


class NotGranted(Refusal):
    """The authorization grant (code, refresh token) is not valid for this client (RFC 6749 5.2 invalid_grant)."""

    reason = "not_granted"


class UnsupportedGrant(Refusal):
    """No such grant type is offered here (RFC 6749 5.2)."""

    reason = "unsupported_grant"


class UnauthorizedClient(Refusal):
    """The client may not use this grant type (RFC 6749 5.2)."""

    reason = "unauthorized_client"


class WrongTarget(Refusal):
    """The resource asked for is not one that a token may be issued for (RFC 8707 2)."""

    reason = "wrong_target"


class WrongScope(Refusal):
    """The scope asked for is unknown or beyond what may be given (RFC 6749 5.2)."""

    reason = "wrong_scope"


class Forbidden(Refusal):
    """Whoever asks is known and may not; also said of a resource that does not exist, so that none can be probed."""

    reason = "forbidden"


class Unknown(Refusal):
    """There is no such thing, and saying so gives nothing away."""

    reason = "unknown"


class Withdrawn(Refusal):
    """It was there for this requester and is no more: withdrawn or past its `not_after`."""

    reason = "withdrawn"


class Conflict(Refusal):
    """The request contradicts the state that it meets."""

    reason = "conflict"


class Unsupported(Refusal):
    """The method or the media type is not one that is spoken here."""

    reason = "unsupported"


class Unsatisfiable(Refusal):
    """The range asked for lies outside the representation, which has `size` bytes (RFC 9110 15.5.17)."""

    reason = "unsatisfiable"

    def __init__(self, detail: str = "", size: int | None = None) -> None:
        super().__init__(detail)
        self.size = size


class TooLarge(Refusal):
    """It exceeds a limit on size."""

    reason = "too_large"


class TooMany(Refusal):
    """It exceeds a limit on rate or number; `retry_after` says in seconds when to come back."""

    reason = "too_many"

    def __init__(self, detail: str = "", retry_after: int = 1) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class Unavailable(Refusal):
    """A peer or a part of this daemon cannot answer now; `retry_after` says in seconds when to come back.

    `is_nobody` says that nobody speaks TLS at that name under a certificate of it, as far as can be told from here:
    there is no address, no listener, or somebody else.
    """

    reason = "unavailable"

    def __init__(self, detail: str = "", retry_after: int = 30, *, is_nobody: bool = False) -> None:
        super().__init__(detail)
        self.retry_after = retry_after
        self.is_nobody = is_nobody


class NoSpace(Refusal):
    """This host cannot store more: no space, no quota, no descriptors, or a disk that fails."""

    reason = "no_space"


class Damaged(Refusal):
    """Bytes are not what their digest or their length says, or a stored row cannot be read."""

    reason = "damaged"


ALL: tuple[type[Refusal], ...] = (
    Malformed, Unauthenticated, UnknownClient, Unproven, Expired, Replayed, NotGranted, UnsupportedGrant,
    UnauthorizedClient, WrongTarget, WrongScope, Forbidden, Unknown, Withdrawn, Conflict, Unsupported, Unsatisfiable,
    TooLarge, TooMany, Unavailable, NoSpace, Damaged,
)  # fmt: skip
