"""Requests made from the OpenAPI document, good and bad ones, to a real daemon: it keeps what the document says.

`RRSD_FUZZ=500 python -m twisted.trial tests.processes.test_openapi` looks longer, and elsewhere each time.
"""

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, given, seed, settings
from hypothesis.errors import Unsatisfiable
from requests.adapters import HTTPAdapter
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from rrsd.cli.demo.daemons import Daemon
from rrsd.core.refusals import ALL
from rrsd.core.values.digests import digest_of
from rrsd.web.refusals import TABLE
from tests.processes.houses import MIB, RECIPIENT, SENDER, HouseCase
from tests.processes.strangers import STRANGERS

EXAMPLES = int(os.environ.get("RRSD_FUZZ", "0"))
PROFILE = settings(
    max_examples=EXAMPLES or 20, derandomize=not EXAMPLES, deadline=None, database=None,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
CHECKS = [
    not_a_server_error, status_code_conformance, content_type_conformance, response_headers_conformance,
    response_schema_conformance,
]  # fmt: skip
CONFIG = SchemathesisConfig.from_dict({"generation": {"with-security-parameters": False}})
GOOD, BAD = schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE
NOTHING: Mapping[str, str] = {}
STATUSES = {each.reason: TABLE[each].status for each in ALL}
STREAMS = ("/api/events",)
"""What has no end is not asked for here."""


@schemathesis.serializer("message/rfc822", "application/jose")
def as_it_is(_: object, value: Any) -> bytes:
    """Bodies that are neither JSON nor a form."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


class Described(HouseCase):
    """foo.test as its documents describe it."""

    seconds = 600 + EXAMPLES * 10

    def session_to(self, daemon: Daemon, **more: str) -> requests.Session:
        """A client that believes the development authority and nobody else."""
        session = requests.Session()
        session.trust_env = False
        # The port is on loopback, the certificate there is the domain's.
        adapter = HTTPAdapter()
        adapter.init_poolmanager(4, 4, server_hostname=daemon.name, assert_hostname=daemon.name)
        session.mount("https://", adapter)
        session.verify = str(self.root / "authority" / "ca.pem")
        session.headers.update({"Host": daemon.name, **more})
        return session

    def operations(self, document: dict[str, Any]) -> Iterator[Any]:
        """Everything in the document that ends."""
        for found in schemathesis.openapi.from_dict(document, config=CONFIG).get_all_operations():
            operation: Any = found.ok()  # type: ignore[union-attr]
            if operation.path not in STREAMS:
                yield operation

    def try_all(
        self, document: dict[str, Any], session: requests.Session, base: str, known: Mapping[str, str] = NOTHING
    ) -> Counter[int]:
        """Good and bad requests to each operation, and good ones about what is `known` to be there by the names in
        paths; how many answers had which status."""
        seen: Counter[int] = Counter()
        broken = []
        for operation in self.operations(document):
            names = {each.name for each in operation.path_parameters} & known.keys()
            for mode, more in (
                (GOOD, {}),
                (BAD, {}),
                *([(GOOD, {name: known[name] for name in names})] if names else []),
            ):
                try:
                    self.try_one(operation, (mode, more), (session, base), seen)
                except Unsatisfiable:
                    continue  # there is nothing that could be wrong with such a request
                except (Exception, BaseExceptionGroup) as error:
                    broken.append(f"{operation.label}, {mode}: {_told(error)}")
        self.assertFalse(broken, "\n".join(broken))
        return seen

    def try_one(
        self, operation: Any, kind: tuple[Any, dict[str, str]], where: tuple[requests.Session, str], seen: Counter[int]
    ) -> None:
        """Requests of one kind, with these segments of the path, to one operation."""
        (mode, segments), (session, base) = kind, where
        cases = operation.as_strategy(generation_mode=mode, path_parameters=segments or None)

        @seed(3)
        @PROFILE
        @given(cases)
        def run(case: Any) -> None:
            response = case.call(
                base_url=base, session=session, timeout=30, allow_redirects=False, verify=session.verify
            )
            seen[response.status_code] += 1
            case.validate_response(response, checks=[*CHECKS, *([negative_data_rejection] if mode is BAD else [])])
            self.require_told(response)

        run()

    def require_told(self, response: Any) -> None:
        """A refusal says a reason of the list, with its status, and nothing else."""
        if response.status_code >= 400 and response.request.method != "HEAD":
            told = json.loads(response.content)
            self.assertEqual({*told}, {"error", "reason"})
            self.assertEqual(response.status_code, STATUSES[told["reason"]])

    def test_what_users_may_ask(self) -> None:
        """The user's API of the sender's and of the recipient's domain, with a token and without one."""
        self.start()
        bob, alice = self.settle(RECIPIENT), self.settle(SENDER)
        message, _ = self.send(alice, MIB)
        (number,) = self.deliver(message)
        self.await_state(number, "receipted")
        for person in (alice, bob):
            base = f"https://127.0.0.1:{person.home.port}"
            nobody = self.session_to(person.home)
            document = nobody.get(f"{base}/api/openapi.json", timeout=30).json()
            user = self.session_to(person.home, Authorization=f"Bearer {person.access_token}")
            seen = self.try_all(document, user, base, self.known(user, base))
            self.assertLessEqual({200, 201, 400, 404}, {*seen}, seen)
            self.assertFalse({401, 429} & {*seen}, seen)
            self.assertLessEqual({*self.try_all(document, nobody, base)}, {200, 400, 401, 404, 405, 413, 415})

    def known(self, user: requests.Session, base: str) -> dict[str, str]:
        """What is there for the user, by the names that the document has for it."""
        begun = user.post(f"{base}/api/uploads", json={"size": 9}, timeout=30).json()
        found = {"upload": begun["upload"], "index": "0"}
        for message in user.get(f"{base}/api/messages", timeout=30).json()["messages"]:
            found["message"] = message["message"]
        for sent in user.get(f"{base}/api/outgoing", timeout=30).json()["messages"]:
            found["message_id"] = sent["message_id"]
        return found

    def test_what_strangers_may_ask(self) -> None:
        """The paths for everybody, with another domain's client certificate."""
        self.start(self.foo)
        base = f"https://127.0.0.1:{self.foo.port}"
        keys = Path(self.bar.plan.folder, "keys")
        stranger = self.session_to(self.foo)
        stranger.cert = (str(keys / "client.pem"), str(keys / "client.key"))
        seen = self.try_all(STRANGERS, stranger, base)
        self.assertLessEqual({200, 400, 401, 404}, {*seen}, seen)
        path = f"{base}/.well-known/ni/sha-256/{digest_of(b'x').b64}"
        self.assertEqual(stranger.get(path, timeout=30).status_code, 401)


def _told(error: BaseException) -> str:
    each = error.exceptions if isinstance(error, BaseExceptionGroup) else (error,)
    return "; ".join(f"{type(one).__name__}: {one} {' '.join(getattr(one, '__notes__', []))}" for one in each)
