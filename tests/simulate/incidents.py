"""What is wrong with a machine, or on the way to it, for a while, and then passes."""

from collections.abc import Callable, Mapping

from tests.simulate.clock import Heaped
from tests.simulate.machine import Machine
from tests.simulate.plan import Incident


def weather(clock: Heaped, machine: Machine, incident: Incident) -> None:
    """The weather changes."""
    name, layers = str(incident), machine.host.sky.layers
    layers[name] = incident.details["weather"]
    clock.callLater(incident.details["lasts"], lambda: layers.pop(name, None))


def full(clock: Heaped, machine: Machine, incident: Incident) -> None:
    """The disk is full."""
    machine.troubles.is_full = True
    clock.callLater(incident.details["lasts"], setattr, machine.troubles, "is_full", False)


def failing(clock: Heaped, machine: Machine, incident: Incident) -> None:
    """The disk fails now and then."""
    troubles = machine.troubles
    troubles.chance, troubles.chance_of_sync = incident.details["chance"], incident.details["sync"]
    clock.callLater(incident.details["lasts"], troubles.end)


PASSING: Mapping[str, Callable[[Heaped, Machine, Incident], None]] = {
    "weather": weather,
    "full": full,
    "failing": failing,
}
