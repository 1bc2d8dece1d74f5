"""The closed list of refusals in the words of SMTP (RFC 5321 4.2, RFC 3463): come again, or never."""

from collections.abc import Mapping, Sequence

from rrsd.core import refusals
from rrsd.core.refusals import Refusal
from rrsd.core.values.envelopes import LATER, Reply

TABLE: Mapping[type[Refusal], Reply] = {
    refusals.Malformed: Reply(554, "5.6.0", ("the message cannot be read",)),
    refusals.Unauthenticated: LATER,
    refusals.UnknownClient: LATER,
    refusals.Unproven: Reply(550, "5.7.1", ("what the message says is not proved",)),
    refusals.Expired: Reply(550, "5.7.1", ("what the message refers to is over",)),
    refusals.Replayed: LATER,
    refusals.NotGranted: LATER,
    refusals.UnsupportedGrant: LATER,
    refusals.UnauthorizedClient: LATER,
    refusals.WrongTarget: LATER,
    refusals.WrongScope: LATER,
    refusals.Forbidden: Reply(550, "5.7.1", ("not permitted",)),
    refusals.Unknown: Reply(550, "5.1.1", ("no such recipient",)),
    refusals.Withdrawn: Reply(550, "5.7.1", ("the sender has withdrawn it",)),
    refusals.Conflict: LATER,
    refusals.Unsupported: Reply(550, "5.6.7", ("the next mail server cannot take such a message",)),
    refusals.Unsatisfiable: LATER,
    refusals.TooLarge: Reply(552, "5.3.4", ("message too big",)),
    refusals.TooMany: Reply(451, "4.7.1", ("too much at once, come again",)),
    refusals.Unavailable: LATER,
    refusals.NoSpace: Reply(452, "4.3.1", ("no space now, come again",)),
    refusals.Damaged: LATER,
}
"""Every refusal has its reply. Trouble that is ours is always for later: a bounce cannot be taken back."""


def reply_of(refusal: Refusal) -> Reply:
    """What SMTP says of a refusal."""
    return TABLE[type(refusal)]


def joined(replies: Sequence[Reply]) -> Reply:
    """One reply for a transaction in which recipients fared differently: come again if any of them shall, no if any is
    refused, yes if all are taken (SMTP has one reply; RFC 5321 4.2.5)."""
    return max(replies, key=lambda reply: (reply.is_temporary, not reply.is_good))
