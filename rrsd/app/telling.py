"""What tells people about attachments that are late or lost: the mail role behind the agent's ports."""

from datetime import timedelta

from rrsd.app.means import Means
from rrsd.roles.mail.flow.bounces import Bounces
from rrsd.roles.rra.explain import explain
from rrsd.roles.rra.health import Health
from rrsd.roles.rra.notifier import Notices, Notifier
from rrsd.roles.rra.telling import Waits
from rrsd.runtime.bell import Bell


def waits_of(means: Means) -> Waits | None:
    """When people are told; None where no mail goes out through us."""
    rra = means.settings.rra
    if means.settings.mail.outbound is None:
        return None
    return Waits(rra.notify_recipient_after, rra.notify_sender_after)


def notifier_of(means: Means, health: Health, notices: Notices | None) -> Notifier:
    """What tells them; without `notices` nobody."""
    settings, effects, store = means.settings, means.effects, means.store
    return Notifier(
        facts=store.facts,
        notices=notices,
        bounces=Bounces(store.holds, effects.timers, settings.mail),
        waits=waits_of(means) or Waits(timedelta(), timedelta()),
        explain=lambda job: explain(job, health.of(job.origin), effects.timers.now()),
        ours=settings.domain.name,
        timers=effects.timers,
        bell=Bell(effects.reactor),
        audit=means.audit,
    )
