"""An agent, its operator, and the administrator's socket."""

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from rrsd.roles.rra.acting import Given
from rrsd.roles.rra.local import Operator
from tests.roles.rra.agents import Desk
from tests.roles.rra.mailboxes import RAW
from tests.support.callers import Caller, Response


class Case(SynchronousTestCase):
    """An agent, its operator, and the socket."""

    def setUp(self) -> None:
        """Nothing runs before `start`."""
        self.desk = Desk()
        self.addCleanup(self.desk.close)
        self.peers, self.operations = self.desk.peers, self.desk.operations
        self.governing = self.operations.governing
        self.caller = Caller(
            Operator(self.operations, self.desk.acceptance, self.desk.stock, self.desk.moving, len(RAW)).routes
        )

    def call(self, method: str, path: str, body: object = None, status: int = 200) -> Any:
        """The answer's document."""
        data = b"" if body is None else json.dumps(body).encode()
        response: Response = self.caller.ask(method, path, data, Content_Type="application/json")
        self.assertEqual(response.status, status, response.body)
        return response.json()

    def act(self, verb: str, number: int = 1, **given: Any) -> Any:
        """The job after the verb."""
        return self.desk.result(self.operations.act(verb, number, given=Given(**given)))
