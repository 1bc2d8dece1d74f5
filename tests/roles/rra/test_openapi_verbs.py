"""The operator's OpenAPI document says what the socket takes."""

import json
from collections.abc import Mapping
from typing import Any

from rrsd.roles.rra.openapi_verbs import verbs_document
from rrsd.roles.rra.questions import FILTERS, ORDERED
from rrsd.roles.rra.verbs import VERBS
from tests.roles.rra.operators import Case
from tests.roles.rra.scheduling import files


class Document(Case):
    """What the verbs say is described, and what is described is taken."""

    def body(self, path: str) -> Mapping[str, Any]:
        """The schema of what is posted there."""
        schema: Mapping[str, Any] = verbs_document()["paths"][path]["post"]["requestBody"]["content"][
            "application/json"
        ]["schema"]
        return schema

    def test_it_is_served(self) -> None:
        """As it is, and every row of the table is in it; every reference leads somewhere."""
        document = self.call("GET", "/openapi.json")
        self.assertEqual(document, json.loads(json.dumps(verbs_document())))
        for verb in VERBS:
            self.assertIn(verb.method.lower(), document["paths"][verb.path.replace("<n>", "{job}")], verb.name)
            if verb.is_bulk:
                self.assertIn("post", document["paths"][f"/pulls/{verb.name}"], verb.name)
        self.assertEqual(self.body("/queue/import"), {"$ref": "#/components/schemas/Line"})
        self.assertIn("Line", document["components"]["schemas"])

    def test_bodies_of_the_verbs_were_not_described(self) -> None:
        """Every name that an order may have, and no other; what a verb needs is required."""
        names: set[str] = set()
        for verb in VERBS:
            if verb.is_bulk:
                schema = self.body(f"/pulls/{verb.name}")
                names |= schema["properties"].keys()
                self.assertFalse(schema["additionalProperties"])
        self.assertEqual(names, ORDERED)
        self.assertEqual(self.body("/pulls/extend")["required"], ["all", "for"])
        self.assertEqual(self.body("/pulls/{job}/set-priority")["required"], ["priority"])
        self.assertEqual(set(self.body("/destinations/limit")["properties"]), {"name", "most", "reason"})

    def test_queries(self) -> None:
        """Every parameter that is described is taken."""
        self.desk.accept(*files(1))
        samples = {"state": "new", "origin": "https://foo.test", "recipient": "bob@bar.test", "sender": "foo.test",
                   "condition": "space", "name": "https://foo.test"}  # fmt: skip
        paths = verbs_document()["paths"]
        for path in ("/pulls", "/shape", "/destinations", "/store/gc"):
            names = [each["name"] for each in paths[path]["get"]["parameters"]]
            for name in names:
                self.call("GET", f"{path}?{name}={samples.get(name, '1')}")
            self.assertEqual(set(names) >= set(FILTERS), path == "/pulls")
