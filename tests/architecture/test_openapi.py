"""The OpenAPI document and the routes of the user's API say the same thing."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from klein import Klein
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.values.peers import parse_issuer, parse_origin, parse_url
from rrsd.roles.rra.api import MailboxPages
from rrsd.roles.rra.openapi import COMMON, MAILBOX, Fragment, build_document

APPS: Sequence[tuple[Klein, Sequence[Fragment]]] = ((MailboxPages.routes, (COMMON, MAILBOX)),)
"""Each application that answers under /api, and the fragments that describe it."""


def routes_of(app: Klein) -> set[tuple[str, str]]:
    """Method and path of every route, as OpenAPI writes them; HEAD goes with GET."""
    return {
        (method, re.sub(r"<(?:\w+(?:\([^)]*\))?:)?(\w+)>", r"{\1}", rule.rule))
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or {"GET"}) - {"HEAD", "OPTIONS"}
    }


def described(fragments: Sequence[Fragment]) -> set[tuple[str, str]]:
    """Method and path of every operation."""
    return {(each.method, each.path) for fragment in fragments for each in fragment.operations}


def document() -> dict[str, Any]:
    """The document with everything in it."""
    fragments = [fragment for _, each in APPS for fragment in each if fragment is not COMMON]
    issuer = parse_issuer("https://id.bar.test")
    authorize, token = parse_url("https://id.bar.test/authorize"), parse_url("https://id.bar.test/token")
    return build_document(issuer, parse_origin("https://bar.test"), authorize, token, fragments)


def references(node: object) -> Iterator[str]:
    """Every `$ref` below the node."""
    if isinstance(node, Mapping):
        for name, value in node.items():
            if name == "$ref":
                yield value
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


class OpenApi(SynchronousTestCase):
    """One truth."""

    def test_routes_are_described(self) -> None:
        """Every route is an operation and every operation a route."""
        for app, fragments in APPS:
            self.assertEqual({route for route in routes_of(app) if route[1].startswith("/api")}, described(fragments))

    def test_nothing_twice(self) -> None:
        """No two fragments describe one operation, or give one name to two schemas or parameters."""
        fragments = {id(each): each for _, some in APPS for each in some}.values()
        for names in (
            [(each.method, each.path) for one in fragments for each in one.operations],
            [name for one in fragments for name in one.schemas],
            [name for one in fragments for name in one.parameters],
        ):
            self.assertEqual(len(names), len(set(names)))

    def test_references_resolve(self) -> None:
        """Whatever is referred to is there."""
        whole = json.loads(json.dumps(document()))
        for reference in references(whole):
            node: Any = whole
            for step in reference.removeprefix("#/").split("/"):
                node = node[step]

    def test_path_parameters(self) -> None:
        """Each name in a path is a parameter of the operation, and required."""
        whole = document()
        for path, item in whole["paths"].items():
            for operation in item.values():
                names = [each["$ref"].rpartition("/")[2] for each in operation["parameters"]]
                inside = [name for name in names if whole["components"]["parameters"][name]["in"] == "path"]
                self.assertEqual(sorted(re.findall(r"{(\w+)}", path)), sorted(inside))

    def test_security(self) -> None:
        """Everything but the description itself needs the scope, from the issuer's endpoints if they are known."""
        whole = document()
        for path, item in whole["paths"].items():
            for operation in item.values():
                self.assertEqual(operation["security"] == [], path == "/api/openapi.json")
        scheme = whole["components"]["securitySchemes"]["issuer"]
        self.assertEqual(scheme["flows"]["authorizationCode"]["scopes"], {"mail": "The user's mail"})
        issuer, token = parse_issuer("https://id.bar.test"), parse_url("https://id.bar.test/token")
        plain = build_document(issuer, parse_origin("https://bar.test"), None, token, (MAILBOX,))
        self.assertEqual(plain["components"]["securitySchemes"]["issuer"]["scheme"], "bearer")
