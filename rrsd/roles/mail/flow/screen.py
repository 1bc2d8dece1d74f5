"""Placeholders that nobody could pull for, or that nobody signed, are refused before they are accepted (milter)."""

from attrs import define, evolve

from rrsd.core.refusals import Malformed, Refusal, TooLarge, Unproven
from rrsd.core.values.calls import Event
from rrsd.core.values.digests import digest_of
from rrsd.core.values.envelopes import Reply
from rrsd.roles.mail import screening
from rrsd.roles.mail.flow.authors import Authors
from rrsd.roles.mail.ports import Audit

PERMANENT = (Malformed, TooLarge, Unproven)


@define(eq=False, kw_only=True)
class Screen:
    """Judges messages of which the header says that they may be placeholders."""

    authors: Authors
    audit: Audit
    most_parts: int

    async def judge(self, sender: str, raw: bytes) -> Reply | None:
        """What the client hears instead of a yes, None when the message may come in.

        What is no placeholder leaves no line in the trail.
        """
        try:
            if not screening.is_placeholder(raw, self.most_parts):
                return None
            author = await self.authors.prove(raw)
        except Refusal as refusal:
            outcome = "refused" if isinstance(refusal, PERMANENT) else "failed"
            line = _line(sender, raw)
            self.audit.record(evolve(line, outcome=outcome, refusal=refusal.reason, evidence=refusal.detail))
            return screening.reply_to(refusal)
        self.audit.record(evolve(_line(sender, raw), subject=str(author.address), evidence=author.evidence))
        return None


def _line(sender: str, raw: bytes) -> Event:
    return Event("screen", "granted", who=sender, resource=digest_of(raw).ni, size=len(raw))
