"""Who speaks through the administrator's socket: the kernel says it, nobody else."""

import os
import socket
from types import SimpleNamespace
from typing import Any, cast

from twisted.trial.unittest import SynchronousTestCase
from twisted.web.iweb import IRequest

from rrsd.web.peers import operator_of


def request_on(found: Any) -> IRequest:
    """A request whose connection is that socket."""
    transport = SimpleNamespace(socket=found) if found is not None else SimpleNamespace()
    return cast(IRequest, SimpleNamespace(channel=SimpleNamespace(transport=transport)))


class Operators(SynchronousTestCase):
    """SO_PEERCRED."""

    def test_the_user_at_the_other_end_of_a_unix_socket(self) -> None:
        """By number, as the kernel has it."""
        here, there = socket.socketpair(socket.AF_UNIX)
        self.addCleanup(here.close)
        self.addCleanup(there.close)
        self.assertEqual(operator_of(request_on(here)), f"operator uid {os.getuid()}")

    def test_where_the_kernel_says_nothing(self) -> None:
        """Another kind of socket, or none: the operator, as ever."""
        other = socket.socket(socket.AF_INET)
        self.addCleanup(other.close)
        for found in (other, None):
            self.assertEqual(operator_of(request_on(found)), "operator")
        self.assertEqual(operator_of(cast(IRequest, SimpleNamespace())), "operator")
