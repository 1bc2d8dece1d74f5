"""An API that knows its callers: every domain's users see their own orders, and nobody else's.

python examples/orders_api.py orders.ini
"""

import sys
from collections import defaultdict
from typing import Any

from rrsd.protect import Caller, Klein, Protection, answer, read_object, run


def orders(protection: Protection) -> Klein:
    """The API behind its protection."""
    app = Klein()
    kept: dict[str, list[dict[str, Any]]] = defaultdict(list)

    @app.route("/orders", methods=["GET"])
    @protection.protected
    def show(request: Any, caller: Caller) -> bytes:
        mine = kept[str(caller.user)]
        return answer(request, {"user": str(caller.user), "client": str(caller.client), "orders": mine})

    @app.route("/orders", methods=["POST"])
    @protection.protected
    def add(request: Any, caller: Caller) -> bytes:
        kept[str(caller.user)].append(read_object(request))
        return answer(request, {"orders": len(kept[str(caller.user)])}, 201)

    return app


if __name__ == "__main__":
    run(sys.argv[1], orders)
