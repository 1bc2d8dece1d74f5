"""The operator's routes for the clients of the token service."""

from typing import ClassVar

from attrs import frozen
from twisted.web.iweb import IRequest

from rrsd.core.refusals import Malformed, Refusal
from rrsd.roles.admin.flow import Window
from rrsd.roles.admin.resource import WHO
from rrsd.web import bodies
from rrsd.web.router import Router, answer
from rrsd.web.trail import Audit, note


@frozen
class Register:
    """Who may ask the token service, from the next request on."""

    routes: ClassVar[Router] = Router(details=True)
    window: Window
    audit: Audit

    def note_refusal(self, request: IRequest, refusal: Refusal) -> None:
        """Leave a line for every refusal of these routes (`rrsd.web.router`)."""
        note(self.audit, "administer", request, refusal, WHO)

    @routes.route("/clients", methods=["GET"])
    async def list(self, request: IRequest) -> bytes:
        """Every client, wherever it is registered."""
        return answer(request, {"clients": list(await self.window.clients.list())})

    @routes.route("/clients", methods=["POST"])
    async def add(self, request: IRequest) -> bytes:
        """A new client."""
        given = bodies.read_object(request)
        name = given.pop("name", None)
        if not isinstance(name, str):
            raise Malformed("a name is missing")
        await self.window.clients.add(name, given)
        return answer(request, dict(await self.window.clients.show(name)), 201)

    @routes.route("/clients/<name>", methods=["GET"])
    async def show(self, request: IRequest, name: str) -> bytes:
        """All about one client."""
        return answer(request, dict(await self.window.clients.show(name)))

    @routes.route("/clients/<name>/disable", methods=["POST"])
    async def disable(self, request: IRequest, name: str) -> bytes:
        """The client proves nothing from now on."""
        await self.window.clients.disable(name)
        return answer(request, dict(await self.window.clients.show(name)))

    @routes.route("/clients/<name>/enable", methods=["POST"])
    async def enable(self, request: IRequest, name: str) -> bytes:
        """Undo it."""
        await self.window.clients.enable(name)
        return answer(request, dict(await self.window.clients.show(name)))

    @routes.route("/clients/<name>", methods=["DELETE"])
    async def remove(self, request: IRequest, name: str) -> bytes:
        """Forget the client."""
        await self.window.clients.remove(name)
        return answer(request, {"name": name})
