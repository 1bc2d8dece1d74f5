"""What seals completed messages, where the owner wants that."""

from pathlib import Path

from rrsd.app.means import Means
from rrsd.config.settings import Settings
from rrsd.core.proof.arc import SealingKey, read_sealing_key
from rrsd.core.refusals import Malformed, Refusal, Unknown
from rrsd.drivers.keys.files import read_private
from rrsd.roles.mail.flow.sealing import Sealer


def sealer_of(means: Means) -> Sealer | None:
    """What seals completed messages; None unless `[mail] arc` names a key.

    Raises:
        Malformed: there is no such key, or others may read it.
    """
    effects, key = means.effects, sealing_key(means.settings)
    if key is None:
        return None
    return Sealer(key=key, names=means.doors.names, threads=effects.proofs, timers=effects.timers)


def sealing_key(settings: Settings) -> SealingKey | None:
    """The key of `[mail] arc`; refuses with Malformed, which says what is wrong with it."""
    selector, path = settings.mail.arc, settings.mail.arc_key
    if selector is None:
        return None
    try:
        pem = read_private(Path(path)) if path is not None else None
        if pem is None:
            raise Unknown(f"there is no file {path}: openssl genrsa -out FILE 2048" if path else "arc needs it")
        return read_sealing_key(settings.domain.name, selector, pem)
    except Refusal as refusal:
        raise Malformed(f"[mail] arc_key: {refusal.detail}") from None
