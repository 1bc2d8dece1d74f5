"""The operator's routes: what anyone on this host may see (`Status`), and what its administrator may do (`Desk`)."""

from collections.abc import Sequence
from typing import ClassVar

from attrs import frozen
from twisted.web.iweb import IRequest

from rrsd.core.refusals import Malformed, Refusal
from rrsd.core.values.addresses import parse_address
from rrsd.core.values.calls import Event
from rrsd.core.values.jobs import Holding
from rrsd.roles.admin.flow import Window
from rrsd.roles.admin.meters import CONTENT_TYPE
from rrsd.web import bodies
from rrsd.web.router import Router, answer
from rrsd.web.trail import Audit, note

MOST_QUOTA = (1 << 62) - 1
WHO = "operator"
"""Whoever may use the administrator's socket."""


@frozen
class Status:
    """Health, readiness and metrics: they change nothing and name nobody."""

    routes: ClassVar[Router] = Router()
    window: Window

    @routes.route("/health", methods=["GET"])
    def health(self, request: IRequest) -> bytes:
        """The reactor answers."""
        return answer(request, {"status": "ok"})

    @routes.route("/ready", methods=["GET"])
    async def ready(self, request: IRequest) -> bytes:
        """Whether every check passes; `notes` are what an operator has laid down."""
        said = await self.window.ready()
        good = all(each == "ok" for each in said.values())
        document = {"status": "ok" if good else "not ready", "checks": said, "notes": list(self.window.notes())}
        return answer(request, document, 200 if good else 503)

    @routes.route("/metrics", methods=["GET"])
    async def metrics(self, request: IRequest) -> bytes:
        """Metrics for Prometheus."""
        request.setHeader("content-type", CONTENT_TYPE)
        return await self.window.metrics()


@frozen
class Desk:
    """Users, keys and reload."""

    routes: ClassVar[Router] = Router(details=True)
    window: Window
    audit: Audit

    def note_refusal(self, request: IRequest, refusal: Refusal) -> None:
        """Leave a line for every refusal of these routes (`rrsd.web.router`)."""
        note(self.audit, "administer", request, refusal, WHO)

    @routes.route("/users", methods=["GET"])
    async def users(self, request: IRequest) -> bytes:
        """Every user."""
        holdings = await self.window.users.holdings()
        people = [
            {
                "address": str(each.address),
                "suspended": each.suspended,
                "created": each.created.isoformat(),
                **self._holding(holdings.get(each.address.key, Holding())),
            }
            for each in await self.window.users.list()
        ]
        return answer(request, {"users": people, "quota": self.window.users.quota})

    def _holding(self, found: Holding) -> dict[str, int | None]:
        limit = self.window.users.quota if found.quota is None else found.quota
        return {"held": found.held, "reserved": found.reserved, "quota": found.quota, "limit": limit}

    @routes.route("/users", methods=["POST"])
    async def add(self, request: IRequest) -> bytes:
        """A new user."""
        given = bodies.read_object(request)
        address = parse_address(_text(given.get("address")))
        await self.window.users.add(address, _text(given.get("password")))
        return answer(request, {"address": str(address)}, 201)

    @routes.route("/users/<text>/password", methods=["POST"])
    async def set_password(self, request: IRequest, text: str) -> bytes:
        """A new password."""
        given = bodies.read_object(request)
        await self.window.users.set_password(parse_address(text), _text(given.get("password")))
        return answer(request, {"address": text})

    @routes.route("/users/<text>/suspend", methods=["POST"])
    async def suspend(self, request: IRequest, text: str) -> bytes:
        """No login and no pull from now on."""
        await self.window.users.suspend(parse_address(text))
        return answer(request, {"address": text})

    @routes.route("/users/<text>/resume", methods=["POST"])
    async def resume(self, request: IRequest, text: str) -> bytes:
        """Undo it."""
        await self.window.users.resume(parse_address(text))
        return answer(request, {"address": text})

    @routes.route("/users/<text>/quota", methods=["POST"])
    async def set_quota(self, request: IRequest, text: str) -> bytes:
        """What the user may hold of what comes for them."""
        quota = bodies.read_object(request).get("quota")
        if quota is not None and (type(quota) is not int or not 0 <= quota <= MOST_QUOTA):
            raise Malformed("a quota is a number of bytes, 0 for none, or null for the domain's")
        await self.window.users.set_quota(parse_address(text), quota)
        return answer(request, {"address": text, "quota": quota})

    @routes.route("/users/<text>", methods=["DELETE"])
    async def remove(self, request: IRequest, text: str) -> bytes:
        """Forget the user."""
        await self.window.users.remove(parse_address(text))
        return answer(request, {"address": text})

    @routes.route("/keys", methods=["GET"])
    def keys(self, request: IRequest) -> bytes:
        """Public parts of the keys."""
        return answer(request, dict(self.window.keys.document()))

    @routes.route("/keys/rotate", methods=["POST"])
    def rotate(self, request: IRequest) -> bytes:
        """Let the next signing key sign."""
        rotated = self.window.keys.rotate()
        return answer(request, {**self.window.keys.document(), "rotated": rotated})

    @routes.route("/keys/client/<step>", methods=["POST"])
    async def change_client(self, request: IRequest, step: str) -> bytes:
        """Publish, use or withdraw a client key."""
        is_forced = bodies.read_object(request).get("force", False)
        if not isinstance(is_forced, bool):
            raise Malformed("force is true or false")
        changed = await self.window.keys.change_client(step, is_forced=is_forced)
        return answer(request, {**self.window.keys.document(), "changed": changed})

    @routes.route("/identity/verify", methods=["POST"])
    async def verify(self, request: IRequest) -> bytes:
        """What the world publishes about a name, and whether it would be believed."""
        given = bodies.read_object(request)
        return answer(request, dict(await self.window.identity.verify(_text(given.get("name")))))

    @routes.route("/policy/explain", methods=["POST"])
    async def explain(self, request: IRequest) -> bytes:
        """What policy would say, and why; nothing is decided by it."""
        return answer(request, dict(await self.window.policy.explain(bodies.read_object(request))))

    @routes.route("/reload", methods=["POST"])
    async def reload(self, request: IRequest) -> bytes:
        """Take up what changed on disk."""
        reloaded = await self.window.reload(self._tell_reload)
        return answer(request, {"reloaded": list(reloaded)})

    def _tell_reload(self, reloaded: Sequence[str]) -> None:
        self.audit.record(Event("reload", "granted", who=WHO, evidence=", ".join(reloaded)))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise Malformed("a text is missing")
    return value
