"""Messages that the next server took for some recipients and never will for others.

SMTP has one reply for a message. Who is refused hears it at RCPT of the next attempt, so that the mail server reports
these recipients and no others; the ledger knows who has the message.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from attrs import define, field

from rrsd.core.values.envelopes import Envelope, ForwardPath, Reply, ReversePath
from rrsd.core.values.instants import Instant
from rrsd.roles.mail.ports import Timers

MOST = 10_000
"""So many are remembered; for one that is forgotten the next server is asked again."""
LIFE = timedelta(hours=6)
"""Longer than any mail server waits between two attempts; names in its queue come again some day."""
PARTLY = Reply(451, "4.5.3", ("not for every recipient; come again, and each has a reply of their own",))

Name = tuple[str, str, str]


@define(eq=False)
class Partly:
    """Who was refused, and how, until the mail server comes again."""

    timers: Timers
    _said: dict[Name, tuple[Instant, Reply]] = field(factory=dict, init=False)

    def note(self, envelope: Envelope, replies: Sequence[Reply]) -> None:
        """The next server has said this about each recipient."""
        for recipient, reply in zip(envelope.recipients, replies, strict=True):
            if _is_final(reply) and envelope.forwarded.get("IDENT"):
                self._said[_name(envelope.forwarded, envelope.sender, recipient)] = (self.timers.now(), reply)
        while len(self._said) > MOST:
            del self._said[next(iter(self._said))]

    def reply(self, envelope: Envelope, reply: Reply) -> Reply:
        """What is said of the whole message of which `reply` is the worst; where some have it, and the others can be
        told apart, those are for the next attempt."""
        if not _is_final(reply):
            return reply
        names = [_name(envelope.forwarded, envelope.sender, each) for each in envelope.recipients]
        refused = [each for each in names if each in self._said]
        if refused and len(refused) < len(names):
            return PARTLY
        for each in refused:
            del self._said[each]
        return reply

    def refuses(self, forwarded: Mapping[str, str], sender: ReversePath, recipient: ForwardPath) -> Reply | None:
        """What this recipient is refused with now, once."""
        at, reply = self._said.pop(_name(forwarded, sender, recipient), (None, None))
        return reply if at is not None and self.timers.now() - at < LIFE else None


def _name(forwarded: Mapping[str, str], sender: ReversePath, recipient: ForwardPath) -> Name:
    return forwarded.get("IDENT", ""), sender.path, recipient.path


def _is_final(reply: Reply) -> bool:
    return not reply.is_good and not reply.is_temporary
