"""What every role is made with."""

from typing import Any

from attrs import frozen

from rrsd.app.audit import Audit
from rrsd.app.doors import Doors
from rrsd.app.effects import Effects
from rrsd.config.settings import Settings


@frozen
class Means:
    """Settings, effects, drivers and the record of decisions; `store` has one attribute for each port."""

    settings: Settings
    effects: Effects
    doors: Doors
    store: Any
    audit: Audit
