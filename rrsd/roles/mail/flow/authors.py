"""Who wrote a message: the keys are asked for first, then everything is calculated on a thread."""

from attrs import frozen

from rrsd.core.proof.dkim import Policy, key_names, prove_author
from rrsd.core.values.authors import VerifiedAuthor
from rrsd.core.values.records import RecordType
from rrsd.roles.mail.ports import Names, Threads, Timers


@frozen(kw_only=True)
class Authors:
    """Proves authors by DKIM."""

    names: Names
    threads: Threads
    timers: Timers
    policy: Policy

    async def prove(self, raw: bytes) -> VerifiedAuthor:
        """Who wrote it.

        Raises:
            Unproven: no signature proves it. Unavailable: a key cannot be had now.
            Malformed, TooLarge: the message cannot be read.
        """
        now = self.timers.now()
        asked = key_names(raw, now, self.policy)
        records = {name: await self.names.ask(name, RecordType.TXT) for name in asked}
        return await self.threads.run(prove_author, raw, records, now, self.policy)
