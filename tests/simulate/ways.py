"""The way out of one process: stands in for the network of `rrsd.drivers.fetch`, and leads to the simulated one."""

from collections.abc import Callable
from typing import Any

from attrs import define

from rrsd.core.refusals import Unavailable
from rrsd.core.values.peers import Certificate
from tests.simulate.network import Host, Life, Network


@define(eq=False)
class Way:
    """Stands in for `rrsd.drivers.fetch.endpoints.Network`: one process' way out, with a certificate or without."""

    network: Network
    life: Life
    source: Host
    timers: Any
    certificate: Callable[[], Certificate | None]

    def creator_for(self, name: str) -> Any:
        """What a kept connection must have been made with to serve another call: the same certificate."""
        shown = self.certificate()
        return None if shown is None else shown.x5t

    async def open(self, host: str, port: int, factory: Any, creator: Any) -> Any:
        """As `Network.open`."""
        line = await self.network.connect(self.life, self.source, host, port)
        listen = line.host.listen
        assert listen is not None
        channel = listen()
        if channel is None:
            raise Unavailable("connection lost")
        channel.client_certificate = self.certificate()
        line.server.protocol = channel
        line.client.protocol = factory.buildProtocol(line.client.getPeer())
        channel.makeConnection(line.server)
        line.client.protocol.makeConnection(line.client)
        return line.client.protocol
