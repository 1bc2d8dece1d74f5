"""Protect your own API with the identities of every rrsd domain: the one module of rrsd that others may import.

    from rrsd.protect import Caller, Klein, Protection, run

    def orders(protection: Protection) -> Klein:
        app = Klein()

        @app.route("/orders", methods=["GET"])
        @protection.protected
        async def show(request, caller: Caller) -> bytes:
            ...  # caller.user is bob@bar.test, and it is proved

        return app

    run("orders.ini", orders)

What is named in `__all__` keeps its meaning (docs/developer/compatibility.rst). A handler refuses by raising
`Forbidden`, `Unknown`, `Conflict`, `Malformed` or `TooMany`.
"""

from klein import Klein

from rrsd.app.protection import Build, Outside, ProtectedApi, make_api, protect, run
from rrsd.config.protection import ApiSettings, parse_api_settings
from rrsd.core.refusals import Conflict, Forbidden, Malformed, Refusal, TooMany, Unknown
from rrsd.core.values.peers import Strength
from rrsd.web.bodies import read_object
from rrsd.web.protected import Caller, Policy, ProtectedResource, Protection, caller_of
from rrsd.web.router import Router, answer

__all__ = [
    "ApiSettings",
    "Build",
    "Caller",
    "Conflict",
    "Forbidden",
    "Klein",
    "Malformed",
    "Outside",
    "Policy",
    "ProtectedApi",
    "ProtectedResource",
    "Protection",
    "Refusal",
    "Router",
    "Strength",
    "TooMany",
    "Unknown",
    "answer",
    "caller_of",
    "make_api",
    "parse_api_settings",
    "protect",
    "read_object",
    "run",
]
