"""A `requests` session that finds the domains under test by a table, with a client certificate."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import requests
from attrs import define
from requests.adapters import HTTPAdapter
from typing_extensions import override

from tests.interop.case import Program


@define(eq=False)
class Table(HTTPAdapter):
    """Connects to 127.0.0.1 where DNS would be asked; the certificate must name the domain all the same."""

    ports: Mapping[str, int]

    def __attrs_post_init__(self) -> None:
        super().__init__()

    @override
    def build_connection_pool_key_attributes(self, request: Any, verify: Any, cert: Any = None) -> Any:
        """The pool of the domain's own port."""
        host, more = super().build_connection_pool_key_attributes(request, verify, cert)
        name = host["host"]
        host |= {"host": "127.0.0.1", "port": self.ports[name]}
        return host, {**more, "server_hostname": name, "assert_hostname": name}

    @override
    def send(self, request: Any, *given: Any, **more: Any) -> Any:
        """Name the domain in the request, too."""
        request.headers["Host"] = urlsplit(request.url).netloc
        return super().send(request, *given, **more)


def session_of(ports: Mapping[str, int], roots: object, program: Program | None = None) -> requests.Session:
    """A session as a program of its own would make it."""
    session = requests.Session()
    session.mount("https://", Table(ports))
    session.verify = str(roots)
    session.trust_env = False
    if program is not None:
        session.cert = (str(program.certificate), str(program.key))
    return session
